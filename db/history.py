"""What becomes of rows when their own term is over: they are counted by day, and deleted.

A job's rows (its attempts, segments, assets and receipts as well) live until a stated time after its last asset was
destroyed. The counts name no owner and no job.
"""

from __future__ import annotations

import dataclasses
import datetime
import uuid
from collections import Counter
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from mayfly.db import clock, literal
from mayfly.db import engine as engines
from mayfly.db.tables import ASSETS, ATTEMPTS, DAILY_COUNTS, JOBS, RECEIPTS, SEGMENTS

JOB, RECEIPT = "job", "receipt"
IN_TIME, LATE = "in_time", "late"


@dataclasses.dataclass(frozen=True, order=True)
class Counted:
    """One line of the daily counts: what happened on a day (UTC), to which effect or class, with which outcome."""

    day: datetime.date
    kind: str
    name: str
    outcome: str


# Two sweeps at once take different jobs; SQLite lets one write at a time anyway.
_OVER = (
    sa.select(
        JOBS.c.id,
        JOBS.c.effect,
        JOBS.c.state,
        sa.func.coalesce(JOBS.c.finished_at, JOBS.c.emptied_at).label("ended_at"),
    )
    .where(
        JOBS.c.emptied_at < clock.after(-sa.bindparam("life", type_=sa.Float)),
        ~sa.exists().where(ASSETS.c.job_id == JOBS.c.id, literal.exists(ASSETS)),
    )
    .order_by(JOBS.c.emptied_at)
    .limit(sa.bindparam("limit", type_=sa.Integer))
    .with_for_update(skip_locked=True)
)
_OF_JOBS: sa.BindParameter[Any] = sa.bindparam("of_jobs", expanding=True)
_RECEIPTS = sa.select(RECEIPTS.c.retention, RECEIPTS.c.destroyed_at, RECEIPTS.c.deadline_at).where(
    RECEIPTS.c.job_id.in_(_OF_JOBS)
)
# In the order in which they refer to each other.
_DELETE = [sa.delete(table).where(table.c.job_id.in_(_OF_JOBS)) for table in (SEGMENTS, ATTEMPTS, RECEIPTS, ASSETS)]
_DELETE.append(sa.delete(JOBS).where(JOBS.c.id.in_(_OF_JOBS)))


def forget(engine: sa.Engine, *, life: float, limit: int) -> int:
    """Count and delete the jobs, at most `limit`, whose last asset went over `life` seconds ago; one transaction.

    Returns:
        How many there were.
    """
    with engine.begin() as connection:
        over = connection.execute(_OVER, {"life": life, "limit": limit}).all()
        if not over:
            return 0
        of_jobs: dict[str, list[uuid.UUID]] = {"of_jobs": [job.id for job in over]}
        counted = Counter(Counted(job.ended_at.date(), JOB, job.effect, job.state) for job in over)
        for receipt in connection.execute(_RECEIPTS, of_jobs):
            outcome = IN_TIME if receipt.destroyed_at <= receipt.deadline_at else LATE
            counted[Counted(receipt.destroyed_at.date(), RECEIPT, receipt.retention, outcome)] += 1
        _add(connection, counted)
        for statement in _DELETE:
            connection.execute(statement, of_jobs)
        return len(over)


def counts(engine: sa.Engine) -> dict[Counted, int]:
    """What was counted of rows that are gone, by day; what is still in the tables is not in it."""
    query = sa.select(DAILY_COUNTS).order_by(*DAILY_COUNTS.primary_key)
    with engines.reading(engine) as connection:
        return {Counted(*line): count for *line, count in connection.execute(query)}


def _add(connection: sa.Connection, counted: Counter[Counted]) -> None:
    """Raise the counts, in one order for all, so that two sweeps never wait for each other."""
    insert: Any = (sqlite if connection.dialect.name == "sqlite" else postgresql).insert(DAILY_COUNTS)
    raised = insert.on_conflict_do_update(
        index_elements=list(DAILY_COUNTS.primary_key),
        set_={"count": DAILY_COUNTS.c.count + insert.excluded.count},
    )
    lines = [dataclasses.asdict(line) | {"count": counted[line]} for line in sorted(counted)]
    connection.execute(raised, lines)
