"""Claims on jobs: one worker at a time, under a lease, with a fence that shuts out whoever lost it.

A claim is one UPDATE that raises `attempt` and returns it; every later write names that attempt and changes
nothing once a newer one exists.
"""

from __future__ import annotations

import dataclasses
import datetime
import uuid
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from db import assets, clock, jobs
from db import engine as engines
from db.rows import AssetRow, JobRow
from db.states import Stage, State, before
from db.tables import ATTEMPTS, JOBS


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
                sa.or_(JOBS.c.lease_until < sa.bindparam("now"), JOBS.c.holder == sa.bindparam("dead_holder")),
            ),
        ),
    )
    .values(
        state=State.RUNNING.value,
        attempt=JOBS.c.attempt + 1,
        tries=JOBS.c.tries + 1,
        started_at=sa.func.coalesce(JOBS.c.started_at, sa.bindparam("now")),
    )
    .returning(JOBS)
)
_OPEN_ATTEMPT = sa.insert(ATTEMPTS)
_OURS = sa.update(JOBS).where(
    JOBS.c.id == sa.bindparam("of_job"),
    JOBS.c.attempt == sa.bindparam("fence"),
    JOBS.c.state == State.RUNNING.value,
)
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
    now = clock.now()
    values = {
        "of_job": job_id,
        "at_stage": stage.value,
        "now": now,
        "dead_holder": dead_holder or "",
        "holder": holder,
        "lease_until": now + datetime.timedelta(seconds=lease),
    }
    with engine.begin() as connection:
        row = connection.execute(_TAKE, values).one_or_none()
        if row is None:
            return None
        if row.tries > 1:
            jobs.end_attempts(connection, job_id, outcome="lost")
        opened = {"job_id": job_id, "number": row.attempt, "stage": stage.value, "holder": holder, "started_at": now}
        connection.execute(_OPEN_ATTEMPT, opened)
        return Claim(job=JobRow.read(row), input=assets.stored_input(connection, job_id), lease=lease)


def extend(engine: sa.Engine, claim: Claim, *, done: int | None = None) -> bool:
    """Renew the lease and note the progress. False when the claim is lost, by cancellation for one."""
    values: dict[str, Any] = {"lease_until": clock.after(claim.lease)}
    if done is not None:
        values["units_done"] = done
    with engines.writing(engine) as connection:
        return bool(connection.execute(_OURS, _ours(claim) | values).rowcount)


def advance(
    engine: sa.Engine, claim: Claim, *, to: Stage, units_total: int, video: Mapping[str, Any] | None = None
) -> JobRow | None:
    """Queue the next stage, which is told the `video`'s facts. None when the claim is lost."""
    values = {
        "video": video,
        "stage": to.value,
        "tries": 0,
        "sent_at": None,
        "started_at": None,
        "units_total": units_total,
    }
    with engine.begin() as connection:
        if not _release(connection, claim, State.QUEUED, outcome="done", **values):
            return None
        return jobs.read(connection, claim.job.id)


def hand_over(connection: sa.Connection, claim: Claim, **values: Any) -> bool:
    """Leave a job running without a holder, which its segments now have. False when the claim is lost."""
    if not connection.execute(_HAND_OVER, _ours(claim) | values).rowcount:
        return False
    jobs.end_attempts(connection, claim.job.id, outcome="done")
    return True


def finish(
    engine: sa.Engine, claim: Claim, *, result_id: uuid.UUID, size: int, previews: Mapping[uuid.UUID, int] | None = None
) -> list[AssetRow] | None:
    """Complete a job: its result is stored, and its previews by their sizes in bytes; everything else of it is due.

    Returns:
        What is due. None when the claim is lost.
    """
    with engine.begin() as connection:
        if not _release(connection, claim, State.DONE, outcome="done", **jobs.ended()):
            return None
        kept = {result_id: size} | dict(previews or {})
        for asset_id, bytes_ in kept.items():
            assets.mark_stored(connection, asset_id, size=bytes_)
        return assets.make_due(connection, claim.job.id, but=kept)


def wait(engine: sa.Engine, claim: Claim, *, retry_at: datetime.datetime, outcome: str) -> bool:
    """Put a job aside until `retry_at`. False when the claim is lost."""
    with engine.begin() as connection:
        return _release(connection, claim, State.WAITING, outcome=outcome, retry_at=retry_at, started_at=None)


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
    released = _ours(claim) | {"state": to.value, "lease_until": None, "holder": None} | values
    if not connection.execute(_FINISH if to is State.DONE else _OURS, released).rowcount:
        return False
    jobs.end_attempts(connection, claim.job.id, outcome=outcome)
    return True
