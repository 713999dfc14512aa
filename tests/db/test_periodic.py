"""Slots of periodic tasks: whoever comes first runs, once a period, by the database's clock."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import sqlalchemy as sa

from mayfly.db import periodic
from mayfly.db.tables import PERIODIC_RUNS
from tests import clock

LONG = 1e9  # seconds; no test sees the end of such a slot


def test_a_slot_is_claimed_once(engine):
    assert periodic.claim(engine, "a", period=LONG)
    assert not periodic.claim(engine, "a", period=LONG)
    assert periodic.claim(engine, "b", period=LONG)


def test_the_next_slot_is_another(engine):
    assert periodic.claim(engine, "a", period=0.2)
    time.sleep(0.25)
    assert periodic.claim(engine, "a", period=0.2)


def test_a_machine_whose_clock_is_off_claims_the_same_slot(engine, monkeypatch):
    assert periodic.claim(engine, "a", period=LONG)
    wrong = time.time() + 2 * LONG
    monkeypatch.setattr(time, "time", lambda: wrong)
    assert not periodic.claim(engine, "a", period=LONG)


def test_of_many_beats_one_wins(engine):
    barrier = threading.Barrier(10, timeout=30)

    def claim(_):
        barrier.wait()
        return periodic.claim(engine, "a", period=LONG)

    with ThreadPoolExecutor(10) as pool:
        assert sum(pool.map(claim, range(10), timeout=60)) == 1


def test_old_slots_are_forgotten(engine):
    with engine.begin() as connection:
        old = clock.after(-periodic.KEPT_SECONDS - 60)
        connection.execute(sa.insert(PERIODIC_RUNS).values(task="a", slot=-1, claimed_at=old))
    assert periodic.claim(engine, "a", period=LONG)
    with engine.connect() as connection:
        (slot,) = connection.execute(sa.select(PERIODIC_RUNS.c.slot)).scalars()
    assert slot == time.time() // LONG


def test_it_is_known_when_a_task_last_ran(engine):
    assert periodic.seconds_since(engine, "a") is None
    for age in (50, 40):
        with engine.begin() as connection:
            values = {"task": "a", "slot": age, "claimed_at": clock.after(-age)}
            connection.execute(sa.insert(PERIODIC_RUNS).values(**values))
    # The database reads its clock for each row.
    assert 39.9 <= periodic.seconds_since(engine, "a") < 45
    assert periodic.seconds_since(engine, "b") is None
