"""Rows of jobs as producers and the outbox see them: create, read, send, cancel. Claims are in db.claims."""

from __future__ import annotations

import dataclasses
import datetime
import uuid
from collections.abc import Collection
from typing import Any

import sqlalchemy as sa

from db import assets, clock
from db import engine as engines
from db.errors import UnknownJob
from db.rows import AssetRow, JobRow
from db.states import Retention, Stage, State, before
from db.tables import ATTEMPTS, JOBS, SEGMENTS

# Statements are built once, for that costs more than to run them; parameters named as columns are what is set.
_CREATE = sa.insert(JOBS).returning(JOBS)
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
_MARK_SENT = sa.update(JOBS).where(
    JOBS.c.id.in_(sa.bindparam("of_jobs", expanding=True)), JOBS.c.state == State.QUEUED.value
)
_OPEN_ATTEMPTS = sa.update(ATTEMPTS).where(ATTEMPTS.c.job_id == sa.bindparam("of_job"), ATTEMPTS.c.ended_at.is_(None))


def create(
    engine: sa.Engine,
    *,
    effect: str,
    media: str,
    suffix: str,
    parameters: dict[str, Any],
    owner: str | None,
    consent: str | None,
    idempotency_key: str | None,
    retention: Retention,
    due_at: datetime.datetime,
    deadline_at: datetime.datetime,
    lease: float,
    stage: Stage = Stage.INGEST,
    units_total: int | None = None,
    output: dict[str, Any] | None = None,
) -> tuple[JobRow, AssetRow | None]:
    """Insert a job and its input's row, in one transaction and before any byte of the input is stored.

    Returns:
        The job and its input; the job that already carries this idempotency key, and None.
    """
    job_id = uuid.uuid4()
    values = {
        "id": job_id,
        "effect": effect,
        "media": media,
        "state": State.UPLOADING.value,
        "stage": stage.value,
        "units_total": units_total,
        "created_at": clock.now(),
        "lease_until": clock.after(lease),
        "parameters": parameters,
        "output": output,
        "owner": owner,
        "consent": consent,
        "idempotency_key": idempotency_key,
    }
    try:
        with engine.begin() as connection:
            row = connection.execute(_CREATE, values).one()
            asset = assets.reserve(
                connection,
                job_id,
                retention=retention,
                suffix=suffix,
                attempt=0,
                due_at=due_at,
                deadline_at=deadline_at,
            )
            return JobRow.read(row), asset
    except sa.exc.IntegrityError:
        with engines.reading(engine) as connection:
            known = connection.execute(sa.select(JOBS).where(JOBS.c.idempotency_key == idempotency_key)).one()
            return JobRow.read(known), None


def extend_upload(engine: sa.Engine, job_id: uuid.UUID, *, lease: float) -> bool:
    """Say that the producer lives. False when the job is no longer uploading."""
    with engines.writing(engine) as connection:
        return bool(connection.execute(_UPLOADING, {"of_job": job_id, "lease_until": clock.after(lease)}).rowcount)


def mark_uploaded(engine: sa.Engine, job_id: uuid.UUID, asset_id: uuid.UUID, *, size: int) -> JobRow | None:
    """Queue a job whose input is complete. None when it was cancelled or given up meanwhile."""
    with engine.begin() as connection:
        queued = {"of_job": job_id, "state": State.QUEUED.value, "lease_until": None}
        row = connection.execute(_UPLOADING.returning(JOBS), queued).one_or_none()
        if row is None:
            return None
        assets.mark_stored(connection, asset_id, size=size)
        return JobRow.read(row)


def mark_sent(engine: sa.Engine, job_ids: Collection[uuid.UUID]) -> None:
    """Note that the broker has confirmed the messages of these jobs."""
    with engines.writing(engine) as connection:
        connection.execute(_MARK_SENT, {"of_jobs": list(job_ids), "sent_at": clock.now()})


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


def recent(engine: sa.Engine, *, limit: int) -> list[JobRow]:
    """The newest jobs, newest first."""
    with engines.reading(engine) as connection:
        query = sa.select(JOBS).order_by(JOBS.c.created_at.desc()).limit(limit)
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
    connection.execute(_OPEN_ATTEMPTS, {"of_job": job_id, "ended_at": clock.now(), "outcome": outcome})


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
    """Queue the jobs again whose worker fell silent or whose retry is due, and return them."""
    now = clock.now()
    lapsed = sa.and_(JOBS.c.state == State.RUNNING.value, JOBS.c.lease_until < now)
    ready = sa.and_(JOBS.c.state == State.WAITING.value, JOBS.c.retry_at <= now)
    with engine.begin() as connection:
        rows = connection.execute(
            sa.update(JOBS)
            .where(sa.or_(lapsed, ready))
            .values(
                state=State.QUEUED.value,
                attempt=JOBS.c.attempt + 1,
                lease_until=None,
                holder=None,
                retry_at=None,
                sent_at=None,
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
    """Queued jobs whose message was confirmed but that nobody has claimed since."""
    return _queued(engine, JOBS.c.sent_at < clock.after(-seconds), limit=limit)


def adopt(engine: sa.Engine) -> None:
    """Take all messages for lost and all leases for over: the embedded worker that held them is gone."""
    with engine.begin() as connection:
        connection.execute(sa.update(JOBS).where(JOBS.c.state == State.QUEUED.value).values(sent_at=None))
        # A job whose segments run has no lease of its own.
        held = sa.and_(JOBS.c.state == State.RUNNING.value, JOBS.c.holder.is_not(None))
        connection.execute(sa.update(JOBS).where(held).values(lease_until=clock.after(-1)))
    requeue_lapsed(engine)


def _queued(engine: sa.Engine, condition: sa.ColumnElement[bool], *, limit: int) -> list[JobRow]:
    query = (
        sa.select(JOBS).where(JOBS.c.state == State.QUEUED.value, condition).order_by(JOBS.c.created_at).limit(limit)
    )
    with engines.reading(engine) as connection:
        return [JobRow.read(row) for row in connection.execute(query)]


def _ids(engine: sa.Engine, *condition: sa.ColumnElement[bool]) -> list[uuid.UUID]:
    with engines.reading(engine) as connection:
        return list(connection.execute(sa.select(JOBS.c.id).where(*condition)).scalars())
