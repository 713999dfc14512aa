"""Slots of periodic tasks: whoever comes first runs, once a period."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from db import periodic
from db.tables import PERIODIC_RUNS
from tests import clock


@pytest.fixture
def at(monkeypatch):
    """Set the wall clock that slots are counted by."""

    def set_time(seconds):
        monkeypatch.setattr(periodic.time, "time", lambda: float(seconds))

    return set_time


def test_a_slot_is_claimed_once(engine, at):
    at(1000)
    assert periodic.claim(engine, "a", period=60)
    at(1019)
    assert not periodic.claim(engine, "a", period=60)
    assert periodic.claim(engine, "b", period=60)
    at(1020)  # 17 × 60
    assert periodic.claim(engine, "a", period=60)


def test_of_many_beats_one_wins(engine, at):
    at(1000)
    barrier = threading.Barrier(10, timeout=30)

    def claim(_):
        barrier.wait()
        return periodic.claim(engine, "a", period=60)

    with ThreadPoolExecutor(10) as pool:
        assert sum(pool.map(claim, range(10), timeout=60)) == 1


def test_old_slots_are_forgotten(engine, at):
    with engine.begin() as connection:
        old = clock.after(-periodic.KEPT_SECONDS - 60)
        connection.execute(sa.insert(PERIODIC_RUNS).values(task="a", slot=1, claimed_at=old))
    at(1000)
    assert periodic.claim(engine, "a", period=60)
    with engine.connect() as connection:
        assert connection.execute(sa.select(PERIODIC_RUNS.c.slot)).scalars().all() == [16]
