"""What the table says about a message that the broker gave up: whether its unit still needs one."""

from __future__ import annotations

import enum
import uuid

import sqlalchemy as sa

from mayfly.db.states import State
from mayfly.db.tables import JOBS, SEGMENTS


class Answer(enum.Enum):
    """What becomes of a unit whose message is a dead letter."""

    UNKNOWN = "there is no such unit"
    DECIDED = "it needs none: it is finished, or somebody has it, and then the lease decides"
    RETURNED = "it waits for another"
    LOST = "it waits, and had as many as it may"


def return_dead_letter(engine: sa.Engine, job_id: uuid.UUID, number: int | None = None, *, limit: int) -> Answer:
    """Make a job, or its segment `number`, unsent if it is still queued, so that the outbox sends another message.

    `limit` is how often a unit may come back: a message that kills whoever takes it would go round for ever.
    """
    table, this = JOBS, JOBS.c.id == job_id
    if number is not None:
        table, this = SEGMENTS, sa.and_(SEGMENTS.c.job_id == job_id, SEGMENTS.c.number == number)
    queued = table.c.state == State.QUEUED.value
    with engine.begin() as connection:
        again = sa.update(table).where(this, queued, table.c.dead_letters < limit)
        if connection.execute(again.values(dead_letters=table.c.dead_letters + 1, sent_at=None)).rowcount:
            return Answer.RETURNED
        state = connection.execute(sa.select(table.c.state).where(this)).scalar_one_or_none()
    if state is None:
        return Answer.UNKNOWN
    return Answer.LOST if state == State.QUEUED else Answer.DECIDED
