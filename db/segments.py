"""Segments of a video: planned in one transaction, claimed as jobs are, and the last to end queues the join.

Whatever touches a job and its segments locks the job first. A segment can be claimed while its job is running at the
stage `segments`; a job that ends takes its segments with it.
"""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from mayfly.db import assets, claims, clock, jobs, literal
from mayfly.db import engine as engines
from mayfly.db.claims import Claim
from mayfly.db.rows import AssetRow, JobRow, SegmentRow
from mayfly.db.states import AssetState, Stage, State, before
from mayfly.db.tables import ASSETS, JOBS, SEGMENTS


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """A segment that is to be: the asset that was cut for it, its size in bytes, and its window of frames."""

    piece_id: uuid.UUID
    size: int
    window: Mapping[str, Any]


@dataclasses.dataclass(frozen=True, kw_only=True)
class SegmentClaim:
    """A segment that is ours while the lease lasts; `input`, its piece, is None when it is gone."""

    job: JobRow
    segment: SegmentRow
    input: AssetRow | None
    lease: float

    @property
    def fence(self) -> int:
        """The token without which no write succeeds."""
        return self.segment.attempt

    @property
    def name(self) -> str:
        """Unique among all attempts; good for a log and a folder."""
        return f"{self.job.id}-{self.segment.number}-{self.fence}"

    @property
    def tries(self) -> int:
        """How many attempts there were at this segment, this one included."""
        return self.segment.tries


@dataclasses.dataclass(frozen=True, kw_only=True)
class Finished:
    """What follows from a segment's end: its job when the join can begin, and what is due."""

    joinable: JobRow | None
    due: list[AssetRow]


_IN_SEGMENTS = (JOBS.c.stage == Stage.SEGMENTS.value, JOBS.c.state == State.RUNNING.value)
_THIS = (SEGMENTS.c.job_id == sa.bindparam("of_job"), SEGMENTS.c.number == sa.bindparam("of_number"))
_TAKE = (
    sa.update(SEGMENTS)
    .where(
        *_THIS,
        sa.exists().where(JOBS.c.id == SEGMENTS.c.job_id, *_IN_SEGMENTS),
        sa.or_(
            SEGMENTS.c.state == State.QUEUED.value,
            sa.and_(
                SEGMENTS.c.state == State.RUNNING.value,
                sa.or_(
                    SEGMENTS.c.lease_until < clock.now(),
                    SEGMENTS.c.holder.in_([sa.bindparam("dead_holder"), sa.bindparam("by")]),
                ),
            ),
        ),
    )
    .values(
        state=State.RUNNING.value,
        attempt=SEGMENTS.c.attempt + 1,
        tries=SEGMENTS.c.tries + sa.case((SEGMENTS.c.holder == sa.bindparam("by"), 0), else_=1),
        units_done=0,
        lease_until=clock.after(sa.bindparam("lease")),
        holder=sa.bindparam("by"),
    )
    .returning(SEGMENTS)
)
_HELD = sa.and_(
    *_THIS,
    SEGMENTS.c.attempt == sa.bindparam("fence"),
    SEGMENTS.c.state == State.RUNNING.value,
)
_OURS = sa.update(SEGMENTS).where(_HELD)
_MARK_SENT = (
    sa.update(SEGMENTS)
    .where(*_THIS, SEGMENTS.c.attempt == sa.bindparam("fence"), SEGMENTS.c.state == State.QUEUED.value)
    .values(sent_at=clock.now())
)
_EXTEND = _OURS.values(lease_until=clock.after(sa.bindparam("lease")))
_HOLDS = sa.select(SEGMENTS.c.number).where(_HELD)
_LOCK_JOB = sa.select(JOBS).where(JOBS.c.id == sa.bindparam("of_job"), *_IN_SEGMENTS).with_for_update()
_OPEN = sa.select(sa.func.count()).where(
    SEGMENTS.c.job_id == sa.bindparam("of_job"), SEGMENTS.c.state != State.DONE.value
)


