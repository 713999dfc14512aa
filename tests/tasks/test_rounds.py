"""Periodic tasks run when they are asked for, and by the clock when nobody has run them for two of their periods."""

import threading

import pytest
import sqlalchemy as sa

from mayfly.db import periodic
from mayfly.db.errors import DatabaseFull, DatabaseMissing
from mayfly.db.tables import PERIODIC_RUNS
from mayfly.tasks import maintenance, rounds
from mayfly.tasks.messages import queues
from mayfly.tasks.rounds import Rounds
from tests import clock

SECONDS = 30.0  # that anything may take on a busy machine


@pytest.fixture
def ran(monkeypatch):
    """How often each task was run; none of them does its work."""
    counts = {name: threading.Semaphore(0) for name in maintenance.WORK}
    for name, count in counts.items():
        monkeypatch.setitem(maintenance.WORK, name, lambda _, count=count: count.release())
        # One slot holds until the end of all days, so whatever runs a second time was not asked twice.
        monkeypatch.setitem(queues.PERIODIC, name, 1e9)
    return counts


@pytest.fixture
def begun(rt):
    """Rounds that are stopped at the end."""
    started = []

    def begin(**options):
        started.append(Rounds(rt, **options))
        started[-1].start()
        return started[-1]

    yield begin
    for one in started:
        assert one.stop(SECONDS)


def swept(rt, *, ago):
    """The sweep's last slot was taken so many seconds ago."""
    with rt.engine.begin() as connection:
        values = {"task": maintenance.SWEEP, "slot": -1, "claimed_at": clock.after(-ago)}
        connection.execute(sa.insert(PERIODIC_RUNS).values(**values))


def test_what_became_due_while_nobody_worked_is_done_at_once(begun, ran, rt):
    # Not overdue by the clock.
    swept(rt, ago=30)
    begun()
    assert ran[maintenance.SWEEP].acquire(timeout=SECONDS)
    assert ran[maintenance.RESEND].acquire(timeout=SECONDS)


def test_embedded_there_are_no_dead_letters(begun, ran, rt):
    begun()
    assert ran[maintenance.SWEEP].acquire(timeout=SECONDS)
    assert periodic.claim(rt.engine, maintenance.BURY, period=queues.PERIODIC[maintenance.BURY])


def test_a_message_asks(begun, ran, monkeypatch):
    begun()
    assert ran[maintenance.SWEEP].acquire(timeout=SECONDS)
    monkeypatch.setitem(queues.PERIODIC, maintenance.SWEEP, 1e8)
    maintenance.ASKED[maintenance.SWEEP].set()
    assert ran[maintenance.SWEEP].acquire(timeout=SECONDS)
    assert not maintenance.ASKED[maintenance.SWEEP].is_set()


def test_without_any_message_the_clock_asks_again_and_again(begun, ran, monkeypatch):
    monkeypatch.setitem(queues.PERIODIC, maintenance.SWEEP, 0.2)
    begun()
    for _ in range(4):
        assert ran[maintenance.SWEEP].acquire(timeout=SECONDS)


@pytest.mark.parametrize(("ago", "left"), [(0, 120), (70, 50), (121, -1)])
def test_the_clock_waits_for_two_periods(rt, ago, left):
    swept(rt, ago=ago)
    assert Rounds(rt)._left(maintenance.SWEEP) == pytest.approx(left, abs=5)
    assert rounds.PATIENCE == 2
    assert queues.PERIODIC[maintenance.SWEEP] == 60


def test_what_was_never_run_is_due(rt):
    assert Rounds(rt)._left(maintenance.SWEEP) <= 0


@pytest.mark.parametrize(("error", "lines"), [(DatabaseMissing("away"), 1), (ValueError("a face's name"), 2)])
def test_an_error_ends_no_thread_and_is_told_without_its_text(begun, ran, monkeypatch, caplog, error, lines):
    calls = []

    def fail(_):
        calls.append(1)
        if len(calls) < 3:
            raise error
        ran[maintenance.SWEEP].release()

    monkeypatch.setattr(rounds, "TROUBLE_SECONDS", 0.05)
    monkeypatch.setitem(queues.PERIODIC, maintenance.SWEEP, 0.05)
    monkeypatch.setitem(maintenance.WORK, maintenance.SWEEP, fail)
    begun()
    assert ran[maintenance.SWEEP].acquire(timeout=SECONDS)
    said = [record for record in caplog.records if record.name in ("mayfly.tasks.rounds", "mayfly.tasks.maintenance")]
    # One outage is one line.
    assert len(said) == lines
    assert "face" not in caplog.text
    assert said[0].exc_info is None


def test_a_full_disk_on_which_no_slot_can_be_noted_is_not_swept_all_the_time(begun, ran, monkeypatch):
    def full(*_, **__):
        raise DatabaseFull("full")

    monkeypatch.setattr(periodic, "claim", full)
    begun()
    assert ran[maintenance.SWEEP].acquire(timeout=SECONDS)
    assert not ran[maintenance.SWEEP].acquire(timeout=20 * rounds.LEAST_SECONDS)


def test_a_database_that_cannot_be_asked_ends_no_thread(begun, ran, monkeypatch):
    ask, calls = periodic.seconds_since, []

    def away(engine, task):
        if task == maintenance.SWEEP:
            calls.append(1)
            if len(calls) < 3:
                raise DatabaseMissing("away")
        return ask(engine, task)

    monkeypatch.setattr(rounds, "TROUBLE_SECONDS", 0.05)
    monkeypatch.setattr(periodic, "seconds_since", away)
    begun()
    assert ran[maintenance.SWEEP].acquire(timeout=SECONDS)


def test_a_database_that_is_away_is_noted_and_not_asked_all_the_time(begun, rt, monkeypatch, caplog):
    calls = []

    def away(engine, task):
        calls.append(task)
        raise DatabaseMissing("away")

    monkeypatch.setattr(periodic, "seconds_since", away)
    assert rt.outages.over_for(SECONDS)
    started = begun()
    for thread in started._threads:
        thread.join(0.2)
    assert sorted(calls) == sorted({*calls})
    assert {thread.name for thread in started._threads} == {*calls}
    assert not rt.outages.over_for(SECONDS)
    assert len(caplog.records) == len(calls)


def test_a_stop_while_a_task_is_taken_up_is_not_lost(begun, ran, monkeypatch):
    taken, stopped = threading.Event(), threading.Event()

    def work(_):
        # The message was taken; now the stop comes, whose own asking is taken for another.
        taken.set()
        stopped.wait(SECONDS)
        maintenance.ASKED[maintenance.SWEEP].clear()

    monkeypatch.setitem(maintenance.WORK, maintenance.SWEEP, work)
    started = begun()
    assert taken.wait(SECONDS)
    assert not started.stop(0)
    stopped.set()
    for thread in started._threads:
        thread.join(SECONDS)
        assert not thread.is_alive()


def test_a_long_sweep_holds_up_nothing_else(begun, ran, monkeypatch):
    end = threading.Event()
    monkeypatch.setitem(maintenance.WORK, maintenance.SWEEP, lambda _: end.wait(SECONDS))
    started = begun()
    try:
        assert ran[maintenance.RESEND].acquire(timeout=SECONDS)
        assert not started.stop(0)
    finally:
        end.set()
