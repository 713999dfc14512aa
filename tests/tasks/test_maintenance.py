"""The periodic tasks, by the slot."""

import pytest

from db import assets, periodic
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
