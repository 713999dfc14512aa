"""Rows of assets and receipts: made before the bytes, kept until the destruction is verified."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Sequence

import sqlalchemy as sa

from db import clock
from db import engine as engines
from db.rows import AssetRow, ReceiptRow
from db.states import AssetState, Retention, State
from db.tables import ASSETS, JOBS, RECEIPTS

FINAL = tuple(state.value for state in State if state.final)


def reserve(
    connection: sa.Connection,
    job_id: uuid.UUID,
    *,
    retention: Retention,
    suffix: str,
    attempt: int,
    due_at: datetime.datetime,
    deadline_at: datetime.datetime,
) -> AssetRow:
    """Insert the row of an asset whose bytes do not exist yet; its key holds the attempt that makes it."""
    asset_id = uuid.uuid4()
    row = connection.execute(
        sa.insert(ASSETS)
        .values(
            id=asset_id,
            job_id=job_id,
            retention=retention.value,
            state=AssetState.PENDING.value,
            key=f"{retention.value}/{job_id}/{attempt}/{asset_id}",
            suffix=suffix,
            created_at=clock.now(),
            due_at=due_at,
            deadline_at=deadline_at,
        )
        .returning(ASSETS)
    ).one()
    return AssetRow.read(row)


def mark_stored(connection: sa.Connection, asset_id: uuid.UUID, *, size: int) -> None:
    """Note that an asset's bytes are complete."""
    connection.execute(
        sa.update(ASSETS)
        .where(ASSETS.c.id == asset_id, ASSETS.c.state == AssetState.PENDING.value)
        .values(state=AssetState.STORED.value, size=size)
    )


def make_due(connection: sa.Connection, job_id: uuid.UUID, *, but: uuid.UUID | None = None) -> list[AssetRow]:
    """End the purpose of all of a job's assets, or of all but one, and return them."""
    now = clock.now()
    condition = [ASSETS.c.job_id == job_id, ASSETS.c.state != AssetState.DESTROYED.value, ASSETS.c.due_at > now]
    if but is not None:
        condition.append(ASSETS.c.id != but)
    made_due = sa.update(ASSETS).where(*condition).values(due_at=now).returning(ASSETS)
    return [AssetRow.read(row) for row in connection.execute(made_due)]


def stored_input(connection: sa.Connection, job_id: uuid.UUID) -> AssetRow | None:
    """What was uploaded for a job, while it exists."""
    inputs = [retention.value for retention in Retention if retention.is_input]
    query = sa.select(ASSETS).where(
        ASSETS.c.job_id == job_id, ASSETS.c.retention.in_(inputs), ASSETS.c.state == AssetState.STORED.value
    )
    row = connection.execute(query).one_or_none()
    return None if row is None else AssetRow.read(row)


def of_job(engine: sa.Engine, job_id: uuid.UUID) -> list[AssetRow]:
    """All assets of a job, destroyed ones too, oldest first."""
    with engines.reading(engine) as connection:
        query = sa.select(ASSETS).where(ASSETS.c.job_id == job_id).order_by(ASSETS.c.created_at)
        return [AssetRow.read(row) for row in connection.execute(query)]


def due(engine: sa.Engine, *, limit: int, job_id: uuid.UUID | None = None) -> list[AssetRow]:
    """Assets whose time is over, the most overdue first."""
    query = (
        sa.select(ASSETS)
        .where(ASSETS.c.state != AssetState.DESTROYED.value, ASSETS.c.due_at <= clock.now())
        .order_by(ASSETS.c.due_at)
        .limit(limit)
    )
    if job_id is not None:
        query = query.where(ASSETS.c.job_id == job_id)
    with engines.reading(engine) as connection:
        return [AssetRow.read(row) for row in connection.execute(query)]


def held(engine: sa.Engine) -> dict[str, int]:
    """How many assets of each retention class exist."""
    return _count(engine, sa.true())


def overdue(engine: sa.Engine) -> dict[str, int]:
    """How many assets of each retention class outlived what was promised; all zero when the promises are kept."""
    return _count(engine, ASSETS.c.deadline_at < clock.now())


def record_destruction(engine: sa.Engine, asset: AssetRow, *, verified: str) -> None:
    """Write the receipt and forget the key; with a finished job's last asset, its personal fields go as well."""
    now = clock.now()
    with engine.begin() as connection:
        marked = connection.execute(
            sa.update(ASSETS)
            .where(ASSETS.c.id == asset.id, ASSETS.c.state != AssetState.DESTROYED.value)
            .values(state=AssetState.DESTROYED.value, key=None)
        )
        if marked.rowcount:
            connection.execute(
                sa.insert(RECEIPTS).values(
                    id=uuid.uuid4(),
                    asset_id=asset.id,
                    job_id=asset.job_id,
                    retention=asset.retention.value,
                    due_at=asset.due_at,
                    deadline_at=asset.deadline_at,
                    destroyed_at=now,
                    verified=verified,
                )
            )
        left = sa.exists().where(ASSETS.c.job_id == asset.job_id, ASSETS.c.state != AssetState.DESTROYED.value)
        connection.execute(
            sa.update(JOBS)
            .where(JOBS.c.id == asset.job_id, JOBS.c.state.in_(FINAL), ~left)
            .values(parameters=None, owner=None, consent=None, idempotency_key=None)
        )


def receipts(engine: sa.Engine, job_ids: Sequence[uuid.UUID]) -> list[ReceiptRow]:
    """The receipts of these jobs' assets, oldest first."""
    query = sa.select(RECEIPTS).where(RECEIPTS.c.job_id.in_(job_ids)).order_by(RECEIPTS.c.destroyed_at)
    with engines.reading(engine) as connection:
        return [ReceiptRow.read(row) for row in connection.execute(query)]


def _count(engine: sa.Engine, condition: sa.ColumnElement[bool]) -> dict[str, int]:
    query = (
        sa.select(ASSETS.c.retention, sa.func.count())
        .where(ASSETS.c.state != AssetState.DESTROYED.value, condition)
        .group_by(ASSETS.c.retention)
    )
    with engines.reading(engine) as connection:
        found = {row[0]: row[1] for row in connection.execute(query)}
    return {retention.value: found.get(retention.value, 0) for retention in Retention}
