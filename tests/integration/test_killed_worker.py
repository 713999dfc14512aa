"""A worker's child that dies in mid-job costs an attempt, not the job; one that always dies costs the job alone."""

from __future__ import annotations

import os
import signal
import uuid
from pathlib import Path

import pytest
import sqlalchemy as sa

from mayfly.db.states import State
from mayfly.db.tables import JOBS
from mayfly.tasks.messages import dead_letters, queues
from tests.integration.stage import Stage, wait_for


@pytest.fixture(scope="module")
def deadly(busy: Stage, clip: Path) -> str:
    """A video whose effect kills its child, in every attempt."""
    return busy.submit("die", clip, "--owner", "owner-deadly")["job"]


@pytest.fixture(scope="module")
def deadly_message(busy: Stage, photo: Path) -> str:
    """A job whose message kills its process before the job is claimed."""
    with pytest.MonkeyPatch.context() as patch:
        # The deadly message takes the place of the job's own.
        patch.setattr("mayfly.tasks.messages.sender.Sender.send", lambda _self, _jobs: 0)
        job = busy.queue("pass-through", photo, "owner-of-the-message")
    with busy.engine.begin() as connection:
        # As if it had come back as often as it may: each time takes a minute.
        # Its age would bring it a message of its own before this one is given up.
        later = sa.func.now() + sa.text("interval '10 minutes'")
        values = {"sent_at": later, "dead_letters": dead_letters.RETURNS}
        connection.execute(sa.update(JOBS).where(JOBS.c.id == uuid.UUID(job)).values(values))
    send = busy.runtime.sender.app.send_task
    send("stage.die", args=(job,), queue=queues.MEDIA, argsrepr="-", kwargsrepr="-", mandatory=True)
    return job


def test_a_job_whose_child_is_killed_is_done_by_another(busy: Stage, photo: Path, deadly: str, deadly_message: str):
    job = busy.queue("sleep", photo, seconds=2)
    busy.wait_running(job)
    first = busy.holder_pid(job)
    os.kill(first, signal.SIGKILL)
    assert busy.wait_final(job).state is State.DONE
    effects = [(outcome, holder) for stage, outcome, holder in busy.attempts(job) if stage == "effect"]
    assert [outcome for outcome, _ in effects] == ["lost", "done"]
    assert f":{first}:" in effects[0][1]
    assert f":{first}:" not in effects[1][1]
    wait_for("the input's end", lambda: len(busy.objects(job)) == 1, seconds=30)


def test_a_job_that_kills_every_child_fails_and_its_input_goes(busy: Stage, deadly: str, clip: Path):
    found = busy.wait_final(deadly, seconds=180)
    assert (found.state, found.error) == (State.FAILED, "worker_lost")
    outcomes = [outcome for stage, outcome, _ in busy.attempts(deadly) if stage == "effect"]
    assert outcomes[: busy.settings.max_attempts] == ["lost"] * busy.settings.max_attempts
    assert len(outcomes) <= busy.settings.max_attempts + 1
    busy.wait_gone(deadly, "owner-deadly")
    # The same lane goes on.
    assert busy.submit("pass-through", clip, "--wait")["state"] == "done"


def test_a_message_that_kills_before_the_claim_ends_as_a_failed_job(busy: Stage, deadly_message: str):
    # As many deliveries as the limit allows, then the burial by beat.
    found = busy.wait_final(deadly_message, seconds=180)
    assert (found.state, found.error) == (State.FAILED, "worker_lost")
    assert busy.attempts(deadly_message) == []
    busy.wait_gone(deadly_message, "owner-of-the-message")
    wait_for("empty queues", lambda: not any(busy.depths().values()), seconds=20)


def test_children_that_were_killed_leave_no_scratch(busy: Stage, deadly: str):
    busy.wait_final(deadly, seconds=180)
    # The next child removes what the one before has left.
    wait_for("an empty scratch folder", lambda: not busy.scratch_files(), seconds=30)