def plan(
    engine: sa.Engine, claim: Claim, planned: Sequence[Plan], *, video: Mapping[str, Any], units_total: int
) -> list[SegmentRow] | None:
    """Turn a claimed job into its segments, all queued; earlier intermediates of the job are due.

    Returns:
        The segments. None when the claim is lost.
    """
    shared = {"stage": Stage.SEGMENTS.value, "tries": 0, "units_done": 0, "units_total": units_total}
    with engine.begin() as connection:
        if not claims.hand_over(connection, claim, video=dict(video), started_at=clock.now(), **shared):
            return None
        rows = [
            {
                "job_id": claim.job.id,
                "number": number,
                "state": State.QUEUED.value,
                "window": dict(segment.window),
                "piece_id": segment.piece_id,
            }
            for number, segment in enumerate(planned)
        ]
        connection.execute(sa.insert(SEGMENTS).values(queued_at=clock.now()), rows)
        for segment in planned:
            assets.mark_stored(connection, segment.piece_id, size=segment.size)
        kept = [segment.piece_id for segment in planned]
        assets.make_due(connection, claim.job.id, but=[*kept, *([claim.input.id] if claim.input else [])])
        return of_job(connection, claim.job.id)


def take(
    engine: sa.Engine,
    job_id: uuid.UUID,
    number: int,
    *,
    holder: str,
    lease: float,
    dead_holder: str | None = None,
) -> SegmentClaim | None:
    """Claim a segment that is queued, whose lease is over, or whose holder is known to be dead.

    Returns:
        None when it is finished, its job has ended, or it belongs to somebody who lives.
    """
    values = {
        "of_job": job_id,
        "of_number": number,
        "dead_holder": dead_holder or "",
        "by": holder,
        "lease": lease,
    }
    with engine.begin() as connection:
        row = connection.execute(_TAKE, values).one_or_none()
        if row is None:
            return None
        segment = SegmentRow.read(row)
        piece = assets.read(connection, segment.piece_id)
        return SegmentClaim(
            job=jobs.read(connection, job_id),
            segment=segment,
            input=piece if piece.state is AssetState.STORED else None,
            lease=lease,
        )


def extend(engine: sa.Engine, claim: SegmentClaim, *, done: int | None = None) -> bool:
    """Renew the lease and note the progress in frames. False when the claim is lost, by its job's end for one."""
    values: dict[str, Any] = {"lease": claim.lease}
    if done is not None:
        values["units_done"] = done
    with engines.writing(engine) as connection:
        return bool(connection.execute(_EXTEND, _ours(claim) | values).rowcount)


def holds(engine: sa.Engine, claim: SegmentClaim) -> bool:
    """Whether the claim still is the newest on its segment."""
    with engines.reading(engine) as connection:
        return connection.execute(_HOLDS, _ours(claim)).one_or_none() is not None


def finish(engine: sa.Engine, claim: SegmentClaim, *, part_id: uuid.UUID, size: int, units: int) -> Finished | None:
    """Complete a segment: its part is stored, its piece is due, and if it was the last, the join is queued.

    Repeated, because the answer was lost, it finds what it did and says so.

    Returns:
        None when the claim is lost.
    """
    with engine.begin() as connection:
        # Two that end at once wait here for each other, so exactly one of them sees that none is open.
        if connection.execute(_LOCK_JOB, {"of_job": claim.job.id}).one_or_none() is None:
            return _finished_before(connection, claim, part_id)
        done = {"state": State.DONE.value, "lease_until": None, "holder": None, "part_id": part_id, "units_done": units}
        if not connection.execute(_OURS, _ours(claim) | done).rowcount:
            return _finished_before(connection, claim, part_id)
        assets.mark_stored(connection, part_id, size=size)
        due = assets.make_one_due(connection, claim.segment.piece_id)
        if connection.execute(_OPEN, {"of_job": claim.job.id}).scalar_one():
            return Finished(joinable=None, due=due)
        assert State.RUNNING in before(State.QUEUED)
        connection.execute(
            sa.update(JOBS)
            .where(JOBS.c.id == claim.job.id)
            .values(
                stage=Stage.JOIN.value,
                state=State.QUEUED.value,
                attempt=JOBS.c.attempt + 1,
                tries=0,
                returns=0,
                sent_at=None,
                queued_at=clock.now(),
                units_done=jobs.segments_done(connection, claim.job.id),
            )
        )
        return Finished(joinable=jobs.read(connection, claim.job.id), due=due)


