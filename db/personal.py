"""A job's personal fields: which they are, and that they go with the last of what is stored of it."""

from __future__ import annotations

import uuid
from collections.abc import Collection

import sqlalchemy as sa

from mayfly.db import clock, findings
from mayfly.db import engine as engines
from mayfly.db.states import AssetState, State
from mayfly.db.tables import ASSETS, JOBS

FIELDS = ("parameters", "output", "video", "owner", "consent", "idempotency_key", "fingerprint")

_BLANK: dict[str, None] = dict.fromkeys(FIELDS)
_OF_JOBS = JOBS.c.id.in_(sa.bindparam("of_jobs", expanding=True))
_NEEDLESS = sa.and_(
    JOBS.c.state.in_([state.value for state in State if state.final]),
    ~sa.exists().where(ASSETS.c.job_id == JOBS.c.id, ASSETS.c.state != AssetState.DESTROYED.value),
)
# With them the term of the row itself begins.
_EMPTIED = sa.func.coalesce(JOBS.c.emptied_at, clock.now())
_FORGET = sa.update(JOBS).where(_OF_JOBS, _NEEDLESS).values(emptied_at=_EMPTIED, **_BLANK)
_LOCK = sa.select(JOBS.c.id).where(_OF_JOBS).order_by(JOBS.c.id).with_for_update(key_share=True)
_LEFT = sa.or_(JOBS.c.emptied_at.is_(sa.null()), *(JOBS.c[name].is_not(sa.null()) for name in FIELDS))
_SOME_LEFT = sa.select(JOBS.c.id).where(_LEFT, _NEEDLESS).limit(sa.bindparam("most"))
# Whoever has one of them locked sees to it.
_FREE = _SOME_LEFT.with_for_update(key_share=True, skip_locked=True)


def lock(connection: sa.Connection, job_ids: Collection[uuid.UUID]) -> None:
    """Wait for whoever destroys assets of these jobs: of two at once, neither would see what the other has done.

    In the order of their ids, so that nobody waits for each other.
    """
    connection.execute(_LOCK, {"of_jobs": sorted(job_ids)})


def forget(connection: sa.Connection, job_ids: Collection[uuid.UUID]) -> None:
    """Blank the fields of those of these jobs that have ended and of which nothing is stored."""
    connection.execute(_FORGET, {"of_jobs": list(job_ids)})


def forget_left_behind(engine: sa.Engine, *, most: int) -> int:
    """Blank the fields of jobs that need them no more and have them all the same, which should never be.

    Returns:
        How many jobs that were, of `most` at once; mayfly.db.findings keeps it.
    """
    with engines.reading(engine) as connection:
        if connection.execute(_SOME_LEFT, {"most": 1}).first() is None:
            return 0
    with engine.begin() as connection:
        free = connection.execute(_FREE, {"most": most}).scalars().all()
        found = connection.execute(_FORGET, {"of_jobs": free}).rowcount
        if found:
            findings.note(connection, findings.LEFT_BEHIND, found)
    return found
