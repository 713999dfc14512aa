"""Slots of periodic tasks, so that two beats at once run each task once."""

from __future__ import annotations

import time

import sqlalchemy as sa

from db import clock
from db.tables import PERIODIC_RUNS

KEPT_SECONDS = 24 * 3600


def claim(engine: sa.Engine, task: str, *, period: float) -> bool:
    """Take the present slot of a task. False when somebody has it already.

    Args:
        engine: the database.
        task: the periodic task's name.
        period: its period in seconds; the slot is floor(now / period).
    """
    slot = int(time.time() // period)
    try:
        with engine.begin() as connection:
            connection.execute(sa.insert(PERIODIC_RUNS).values(task=task, slot=slot, claimed_at=clock.now()))
            connection.execute(sa.delete(PERIODIC_RUNS).where(PERIODIC_RUNS.c.claimed_at < clock.after(-KEPT_SECONDS)))
    except sa.exc.IntegrityError:
        return False
    return True
