"""Deletes rows whose term is over, a few at a time, so that nobody waits for it."""

from __future__ import annotations

import logging

import sqlalchemy as sa

from mayfly.db import history

log = logging.getLogger(__name__)

FORGET = "purge.forget"  # the periodic task
BATCH = 500
MOST = 100  # batches of one sweep; the next goes on


def sweep(engine: sa.Engine, *, life: float) -> int:
    """Delete the rows of jobs whose last asset was destroyed over `life` seconds ago; returns how many jobs.

    Raises:
        DatabaseMissing: what was deleted before stays so.
    """
    total = 0
    for _ in range(MOST):
        found = history.forget(engine, life=life, limit=BATCH)
        total += found
        if found < BATCH:
            break
    if total:
        log.info("the rows of %d jobs were deleted, for their term was over; they are counted", total)
    return total
