"""Rows of jobs as producers and the outbox see them: create, read, send, cancel. Claims are in mayfly.db.claims."""

from __future__ import annotations

import dataclasses
import datetime
import uuid
from collections.abc import Collection
from typing import Any

import sqlalchemy as sa

from mayfly.db import assets, backlog, clock, literal
from mayfly.db import engine as engines
from mayfly.db.errors import KeyTaken, UnknownJob, UploadAbandoned
from mayfly.db.rows import AssetRow, JobRow
from mayfly.db.states import Retention, Stage, State, before
from mayfly.db.tables import ATTEMPTS, JOBS, SEGMENTS

# Statements are built once, for that costs more than to run them; parameters named as columns are what is set.
_GET = sa.select(JOBS).where(JOBS.c.id == sa.bindparam("of_job"))
_FINISHED = (
    sa.select(JOBS)
    .where(
        JOBS.c.id.in_(sa.bindparam("of_jobs", expanding=True)),
        JOBS.c.state.in_([state.value for state in State if state.final]),
    )
    .order_by(JOBS.c.finished_at)
)
_UPLOADING = sa.update(JOBS).where(JOBS.c.id == sa.bindparam("of_job"), JOBS.c.state == State.UPLOADING.value)
_EXTEND_UPLOAD = _UPLOADING.values(lease_until=clock.after(sa.bindparam("lease")))
_COMPLETE_UPLOAD = _UPLOADING.values(state=State.QUEUED.value, lease_until=None, queued_at=clock.now()).returning(JOBS)
_MARK_SENT = (
    sa.update(JOBS)
    .where(
        JOBS.c.id == sa.bindparam("of_job"),
        JOBS.c.attempt == sa.bindparam("fence"),
        JOBS.c.stage == sa.bindparam("at_stage"),
        JOBS.c.state == State.QUEUED.value,
    )
    .values(sent_at=clock.now())
)
_OPEN_ATTEMPTS = (
    sa.update(ATTEMPTS)
    .where(ATTEMPTS.c.job_id == sa.bindparam("of_job"), ATTEMPTS.c.ended_at.is_(None))
    .values(ended_at=clock.now())
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Request:
    """What a producer asks for, as the table keeps it.

    Attributes:
        effect: its name.
        media: "image" or "video".
        suffix: of a file that holds the input.
        parameters: of the effect.
        owner, consent, idempotency_key: the producer's references; the key is the owner's own.
        fingerprint: of effect, parameters and content, where there is a key: the same key with another is refused.
        stage: what is done first.
        size: of the input in bytes.
        units_total: pictures or frames; None until they are counted.
        output: what was chosen for the result.
        retention: the input's class.
        due_after, deadline_after: the input's term from the row's creation.
    """

    effect: str
    media: str
    suffix: str
    parameters: dict[str, Any]
    retention: Retention
    due_after: datetime.timedelta
    deadline_after: datetime.timedelta
    owner: str | None = None
    consent: str | None = None
    idempotency_key: str | None = None
    fingerprint: str | None = None
    size: int = 0
    stage: Stage = Stage.INGEST
    units_total: int | None = None
    output: dict[str, Any] | None = None


def create(
    engine: sa.Engine,
    request: Request,
    *,
    lease: float,
    job_id: uuid.UUID | None = None,
    bounds: backlog.Bounds | None = None,
) -> tuple[JobRow, AssetRow | None]:
    """Insert a job and its input's row, in one transaction and before any byte of the input is stored.

    A job of the same key makes way if no worker has seen it: its upload has lapsed, or it failed before it was queued.

    Args:
        engine: the database.
        request: what is asked for.
        lease: seconds for which the producer is taken for alive.
        job_id: the job's id, for whoever must be able to repeat a call whose answer was lost.
        bounds: of what may wait; a job that is there already is found, whatever they say.

    Returns:
        The job and its input; the job that already carries this idempotency key, and None.

    Raises:
        KeyTaken: that job was another request.
        Overloaded: it would be one too many.
    """
    job_id = job_id or uuid.uuid4()
    values = {
        "id": job_id,
        "effect": request.effect,
        "media": request.media,
        "state": State.UPLOADING.value,
        "stage": request.stage.value,
        "units_total": request.units_total,
        "input_bytes": request.size,
        "created_at": clock.now(),
        "lease_until": clock.after(lease),
        "parameters": request.parameters,
        "output": request.output,
        "owner": request.owner,
        "consent": request.consent,
        "idempotency_key": request.idempotency_key,
        "fingerprint": request.fingerprint,
    }
    with engine.begin() as connection:
        if request.idempotency_key is not None:
            _make_way(connection, request, job_id)
        row = connection.execute(engines.insert_or_skip(engine, JOBS).values(**values).returning(*JOBS.c)).one_or_none()
        if row is None:
            return _known(connection, request, job_id)
        if bounds is not None:
            backlog.check(connection, request.owner, bounds)
        asset = assets.reserve(
            connection,
            row.id,
            retention=request.retention,
            suffix=request.suffix,
            attempt=0,
            due_after=request.due_after,
            deadline_after=request.deadline_after,
            lease=lease,
        )
        return JobRow.read(row), asset


def _known(connection: sa.Connection, request: Request, job_id: uuid.UUID) -> tuple[JobRow, AssetRow | None]:
    """The job that was there: this very one, if its first insertion was in doubt, or one of the same key."""
    ours = connection.execute(_GET, {"of_job": job_id}).one_or_none()
    if ours is not None:
        return JobRow.read(ours), assets.pending_input(connection, job_id)
    known = connection.execute(sa.select(JOBS).where(_has_key(request))).one()
    if known.fingerprint != request.fingerprint:
        raise KeyTaken("this idempotency key belongs to another request of this owner; take a new key")
    return JobRow.read(known), None


def _has_key(request: Request) -> sa.ColumnElement[bool]:
    """Whether a job has this request's key. Two forms, for no index serves a comparison that takes nulls for equal."""
    same_owner = JOBS.c.owner.is_(None) if request.owner is None else JOBS.c.owner == request.owner
    return sa.and_(same_owner, JOBS.c.idempotency_key == request.idempotency_key)


def _make_way(connection: sa.Connection, request: Request, but: uuid.UUID) -> None:
    """Take the key from another job of the same owner that never reached a worker and never will."""
    never_worked = ~sa.exists().where(ATTEMPTS.c.job_id == JOBS.c.id)
    lapsed = sa.and_(JOBS.c.state == State.UPLOADING.value, JOBS.c.lease_until < clock.now())
    failed = sa.and_(JOBS.c.state == State.FAILED.value, never_worked)
    released = (
        sa.update(JOBS)
        .where(_has_key(request), JOBS.c.id != but, sa.or_(lapsed, failed))
        .values(idempotency_key=None, fingerprint=None)
        .returning(JOBS.c.id)
    )
    for job_id in connection.execute(released).scalars():
        _end(
            connection,
            job_id,
            sources=[State.UPLOADING],
            to=State.FAILED,
            error=UploadAbandoned.code,
            error_text=str(UploadAbandoned()),
        )


def extend_upload(engine: sa.Engine, job_id: uuid.UUID, asset_id: uuid.UUID, *, lease: float) -> bool:
    """Say that the producer still stores its input. False when the job is no longer uploading."""
    with engine.begin() as connection:
        if not connection.execute(_EXTEND_UPLOAD, {"of_job": job_id, "lease": lease}).rowcount:
            return False
        assets.extend(connection, [asset_id], lease=lease)
        return True


def mark_uploaded(engine: sa.Engine, job_id: uuid.UUID, asset_id: uuid.UUID, *, size: int) -> JobRow | None:
    """Queue a job whose input is complete; repeated, it says the same. None when the job has ended meanwhile."""
    with engine.begin() as connection:
        row = connection.execute(_COMPLETE_UPLOAD, {"of_job": job_id}).one_or_none()
        if row is not None:
            assets.mark_stored(connection, asset_id, size=size)
            return JobRow.read(row)
        found = read(connection, job_id)
        return None if found.state in (State.FAILED, State.CANCELLED) else found


def mark_sent(engine: sa.Engine, sent: Collection[JobRow]) -> None:
    """Note that the broker has confirmed the messages of these jobs, as they were when the messages were made."""
    # In the order of their ids, as whoever else locks several.
    ordered = sorted(sent, key=lambda job: job.id)
    named = [{"of_job": job.id, "fence": job.attempt, "at_stage": job.stage.value} for job in ordered]
    if named:
        with engine.begin() as connection:
            connection.execute(_MARK_SENT, named)


def get(engine: sa.Engine, job_id: uuid.UUID) -> JobRow:
    """One job. Raises UnknownJob."""
    with engines.reading(engine) as connection:
        return read(connection, job_id)


def read(connection: sa.Connection, job_id: uuid.UUID) -> JobRow:
    """One job, as this transaction sees it; its progress is that of its segments, if it has any. Raises UnknownJob."""
    row = connection.execute(_GET, {"of_job": job_id}).one_or_none()
    if row is None:
        raise UnknownJob("no job has this id; it may have been submitted to another Mayfly")
    job = JobRow.read(row)
    if job.stage is not Stage.SEGMENTS:
        return job
    return dataclasses.replace(job, units_done=segments_done(connection, job_id))


def finished(engine: sa.Engine, job_ids: Collection[uuid.UUID]) -> list[JobRow]:
    """Those of these jobs that are in a final state, by the time at which they came to it."""
    with engines.reading(engine) as connection:
        return [JobRow.read(row) for row in connection.execute(_FINISHED, {"of_jobs": list(job_ids)})]


def unfinished(engine: sa.Engine) -> int:
    """How many jobs somebody still has to work at."""
    with engines.reading(engine) as connection:
        working = (literal.is_unfinished(JOBS), JOBS.c.state != State.UPLOADING.value)
        query = sa.select(sa.func.count()).select_from(JOBS).where(*working)
        return int(connection.execute(query).scalar_one())


def recent(
    engine: sa.Engine,
    *,
    limit: int,
    owner: str | None = None,
    key: str | None = None,
    state: State | None = None,
    after: tuple[datetime.datetime, uuid.UUID] | None = None,
) -> list[JobRow]:
    """The newest jobs, newest first.

    Args:
        engine: the database.
        limit: at most so many.
        owner: of this one alone.
        key: the one job of this idempotency key of the owner, or of nobody where there is no owner.
        state: in this state alone.
        after: when the last job of the page before was created, and its id.
    """
    query = sa.select(JOBS).order_by(JOBS.c.created_at.desc(), JOBS.c.id.desc()).limit(limit)
    if key is not None:
        query = query.where(JOBS.c.idempotency_key == key)
    if owner is not None:
        query = query.where(JOBS.c.owner == owner)
    elif key is not None:
        query = query.where(JOBS.c.owner.is_(None))
    if state is not None:
        query = query.where(JOBS.c.state == state.value)
        # Which index serves is said as well. Of those that are done nothing is, for most are.
        if not state.final:
            query = query.where(literal.is_unfinished(JOBS))
        elif state is not State.DONE:
            query = query.where(literal.has_no_result(JOBS))
    if after is not None:
        last = (
            sa.literal(value, column.type) for value, column in zip(after, (JOBS.c.created_at, JOBS.c.id), strict=True)
        )
        query = query.where(sa.tuple_(JOBS.c.created_at, JOBS.c.id) < sa.tuple_(*last))
    with engines.reading(engine) as connection:
        return [JobRow.read(row) for row in connection.execute(query)]


def end(
    engine: sa.Engine,
    job_id: uuid.UUID,
    *,
    to: State,
    error: str | None = None,
    error_text: str | None = None,
    only_from: Collection[State] | None = None,
) -> bool:
    """Cancel or fail a job from outside, whoever holds it: the fence moves on, its assets are due.

    Returns:
        False when the job was in a final state already, or not in one of `only_from`.
    """
    sources = before(to) if only_from is None else before(to) & frozenset(only_from)
    with engine.begin() as connection:
        return _end(connection, job_id, sources=sources, to=to, error=error, error_text=error_text)


def _end(
    connection: sa.Connection,
    job_id: uuid.UUID,
    *,
    sources: Collection[State],
    to: State,
    error: str | None,
    error_text: str | None,
) -> bool:
    changed = connection.execute(
        sa.update(JOBS)
        .where(JOBS.c.id == job_id, JOBS.c.state.in_([state.value for state in sources]))
        .values(
            state=to.value,
            attempt=JOBS.c.attempt + 1,
            **ended(),
            lease_until=None,
            holder=None,
            retry_at=None,
            error=error,
            error_text=fitting(error_text),
        )
    )
    if changed.rowcount:
        end_attempts(connection, job_id, outcome=error or to.value)
        end_segments(connection, job_id, to=to)
        assets.make_due(connection, job_id)
    return bool(changed.rowcount)


def ended() -> dict[str, Any]:
    """What every job's end sets. A parameter may be a picture, so none is kept."""
    return {"finished_at": clock.now(), "parameters": None}


def fitting(text: str | None) -> str | None:
    """An error's sentence, cut to its column."""
    return text if text is None else text[: JOBS.c.error_text.type.length]  # type: ignore[attr-defined]


def end_attempts(connection: sa.Connection, job_id: uuid.UUID, *, outcome: str) -> None:
    """Close the attempts of a job that are still open."""
    connection.execute(_OPEN_ATTEMPTS, {"of_job": job_id, "outcome": outcome})


def end_segments(connection: sa.Connection, job_id: uuid.UUID, *, to: State) -> None:
    """Close the segments of a job that has ended."""
    still_open = SEGMENTS.c.state.in_([state.value for state in before(to)])
    connection.execute(
        sa.update(SEGMENTS)
        .where(SEGMENTS.c.job_id == job_id, still_open)
        .values(state=to.value, attempt=SEGMENTS.c.attempt + 1, lease_until=None, holder=None, retry_at=None)
    )


def segments_done(connection: sa.Connection, job_id: uuid.UUID) -> int:
    """How many frames of a job's segments are finished."""
    query = sa.select(sa.func.coalesce(sa.func.sum(SEGMENTS.c.units_done), 0)).where(SEGMENTS.c.job_id == job_id)
    return int(connection.execute(query).scalar_one())


# What the outbox asks. Each query names one way in which a job can stand still.


def abandoned_uploads(engine: sa.Engine) -> list[uuid.UUID]:
    """Jobs whose producer has died before its upload was complete."""
    return _ids(engine, JOBS.c.state == State.UPLOADING.value, JOBS.c.lease_until < clock.now())


def requeue_lapsed(engine: sa.Engine) -> list[uuid.UUID]:
    """Queue the jobs again whose worker fell silent or whose retry is due, and return them.

    Those that somebody changes meanwhile are left to the next call.
    """
    lapsed = sa.and_(JOBS.c.state == State.RUNNING.value, JOBS.c.lease_until < clock.now())
    ready = sa.and_(JOBS.c.state == State.WAITING.value, JOBS.c.retry_at <= clock.now())
    # Whoever destroys locks jobs by their ids. This one has a job that it would want, and waits for none.
    free = sa.select(JOBS.c.id).where(sa.or_(lapsed, ready)).order_by(JOBS.c.id).with_for_update(skip_locked=True)
    with engine.begin() as connection:
        rows = connection.execute(
            sa.update(JOBS)
            .where(JOBS.c.id.in_(free))
            .values(
                state=State.QUEUED.value,
                attempt=JOBS.c.attempt + 1,
                lease_until=None,
                holder=None,
                retry_at=None,
                sent_at=None,
                queued_at=clock.now(),
                started_at=None,
            )
            .returning(JOBS.c.id)
        )
        ids = list(rows.scalars())
        for job_id in ids:
            end_attempts(connection, job_id, outcome="lost")
    return ids


def unsent(engine: sa.Engine, *, limit: int) -> list[JobRow]:
    """Queued jobs whose message no broker has confirmed, oldest first."""
    return _queued(engine, JOBS.c.sent_at.is_(None), limit=limit)


def sent_long_ago(engine: sa.Engine, *, seconds: float, limit: int) -> list[JobRow]:
    """Queued jobs whose message was confirmed but that nobody has claimed since, for so long and for as long as they
    had waited before it: each message more comes after twice the time.
    """
    return _queued(engine, lost(JOBS, seconds), limit=limit)


def lost(table: sa.Table, seconds: float) -> sa.ColumnElement[bool]:
    """Whether a row's message is so old that there may be none any more."""
    silent = clock.seconds_between(table.c.sent_at, clock.now())
    return sa.and_(
        table.c.sent_at < clock.after(-seconds),
        silent > clock.seconds_between(sa.func.coalesce(table.c.queued_at, table.c.sent_at), table.c.sent_at),
    )


def adopt(engine: sa.Engine) -> None:
    """Take all messages for lost and all leases for over: the embedded worker that held them is gone."""
    with engine.begin() as connection:
        connection.execute(sa.update(JOBS).where(literal.is_state(JOBS, State.QUEUED)).values(sent_at=None))
        # A job whose segments run has no lease of its own.
        held = sa.and_(literal.is_unfinished(JOBS), JOBS.c.state == State.RUNNING.value, JOBS.c.holder.is_not(None))
        connection.execute(sa.update(JOBS).where(held).values(lease_until=clock.after(-1)))
        assets.adopt(connection)
    requeue_lapsed(engine)


def _queued(engine: sa.Engine, condition: sa.ColumnElement[bool], *, limit: int) -> list[JobRow]:
    query = (
        sa.select(JOBS).where(literal.is_state(JOBS, State.QUEUED), condition).order_by(JOBS.c.created_at).limit(limit)
    )
    with engines.reading(engine) as connection:
        return [JobRow.read(row) for row in connection.execute(query)]


def _ids(engine: sa.Engine, *condition: sa.ColumnElement[bool]) -> list[uuid.UUID]:
    with engines.reading(engine) as connection:
        return list(connection.execute(sa.select(JOBS.c.id).where(*condition)).scalars())
