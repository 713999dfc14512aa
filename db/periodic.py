"""Slots of periodic tasks, so that two beats at once run each task once."""

from __future__ import annotations

import datetime

import sqlalchemy as sa

from mayfly.db import clock
from mayfly.db import engine as engines
from mayfly.db.moment import Moment
from mayfly.db.tables import PERIODIC_RUNS

KEPT_SECONDS = 24 * 3600

_EPOCH = sa.select(
    clock.seconds_between(sa.literal(datetime.datetime.fromtimestamp(0, datetime.UTC), Moment()), clock.now())
)
_LAST = sa.select(sa.func.max(PERIODIC_RUNS.c.claimed_at)).where(PERIODIC_RUNS.c.task == sa.bindparam("task"))
_OLD = sa.delete(PERIODIC_RUNS).where(
    PERIODIC_RUNS.c.task == sa.bindparam("of_task"), PERIODIC_RUNS.c.slot < sa.bindparam("before")
)


def claim(engine: sa.Engine, task: str, *, period: float) -> bool:
    """Take the present slot of a task. False when somebody has it already.

    Args:
        engine: the database.
        task: the periodic task's name.
        period: its period in seconds; the slot is floor(now / period), by the database's clock.
    """
    with engine.begin() as connection:
        slot = int(connection.execute(_EPOCH).scalar_one() // period)
        taken = engines.insert_or_skip(engine, PERIODIC_RUNS).values(task=task, slot=slot, claimed_at=clock.now())
        if connection.execute(taken.returning(PERIODIC_RUNS.c.slot)).one_or_none() is None:
            return False
        connection.execute(_OLD, {"of_task": task, "before": slot - int(KEPT_SECONDS // period)})
    return True


def seconds_since(engine: sa.Engine, task: str) -> float | None:
    """How long ago a slot of this task was last taken, in seconds; None when not in the last day."""
    with engines.reading(engine) as connection:
        last = _LAST.scalar_subquery()
        found = connection.execute(sa.select(clock.seconds_between(last, clock.now())), {"task": task}).scalar()
    return None if found is None else float(found)
