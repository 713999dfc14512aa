"""A worker's own life: children are replaced when they grow, its sudden death costs no job, and it stops gently."""

from __future__ import annotations

import datetime
import socket
import uuid
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import sqlalchemy as sa

from mayfly.db.states import State
from mayfly.db.tables import JOBS
from mayfly.tasks.messages import outbox
from tests import clock
from tests.integration.stage import Process, Stage, opened, wait_for

LEASE = 5.0  # seconds


@pytest.fixture(scope="module")
def alone(servers: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A stage without beats, whose tests start and end their workers."""
    with opened(servers, tmp_path_factory.mktemp("alone"), lease=str(LEASE)) as stage:
        yield stage


def test_a_worker_lives_and_dies(alone: Stage, photo: Path, tmp_path: Path):
    # One worker after another in one test: each start takes long.
    first = alone.start_worker(videos=0, child_memory=str(1024**2))
    replaced_after_each_job(alone, photo)
    unfinished = killed_in_mid_job(alone, photo, first)
    second = alone.start_worker(videos=0)
    finished_after_the_lease(alone, unfinished)
    stopped_in_mid_job(alone, photo, second)


def replaced_after_each_job(stage: Stage, photo: Path) -> None:
    children = []
    for _ in range(2):
        job = stage.queue("pass-through", photo)
        assert stage.wait_final(job).state is State.DONE
        effects = [holder for part, _, holder in stage.attempts(job) if part == "effect"]
        children += [int(holder.split(":")[2]) for holder in effects]
    assert len(set(children)) == 2, "a child over its memory did two jobs"
    wait_for("the first child's end", lambda: not psutil.pid_exists(children[0]))


def killed_in_mid_job(stage: Stage, photo: Path, worker: Process) -> str:
    job = stage.queue("sleep", photo, seconds=2)
    stage.wait_running(job)
    family = worker.family()
    assert len(family) > 4
    worker.kill()
    wait_for("the end of all", lambda: not any(process.is_running() for process in family), seconds=20)
    assert stage.job(job).state is State.RUNNING
    # As on another machine, where nobody can see that its process is gone.
    with stage.engine.begin() as connection:
        holder = JOBS.c.holder
        elsewhere = sa.func.replace(holder, socket.gethostname() + ":", "another-machine:")
        changed = {"holder": elsewhere, "lease_until": clock.after(60)}
        connection.execute(sa.update(JOBS).where(JOBS.c.id == uuid.UUID(job)).values(**changed))
    return job


def finished_after_the_lease(stage: Stage, job: str) -> None:
    # The broker gives the dead worker's message to the new one, who finds the claim taken and lets it go.
    wait_for("empty queues", lambda: not any(stage.depths().values()), seconds=60)
    outbox.resend(stage.runtime)
    assert stage.job(job).state is State.RUNNING
    with stage.engine.begin() as connection:
        over = clock.now() - datetime.timedelta(seconds=1)
        connection.execute(sa.update(JOBS).where(JOBS.c.id == uuid.UUID(job)).values(lease_until=over))
    outbox.resend(stage.runtime)
    assert stage.wait_final(job).state is State.DONE
    outcomes = [outcome for part, outcome, _ in stage.attempts(job) if part == "effect"]
    assert outcomes == ["lost", "done"]
    wait_for("the input's end", lambda: len(stage.objects(job)) == 1, seconds=20)
    assert stage.scratch_files() == []


def stopped_in_mid_job(stage: Stage, photo: Path, worker: Process) -> None:
    # Nearly done when the worker is told to stop: what takes over two seconds more is handed back.
    job = stage.queue("sleep", photo, seconds=1)
    stage.wait_running(job)
    waiting = stage.queue("sleep", photo, seconds=1)
    family = worker.family()
    assert worker.stop() == 0
    found = stage.job(job)
    assert found.state is State.DONE
    assert [outcome for part, outcome, _ in stage.attempts(job) if part == "effect"] == ["done"]
    assert not [process for process in family if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]
    # What it had not begun is still there for the next.
    assert stage.job(waiting).state is State.QUEUED
    assert sum(stage.depths().values()) == 1
    assert stage.scratch_files() == []
