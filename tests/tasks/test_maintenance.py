"""The periodic tasks, by the slot; their messages only ask."""

import pytest
import sqlalchemy as sa

from mayfly.db import assets, jobs, periodic
from mayfly.db.errors import DatabaseFull, DatabaseMissing
from mayfly.db.states import State
from mayfly.db.tables import JOBS, PERIODIC_RUNS
from mayfly.settings import Settings
from mayfly.tasks import maintenance
from mayfly.tasks.app import create
from mayfly.tasks.attempts import outage
from mayfly.tasks.messages import queues
from tests import clock


@pytest.fixture
def slotted(rt, monkeypatch):
    monkeypatch.setitem(queues.PERIODIC, maintenance.SWEEP, 1e9)
    monkeypatch.setitem(queues.PERIODIC, maintenance.RESEND, 1e9)
    return rt


def test_a_sweep_runs_once_a_slot(slotted, job, monkeypatch):
    first = job(due_at=clock.after(-1))
    maintenance.run(slotted, maintenance.SWEEP)
    second = job(due_at=clock.after(-1))
    maintenance.run(slotted, maintenance.SWEEP)
    assert len(assets.receipts(slotted.engine, [first, second])) == 1
    monkeypatch.setitem(queues.PERIODIC, maintenance.SWEEP, 1e8)
    maintenance.run(slotted, maintenance.SWEEP)
    assert len(assets.receipts(slotted.engine, [first, second])) == 2


def test_no_full_disk_keeps_the_sweep_from_its_work(rt, job, monkeypatch):
    """It frees space; whatever else is periodic can wait."""
    due = job(due_at=clock.after(-1))
    job()

    def full(*_, **__):
        raise DatabaseFull("the disk is full")

    monkeypatch.setattr(periodic, "claim", full)
    maintenance.run(rt, maintenance.SWEEP)
    assert len(assets.receipts(rt.engine, [due])) == 1
    maintenance.run(rt, maintenance.RESEND)
    assert rt.sender.sent == []


def test_the_outbox_runs_once_a_slot(slotted, job):
    first = job()
    maintenance.run(slotted, maintenance.RESEND)
    job()
    maintenance.run(slotted, maintenance.RESEND)
    assert slotted.sender.sent == [first]


def test_rows_go_when_the_settings_say(rt, job):
    first = job()
    jobs.end(rt.engine, first, to=State.CANCELLED)
    for asset in assets.of_job(rt.engine, first):
        assets.record_destruction(rt.engine, asset, verified="absent")
    for ago, left in ((rt.settings.job_history - 60, [first]), (rt.settings.job_history + 60, [])):
        with rt.engine.begin() as connection:
            connection.execute(sa.update(JOBS).values(emptied_at=clock.after(-ago)))
            connection.execute(sa.delete(PERIODIC_RUNS))
        maintenance.run(rt, maintenance.FORGET)
        assert [row.id for row in jobs.recent(rt.engine, limit=9)] == left


def test_the_dead_letters_are_buried(rt, monkeypatch):
    buried = []
    monkeypatch.setattr(maintenance.dead_letters, "bury", buried.append)
    maintenance.run(rt, maintenance.BURY)
    assert buried == [rt]


def test_a_server_that_is_away_is_noted(rt, monkeypatch):
    def away(_):
        raise DatabaseMissing("away")

    monkeypatch.setitem(maintenance.WORK, maintenance.SWEEP, away)
    assert rt.outages.over_for(10)
    maintenance.run(rt, maintenance.SWEEP)
    assert not rt.outages.over_for(10)
    assert not periodic.claim(rt.engine, maintenance.SWEEP, period=queues.PERIODIC[maintenance.SWEEP])


def test_an_outage_is_told_once_and_the_next_one_again(rt, monkeypatch, caplog):
    error = DatabaseMissing("away")

    def away(_):
        raise error

    def lines():
        with rt.engine.begin() as connection:
            connection.execute(sa.delete(PERIODIC_RUNS))
        caplog.clear()
        maintenance.run(rt, maintenance.RESEND)
        return [record.message for record in caplog.records]

    monkeypatch.setitem(maintenance.WORK, maintenance.RESEND, away)
    assert lines() == ["jobs.resend: database_unreachable: away"]
    assert lines() == []
    error = DatabaseFull("full")
    assert lines() == ["jobs.resend: disk_full: full"]
    assert lines() == []
    monkeypatch.setattr(outage, "OVER_SECONDS", 0)
    assert lines() == ["jobs.resend: disk_full: full"]


def test_every_periodic_task_exists_and_its_message_asks():
    app = create(Settings())
    assert set(maintenance.WORK) == set(maintenance.ASKED) == set(queues.PERIODIC)
    assert all(period > 0 for period in queues.PERIODIC.values())
    for name, asked in maintenance.ASKED.items():
        asked.clear()
        app.tasks[name]()
        assert asked.is_set()
        asked.clear()
