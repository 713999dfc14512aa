"""The periodic tasks, by the slot."""

import pytest
import sqlalchemy as sa

from db import assets, jobs, periodic
from db.states import State
from db.tables import JOBS, PERIODIC_RUNS
from tasks import maintenance, queues, runtime
from tests import clock


@pytest.fixture
def current(rt, monkeypatch):
    monkeypatch.setattr(runtime, "_current", rt)
    monkeypatch.setitem(queues.PERIODIC, "purge.sweep", 1e9)
    return rt


def test_a_sweep_runs_once_a_slot(current, job, monkeypatch):
    first = job(due_at=clock.after(-1))
    maintenance.sweep()
    second = job(due_at=clock.after(-1))
    maintenance.sweep()
    assert len(assets.receipts(current.engine, [first, second])) == 1
    monkeypatch.setitem(queues.PERIODIC, "purge.sweep", 1e8)
    maintenance.sweep()
    assert len(assets.receipts(current.engine, [first, second])) == 2


def test_the_outbox_runs_once_a_slot(current, job):
    first = job()
    maintenance.resend()
    job()
    maintenance.resend()
    assert current.sender.sent == [first]


def test_rows_go_when_the_settings_say(current, job):
    first = job()
    jobs.end(current.engine, first, to=State.CANCELLED)
    for asset in assets.of_job(current.engine, first):
        assets.record_destruction(current.engine, asset, verified="absent")
    for ago, left in ((current.settings.job_history - 60, [first]), (current.settings.job_history + 60, [])):
        with current.engine.begin() as connection:
            connection.execute(sa.update(JOBS).values(emptied_at=clock.after(-ago)))
            connection.execute(sa.delete(PERIODIC_RUNS))
        maintenance.forget()
        assert [row.id for row in jobs.recent(current.engine, limit=9)] == left


def test_there_are_no_dead_letters_in_process(current):
    maintenance.bury()
    assert periodic.claim(current.engine, "jobs.bury", period=queues.PERIODIC["jobs.bury"])


def test_every_periodic_task_exists():
    names = {task.name for task in (maintenance.sweep, maintenance.forget, maintenance.resend, maintenance.bury)}
    assert names == set(queues.PERIODIC)
    assert all(period > 0 for period in queues.PERIODIC.values())


def test_no_task_runs_without_a_runtime(monkeypatch):
    monkeypatch.setattr(runtime, "_current", None)
    with pytest.raises(RuntimeError, match="no runtime"):
        maintenance.sweep()