def wait(engine: sa.Engine, claim: SegmentClaim, *, delay: float, outcome: str, counted: bool = True) -> bool:
    """Put a segment aside for `delay` seconds, as claims.wait. False when the claim is lost."""
    values = _released(State.WAITING, outcome) | claims.given_back(SEGMENTS, counted=counted)
    with engines.writing(engine) as connection:
        waiting = _OURS.values(**values, retry_at=clock.after(delay))
        return bool(connection.execute(waiting, _ours(claim)).rowcount)


def hand_back(engine: sa.Engine, claim: SegmentClaim, *, outcome: str) -> SegmentRow | None:
    """Queue a segment again at once, as if this attempt had not been. None when the claim is lost."""
    values = _released(State.QUEUED, outcome) | claims.given_back(SEGMENTS, counted=False)
    with engine.begin() as connection:
        queued = _OURS.values(**values, sent_at=None, queued_at=clock.now()).returning(SEGMENTS)
        row = connection.execute(queued, _ours(claim)).one_or_none()
        return None if row is None else SegmentRow.read(row)


def fail(engine: sa.Engine, claim: SegmentClaim, *, error: str, error_text: str) -> bool:
    """Fail a segment's whole job for good; all its assets are due. False when the claim is lost."""
    with engine.begin() as connection:
        if connection.execute(_LOCK_JOB, {"of_job": claim.job.id}).one_or_none() is None:
            return False
        values = {"state": State.FAILED.value, "lease_until": None, "holder": None, "outcome": error}
        if not connection.execute(_OURS, _ours(claim) | values).rowcount:
            return False
        connection.execute(
            sa.update(JOBS)
            .where(JOBS.c.id == claim.job.id)
            .values(
                state=State.FAILED.value,
                attempt=JOBS.c.attempt + 1,
                **jobs.ended(),
                error=error,
                error_text=jobs.fitting(error_text),
            )
        )
        jobs.end_segments(connection, claim.job.id, to=State.CANCELLED)
        assets.make_due(connection, claim.job.id)
        return True


def of_job(connection: sa.Connection, job_id: uuid.UUID) -> list[SegmentRow]:
    """All segments of a job in the order of their frames."""
    query = sa.select(SEGMENTS).where(SEGMENTS.c.job_id == job_id).order_by(SEGMENTS.c.number)
    return [SegmentRow.read(row) for row in connection.execute(query)]


def holder(engine: sa.Engine, job_id: uuid.UUID, number: int) -> str | None:
    """Who has a segment; None when nobody has it, or there is no such segment."""
    query = sa.select(SEGMENTS.c.holder).where(SEGMENTS.c.job_id == job_id, SEGMENTS.c.number == number)
    with engines.reading(engine) as connection:
        return connection.execute(query).scalar_one_or_none()


def parts(engine: sa.Engine, job_id: uuid.UUID) -> list[tuple[SegmentRow, AssetRow]]:
    """A job's segments with what was made of them, in the order of their frames; only those that are done."""
    with engines.reading(engine) as connection:
        found = [segment for segment in of_job(connection, job_id) if segment.part_id is not None]
        rows = connection.execute(sa.select(ASSETS).where(ASSETS.c.id.in_([segment.part_id for segment in found])))
        stored = {row.id: AssetRow.read(row) for row in rows}
        return [(segment, stored[segment.part_id]) for segment in found if segment.part_id is not None]


# What the outbox asks.


def requeue_lapsed(engine: sa.Engine) -> int:
    """Queue the segments again whose worker fell silent or whose retry is due, as jobs.requeue_lapsed.

    Returns:
        How many.
    """
    lapsed = sa.and_(SEGMENTS.c.state == State.RUNNING.value, SEGMENTS.c.lease_until < clock.now())
    ready = sa.and_(SEGMENTS.c.state == State.WAITING.value, SEGMENTS.c.retry_at <= clock.now())
    # A job that ends locks its segments in any order.
    this = (SEGMENTS.c.job_id, SEGMENTS.c.number)
    free = sa.select(*this).where(sa.or_(lapsed, ready)).order_by(*this).with_for_update(skip_locked=True)
    with engine.begin() as connection:
        changed = connection.execute(
            sa.update(SEGMENTS)
            .where(sa.tuple_(*this).in_(free))
            .values(
                state=State.QUEUED.value,
                attempt=SEGMENTS.c.attempt + 1,
                lease_until=None,
                holder=None,
                retry_at=None,
                sent_at=None,
                queued_at=clock.now(),
            )
        )
        return changed.rowcount


