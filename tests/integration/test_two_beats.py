"""Two beats at once: every slot of a periodic task runs once, and what is due is destroyed in time."""

from __future__ import annotations

import collections
import re

import sqlalchemy as sa

from mayfly.db import assets
from mayfly.db.states import State
from mayfly.db.tables import PERIODIC_RUNS
from mayfly.tasks.messages import queues
from tests.integration.stage import Process, Stage, wait_for

SLACK = 15.0  # seconds, for a machine that does other things as well


def test_what_is_due_is_destroyed_within_a_period(busy: Stage, overdue: str):
    period = queues.PERIODIC["purge.sweep"]
    wait_for("the sweep", lambda: busy.job(overdue).state.final, seconds=2 * period + SLACK)
    busy.wait_gone(overdue, "owner-of-the-overdue")
    job = busy.job(overdue)
    assert (job.state, job.error) == (State.FAILED, "expired")
    (receipt,) = assets.receipts(busy.engine, [job.id])
    assert receipt.asset_id == busy.assets(overdue)[0].id
    assert receipt.due_at < receipt.destroyed_at < receipt.deadline_at
    assert (receipt.destroyed_at - receipt.due_at).total_seconds() < period + SLACK


def test_each_slot_runs_once(busy: Stage, worker: Process, overdue: str):
    def slots() -> dict[int, int]:
        return collections.Counter(int(slot) for slot in re.findall(r"the outbox runs in slot (\d+)", worker.text))

    def sent() -> int:
        return len(re.findall(r"Task jobs\.resend\[[^]]*\] received", worker.text))

    wait_for("three slots", lambda: len(slots()) >= 3)
    ran, received = slots(), sent()
    assert set(ran.values()) == {1}
    # Both beats have sent, so that there was something to refuse.
    assert received > 1.5 * len(ran)
    with busy.engine.connect() as connection:
        rows = list(connection.execute(sa.select(PERIODIC_RUNS.c.slot).where(PERIODIC_RUNS.c.task == "jobs.resend")))
    assert {row[0] for row in rows} >= set(ran)
    assert all(
        len(re.findall(r"Sending due task jobs\.resend", process.text)) >= 2
        for process in busy.processes
        if process.log.name.startswith("beat")
    )
