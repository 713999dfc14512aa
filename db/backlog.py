"""How much may wait: bounds for one owner and for all, kept where a job is made, so that nothing is stored in vain."""

from __future__ import annotations

import dataclasses
from typing import NoReturn

import sqlalchemy as sa

from mayfly.db import clock, literal
from mayfly.db.errors import Overloaded
from mayfly.db.tables import JOBS

SOONEST_SECONDS, LATEST_SECONDS = 5.0, 600.0  # to come back after


@dataclasses.dataclass(frozen=True, kw_only=True)
class Bounds:
    """At most so many jobs that are not finished, and so many bytes of their uploads; one owner's are all's as well."""

    owner_jobs: int
    owner_bytes: int
    jobs: int
    bytes: int


_OWNER = sa.bindparam("of_owner", type_=sa.String)
_OLDEST = sa.func.min(JOBS.c.created_at)
_BYTES = sa.func.sum(JOBS.c.input_bytes)
_THEIRS = JOBS.c.owner == _OWNER  # of nobody's jobs, none
# One pass over the index of what is not finished.
_ASK = sa.select(
    sa.func.count(),
    sa.func.coalesce(_BYTES, 0),
    clock.seconds_between(_OLDEST, clock.now()),
    sa.func.count().filter(_THEIRS),
    sa.func.coalesce(_BYTES.filter(_THEIRS), 0),
    clock.seconds_between(_OLDEST.filter(_THEIRS), clock.now()),
).where(literal.is_unfinished(JOBS))
# Of two submits at once by one owner, the second counts when the first has ended.
_LOCK = sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtext("mayfly-owner"), sa.func.hashtext(_OWNER)))


def check(connection: sa.Connection, owner: str | None, bounds: Bounds) -> None:
    """Whether the job that this transaction has made, for this owner, is one too many.

    An owner's bound is exact; of the bound for all, as many may be over as are made in the same moment.

    Raises:
        Overloaded: it is; the transaction is to be rolled back.
    """
    this = {"of_owner": owner}
    if owner is not None and connection.dialect.name == "postgresql":
        connection.execute(_LOCK, this)
    jobs, size, age, own_jobs, own_size, own_age = connection.execute(_ASK, this).one()
    if own_jobs > bounds.owner_jobs or own_size > bounds.owner_bytes:
        _refuse("of this owner", own_jobs, own_jobs - bounds.owner_jobs, own_age)
    if jobs > bounds.jobs or size > bounds.bytes:
        _refuse("of all owners", jobs, jobs - bounds.jobs, age)


def _refuse(whose: str, jobs: int, over: int, age: float) -> NoReturn:
    # The oldest has seen all that were ahead of it go; if the others go on like that, there is room by then.
    pace = age / jobs
    seconds = round(min(max(pace * max(1, over), SOONEST_SECONDS), LATEST_SECONDS))
    raise Overloaded(f"too much {whose} waits already; try again in {seconds} s", retry_after=seconds)