def unsent(engine: sa.Engine, *, limit: int, one_a_job: bool = False) -> list[tuple[JobRow, SegmentRow]]:
    """Queued segments whose message no broker has confirmed, the first of the oldest job first.

    With `one_a_job`, none of a job of which one is on its way or running: a machine's only worker then keeps its other
    threads for photos.
    """
    condition: sa.ColumnElement[bool] = SEGMENTS.c.sent_at.is_(None)
    if one_a_job:
        other = SEGMENTS.alias()
        busy = sa.or_(
            other.c.state == State.RUNNING.value,
            sa.and_(other.c.state == State.QUEUED.value, other.c.sent_at.is_not(None)),
            sa.and_(other.c.state == State.QUEUED.value, other.c.number < SEGMENTS.c.number),
        )
        condition &= ~sa.exists().where(other.c.job_id == SEGMENTS.c.job_id, busy)
    return _queued(engine, condition, limit=limit)


def sent_long_ago(engine: sa.Engine, *, seconds: float, limit: int) -> list[tuple[JobRow, SegmentRow]]:
    """Queued segments whose message was confirmed but that nobody has claimed since; as jobs.sent_long_ago."""
    return _queued(engine, jobs.lost(SEGMENTS, seconds), limit=limit)


def mark_sent(engine: sa.Engine, sent: Collection[SegmentRow]) -> None:
    """Note that the broker has confirmed the messages of these segments, as they were when the messages were made."""
    # In one order, as jobs.mark_sent.
    ordered = sorted(sent, key=lambda one: (one.job_id, one.number))
    named = [{"of_job": one.job_id, "of_number": one.number, "fence": one.attempt} for one in ordered]
    if named:
        with engine.begin() as connection:
            connection.execute(_MARK_SENT, named)


def adopt(engine: sa.Engine) -> None:
    """Take all messages for lost and all leases for over: the embedded worker that held them is gone."""
    with engine.begin() as connection:
        connection.execute(sa.update(SEGMENTS).where(literal.is_state(SEGMENTS, State.QUEUED)).values(sent_at=None))
        running = sa.and_(SEGMENTS.c.state == State.RUNNING.value, SEGMENTS.c.lease_until.is_not(None))
        connection.execute(sa.update(SEGMENTS).where(running).values(lease_until=clock.after(-1)))
    requeue_lapsed(engine)


def _released(to: State, outcome: str) -> dict[str, Any]:
    return {"state": to.value, "lease_until": None, "holder": None, "outcome": outcome}


def _finished_before(connection: sa.Connection, claim: SegmentClaim, part_id: uuid.UUID) -> Finished | None:
    """What a repeated `finish` finds: nothing is left to do, for the outbox sends what this one could not."""
    query = sa.select(SEGMENTS.c.part_id).where(*_THIS, SEGMENTS.c.attempt == sa.bindparam("fence"))
    same = connection.execute(query, _ours(claim)).scalar_one_or_none() == part_id
    return Finished(joinable=None, due=[]) if same else None


def _ours(claim: SegmentClaim) -> dict[str, Any]:
    return {"of_job": claim.job.id, "of_number": claim.segment.number, "fence": claim.fence}


def _queued(engine: sa.Engine, condition: sa.ColumnElement[bool], *, limit: int) -> list[tuple[JobRow, SegmentRow]]:
    query = (
        sa.select(SEGMENTS)
        .join(JOBS, JOBS.c.id == SEGMENTS.c.job_id)
        .where(literal.is_state(SEGMENTS, State.QUEUED), *_IN_SEGMENTS, condition)
        .order_by(JOBS.c.created_at, SEGMENTS.c.number)
        .limit(limit)
    )
    with engines.reading(engine) as connection:
        found = [SegmentRow.read(row) for row in connection.execute(query)]
        rows = connection.execute(sa.select(JOBS).where(JOBS.c.id.in_({segment.job_id for segment in found})))
        known = {row.id: JobRow.read(row) for row in rows}
        return [(known[segment.job_id], segment) for segment in found]
