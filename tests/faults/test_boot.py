"""A worker that starts while a server is away takes nothing, and works within seconds of the server's return."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from mayfly.db.states import State
from mayfly.db.tables import PERIODIC_RUNS
from tests.faults.overdue import destroyed, overdue
from tests.faults.proxy import Proxy
from tests.integration.stage import Stage, opened, wait_for

RETURN_SECONDS = 15.0


@pytest.fixture
def stage(servers: dict[str, str], tmp_path: Path) -> Iterator[Stage]:
    """A stage of its own."""
    with opened(servers, tmp_path) as stage:
        yield stage


@pytest.mark.parametrize("server", ["database_url", "storage_url"])
def test_a_worker_waits_for_a_server_and_takes_nothing_before(stage: Stage, photo: Path, server: str) -> None:
    url = stage.variables[f"MAYFLY_{server.upper()}"]
    with contextlib.ExitStack() as running:
        proxy = running.enter_context(Proxy.before(url))
        proxy.away()
        worker = stage.start("worker", "--allow-cpu", "--videos=0", **{server: proxy.through(url)})
        job = stage.queue("pass-through", photo)
        due = overdue(stage)
        waits = "takes nothing until it is back"
        # Two of the service for ingest and joins, and one for photos.
        wait_for("waiting children", lambda: worker.text.count(waits) == 3, seconds=200)
        assert stage.consumers("cpu.photo") == stage.consumers("maintenance") == 0
        assert stage.job(job).state is State.QUEUED
        assert stage.attempts(job) == []
        assert not destroyed(stage, due)
        proxy.back()
        begun = time.monotonic()
        assert stage.wait_final(job).state is State.DONE
        assert time.monotonic() - begun < RETURN_SECONDS
        # Maintenance does not wait for any period.
        wait_for("the end of what was due", lambda: destroyed(stage, due), seconds=15)
        assert "Traceback" not in worker.text
        assert worker.stop() == 0


def test_a_child_that_cannot_boot_ends_its_service_which_is_started_again(stage: Stage) -> None:
    # A module that is missing is no outage.
    worker = stage.start("worker", "--videos=0", "--photos=0", effect_modules="no_such_module_anywhere")
    wait_for("the supervisor's reason", lambda: "service media ended" in worker.text, seconds=200)
    assert stage.consumers("media") == 0
    # An effect that is broken keeps nobody from destroying.
    due = overdue(stage)
    wait_for("the consumer of maintenance", lambda: stage.consumers("maintenance"))
    assert "going on without" in worker.text
    ask(stage, "purge.sweep")
    wait_for("the end of what was due", lambda: destroyed(stage, due))


def ask(stage: Stage, task: str) -> None:
    """Send a periodic task's message in a slot of its own, as a beat does in the next one."""
    with stage.engine.begin() as connection:
        connection.execute(sa.delete(PERIODIC_RUNS))
    stage.runtime.sender.app.send_task(task, queue="maintenance", argsrepr="-", kwargsrepr="-", ignore_result=True)
