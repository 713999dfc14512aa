"""Claims on jobs: one worker at a time, under a lease, with a fence that shuts out whoever lost it.

A claim is one UPDATE that raises `attempt` and returns it; every later write names that attempt and changes
nothing once a newer one exists.
"""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from mayfly.db import assets, clock, jobs
from mayfly.db import engine as engines
from mayfly.db.rows import AssetRow, JobRow
from mayfly.db.states import Stage, State, before
from mayfly.db.tables import ATTEMPTS, JOBS


@dataclasses.dataclass(frozen=True, kw_only=True)
class Claim:
    """A job that is ours while the lease lasts; `job.attempt` is the fence, `input` None when it is gone."""

    job: JobRow
    input: AssetRow | None
    lease: float

    @property
    def fence(self) -> int:
        """The token without which no write succeeds."""
        return self.job.attempt

    @property
    def name(self) -> str:
        """Unique among all attempts; good for a log and a folder."""
        return f"{self.job.id}-{self.fence}"

    @property
    def tries(self) -> int:
        """How many attempts there were at this stage, this one included."""
        return self.job.tries


# Statements are built once, for that costs more than to run them; parameters named as columns are what is set.
_TAKE = (
    sa.update(JOBS)
    .where(
        JOBS.c.id == sa.bindparam("of_job"),
        JOBS.c.stage == sa.bindparam("at_stage"),
        sa.or_(
            JOBS.c.state == State.QUEUED.value,
            sa.and_(
                JOBS.c.state == State.RUNNING.value,
                # Our own claim, whose confirmation was lost: a holder does one thing at a time.
                sa.or_(
                    JOBS.c.lease_until < clock.now(),
                    JOBS.c.holder.in_([sa.bindparam("dead_holder"), sa.bindparam("by")]),
                ),
            ),
        ),
    )
    .values(
        state=State.RUNNING.value,
        attempt=JOBS.c.attempt + 1,
        tries=JOBS.c.tries + sa.case((JOBS.c.holder == sa.bindparam("by"), 0), else_=1),
        started_at=sa.func.coalesce(JOBS.c.started_at, clock.now()),
        lease_until=clock.after(sa.bindparam("lease")),
        holder=sa.bindparam("by"),
    )
    .returning(JOBS)
)
_OPEN_ATTEMPT = sa.insert(ATTEMPTS).values(started_at=clock.now())
_HELD = sa.and_(
    JOBS.c.id == sa.bindparam("of_job"),
    JOBS.c.attempt == sa.bindparam("fence"),
    JOBS.c.state == State.RUNNING.value,
)
_OURS = sa.update(JOBS).where(_HELD)
_EXTEND = _OURS.values(lease_until=clock.after(sa.bindparam("lease")))
_HOLDS = sa.select(JOBS.c.id).where(_HELD)
_HAND_OVER = _OURS.values(attempt=JOBS.c.attempt + 1, lease_until=None, holder=None)
_FINISH = _OURS.values(units_done=sa.func.coalesce(JOBS.c.units_total, 1))


def take(
    engine: sa.Engine,
    job_id: uuid.UUID,
    *,
    stage: Stage,
    holder: str,
    lease: float,
    dead_holder: str | None = None,
) -> Claim | None:
    """Claim a job that is queued, whose lease is over, or whose holder is known to be dead.

    Returns:
        None when the job is not at this stage, is finished, or belongs to somebody who lives.
    """
    values = {
        "of_job": job_id,
        "at_stage": stage.value,
        "dead_holder": dead_holder or "",
        "by": holder,
        "lease": lease,
    }
    with engine.begin() as connection:
        row = connection.execute(_TAKE, values).one_or_none()
        if row is None:
            return None
        if row.attempt > 1:
            jobs.end_attempts(connection, job_id, outcome="lost")
        opened = {"job_id": job_id, "number": row.attempt, "stage": stage.value, "holder": holder}
        connection.execute(_OPEN_ATTEMPT, opened)
        return Claim(job=JobRow.read(row), input=assets.stored_input(connection, job_id), lease=lease)


def extend(engine: sa.Engine, claim: Claim, *, done: int | None = None) -> bool:
    """Renew the lease and note the progress. False when the claim is lost, by cancellation for one."""
    values: dict[str, Any] = {"lease": claim.lease}
    if done is not None:
        values["units_done"] = done
    with engines.writing(engine) as connection:
        return bool(connection.execute(_EXTEND, _ours(claim) | values).rowcount)


