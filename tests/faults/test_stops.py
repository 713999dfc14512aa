"""Stops and sudden ends of a worker on real servers: nothing is lost, and a stop costs no attempt and 3 seconds."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from mayfly.db.states import State
from tests.integration.stage import Process, Stage, opened, wait_for

STOP_SECONDS = 3.0
EXIT_SECONDS = 9.0  # for the end of several processes on a busy machine
WORDS = ("Traceback", "RESOURCE_LOCKED", "left behind")


@pytest.fixture(scope="module")
def stage(servers: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A stage without beats, whose tests start and end their workers."""
    with opened(servers, tmp_path_factory.mktemp("stops"), lease="60") as stage:
        yield stage


@pytest.fixture(scope="module")
def worker(stage: Stage) -> Process:
    """A worker that the tests in front share; the one that stops it comes last."""
    return stage.start_worker()


def services(worker: Process) -> dict[str, int]:
    """The processes of a worker's services by name."""
    found = {}
    # A service's children have its command line.
    for process in psutil.Process(worker.popen.pid).children():
        line = process.cmdline()
        if "mayfly.workers.service" in line:
            found[line[line.index("mayfly.workers.service") + 1]] = process.pid
    return found


def effects(stage: Stage, job: str) -> list[str]:
    """How the attempts at a job's effect ended."""
    return [outcome for part, outcome, _ in stage.attempts(job) if part == "effect"]


def wait_ended(family: list[psutil.Process], *, seconds: float) -> None:
    """Wait until none of these processes runs."""
    left = psutil.wait_procs(family, timeout=seconds)[1]
    assert not [one for one in left if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]


def test_a_cancelled_photo_frees_its_lane(stage: Stage, worker: Process, photo: Path) -> None:
    job = stage.queue("sleep", photo, seconds=60)
    stage.wait_running(job)
    child = stage.holder_pid(job)
    following = stage.queue("pass-through", photo)
    stage.client.cancel(job)
    wait_for("the child's end", lambda: not psutil.pid_exists(child), seconds=20, pause=0.02)
    # In far less than the effect would have taken.
    assert stage.wait_final(following, seconds=40).state is State.DONE
    assert stage.job(job).state is State.CANCELLED
    wait_for("empty queues", lambda: not any(stage.depths().values()), seconds=20)


def test_the_unit_of_a_child_that_is_killed_is_taken_by_the_next(stage: Stage, worker: Process, film: Path) -> None:
    job = stage.queue("sleep", film, seconds=0.05)
    stage.wait_running(job)
    os.kill(stage.holder_pid(job), signal.SIGKILL)
    # The next one has what its service has loaded.
    assert "libtorch" in Path(f"/proc/{services(worker)['cpu-video']}/maps").read_text()
    assert stage.wait_final(job).state is State.DONE
    assert effects(stage, job) == ["lost", "done"]


def test_children_of_a_service_that_is_killed_hand_back(stage: Stage, worker: Process, film: Path) -> None:
    job = stage.queue("sleep", film, seconds=0.1)
    stage.wait_running(job)
    child = psutil.Process(stage.holder_pid(job))
    os.kill(services(worker)["cpu-video"], signal.SIGKILL)
    wait_ended([child, *child.children(recursive=True)], seconds=STOP_SECONDS + EXIT_SECONDS)
    found = stage.job(job)
    assert (found.state, found.tries, found.returns) == (State.QUEUED, 0, 1)
    # The supervisor starts the service again, and only that.
    assert stage.wait_final(job).state is State.DONE
    assert effects(stage, job) == ["stopped", "done"]


def test_a_busy_worker_stops_within_seconds(stage: Stage, worker: Process, photo: Path, film: Path) -> None:
    long, video = stage.queue("sleep", photo, seconds=8), stage.queue("sleep", film, seconds=0.1)
    stage.wait_running(long)
    stage.wait_running(video)
    waiting = stage.queue("pass-through", photo)
    family = worker.family()
    begun = time.monotonic()
    assert worker.stop() == 0
    assert time.monotonic() - begun < STOP_SECONDS + EXIT_SECONDS
    wait_ended(family, seconds=5)
    for job in (long, video):
        found = stage.job(job)
        assert (found.state, found.tries, found.returns) == (State.QUEUED, 0, 1)
        assert effects(stage, job)[-1:] == ["stopped"]
    assert stage.job(waiting).state is State.QUEUED
    # Every message is at the broker again, for whoever is there.
    depths = stage.depths()
    assert depths["cpu.photo"] >= 2
    assert depths["cpu.video"] >= 1
    assert stage.scratch_files() == []
    assert not list(stage.scratch.glob("worker-*/*"))
    assert not any(word in worker.text for word in WORDS), worker.text[-4000:]
    # A worker that comes finishes all of it.
    stage.start_worker()
    for job in (long, video, waiting):
        assert stage.wait_final(job).state is State.DONE


def test_a_supervisor_that_is_killed_takes_everything_along(stage: Stage, photo: Path, film: Path) -> None:
    worker = stage.processes[-1]
    nearly, video = stage.queue("sleep", photo, seconds=1), stage.queue("sleep", film, seconds=0.1)
    stage.wait_running(nearly)
    stage.wait_running(video)
    family = worker.family()
    worker.popen.kill()
    worker.popen.wait(30)
    # At once: the one before still has its slot.
    following = stage.start("worker", "--allow-cpu")
    wait_ended(family, seconds=STOP_SECONDS + EXIT_SECONDS)
    assert stage.job(nearly).state is State.DONE
    found = stage.job(video)
    assert (found.state, found.tries, found.returns) == (State.QUEUED, 0, 1)
    assert stage.wait_final(video).state is State.DONE
    assert "ended (" not in following.text
    following.stop()


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("orderly", [True, False], ids=["stops", "kills"])
def test_twenty_ends_in_mid_video(stage: Stage, film: Path, orderly: bool) -> None:
    job, worker, times = stage.queue("sleep", film, seconds=0.2), None, []
    for _ in range(20):
        worker = stage.start_worker(photos=0)
        if stage.job(job).state.final:
            assert stage.job(job).state is State.DONE
            job = stage.queue("sleep", film, seconds=0.2)
        stage.wait_running(job)
        time.sleep(random.uniform(0, 3))
        if orderly:
            begun = time.monotonic()
            assert worker.stop() == 0
            times.append(time.monotonic() - begun)
            found = stage.job(job)
            assert found.state is State.DONE or (found.state, found.tries) == (State.QUEUED, 0)
        else:
            worker.kill()
            assert stage.job(job).state is not State.FAILED
    stage.start_worker(photos=0)
    assert stage.wait_final(job, seconds=300).state is State.DONE
    print("seconds of the stops:", sorted(round(seconds, 1) for seconds in times))