def holds(engine: sa.Engine, claim: Claim) -> bool:
    """Whether the claim still is the newest on its job."""
    with engines.reading(engine) as connection:
        return connection.execute(_HOLDS, _ours(claim)).one_or_none() is not None


def advance(
    engine: sa.Engine, claim: Claim, *, to: Stage, units_total: int, video: Mapping[str, Any] | None = None
) -> JobRow | None:
    """Queue the next stage, which is told the `video`'s facts. None when the claim is lost."""
    values = {
        "video": video,
        "stage": to.value,
        "tries": 0,
        "returns": 0,
        "sent_at": None,
        "queued_at": clock.now(),
        "started_at": None,
        "units_total": units_total,
    }
    with engine.begin() as connection:
        if not _release(connection, claim, State.QUEUED, outcome="done", **values):
            return None
        return jobs.read(connection, claim.job.id)


def hand_over(connection: sa.Connection, claim: Claim, **values: Any) -> bool:
    """Leave a job running without a holder, which its segments now have. False when the claim is lost."""
    if not connection.execute(_HAND_OVER.values(**values), _ours(claim)).rowcount:
        return False
    jobs.end_attempts(connection, claim.job.id, outcome="done")
    return True


def finish(
    engine: sa.Engine, claim: Claim, *, result_id: uuid.UUID, size: int, previews: Mapping[uuid.UUID, int] | None = None
) -> list[AssetRow] | None:
    """Complete a job: its result is stored, and its previews by their sizes in bytes; everything else of it is due.

    Repeated, because the answer was lost, it finds what it did and says so.

    Returns:
        What is due. None when the claim is lost.
    """
    with engine.begin() as connection:
        if not _release(connection, claim, State.DONE, outcome="done", **jobs.ended()):
            found = jobs.read(connection, claim.job.id)
            ours = found.state is State.DONE and found.attempt == claim.fence
            return assets.due_of(connection, claim.job.id) if ours else None
        kept = {result_id: size} | dict(previews or {})
        for asset_id, bytes_ in kept.items():
            assets.mark_stored(connection, asset_id, size=bytes_)
        return assets.make_due(connection, claim.job.id, but=kept)


def wait(engine: sa.Engine, claim: Claim, *, delay: float, outcome: str, counted: bool = True) -> bool:
    """Put a job aside for `delay` seconds; an attempt that is not `counted` ended by no fault of the job's.

    Returns:
        False when the claim is lost.
    """
    values = {"retry_at": clock.after(delay), "started_at": None} | given_back(JOBS, counted=counted)
    with engine.begin() as connection:
        return _release(connection, claim, State.WAITING, outcome=outcome, **values)


def hand_back(engine: sa.Engine, claim: Claim, *, outcome: str) -> JobRow | None:
    """Queue a job again at once, as if this attempt had not been. None when the claim is lost."""
    values = {"sent_at": None, "queued_at": clock.now(), "started_at": None} | given_back(JOBS, counted=False)
    with engine.begin() as connection:
        if not _release(connection, claim, State.QUEUED, outcome=outcome, **values):
            return None
        return jobs.read(connection, claim.job.id)


def given_back(table: sa.Table, *, counted: bool) -> dict[str, Any]:
    """What a unit's row says of an attempt that ended without its end: a try, or a return that counts for nothing."""
    return {} if counted else {"tries": table.c.tries - 1, "returns": table.c.returns + 1}


def fail(engine: sa.Engine, claim: Claim, *, error: str, error_text: str) -> bool:
    """Fail a job for good; all its assets are due. False when the claim is lost."""
    with engine.begin() as connection:
        values = jobs.ended() | {"error": error, "error_text": jobs.fitting(error_text)}
        if not _release(connection, claim, State.FAILED, outcome=error, **values):
            return False
        assets.make_due(connection, claim.job.id)
        return True


def _ours(claim: Claim) -> dict[str, Any]:
    return {"of_job": claim.job.id, "fence": claim.fence}


def _release(connection: sa.Connection, claim: Claim, to: State, *, outcome: str, **values: Any) -> bool:
    """Give up the claim with the job's next state, and close its attempt. False when the claim is lost."""
    assert State.RUNNING in before(to)
    released = {"state": to.value, "lease_until": None, "holder": None} | values
    statement = (_FINISH if to is State.DONE else _OURS).values(**released)
    if not connection.execute(statement, _ours(claim)).rowcount:
        return False
    jobs.end_attempts(connection, claim.job.id, outcome=outcome)
    return True
