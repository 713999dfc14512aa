"""Rows of jobs for tests, with moments that a test may choose."""

from __future__ import annotations

import datetime
import uuid
from typing import Any

import sqlalchemy as sa

from mayfly.db import assets, backlog, jobs
from mayfly.db.rows import AssetRow, JobRow
from mayfly.db.states import Retention
from mayfly.db.tables import ASSETS

HOUR = datetime.timedelta(hours=1)


def create(
    engine: sa.Engine,
    *,
    lease: float = 60,
    job_id: uuid.UUID | None = None,
    due_at: datetime.datetime | None = None,
    deadline_at: datetime.datetime | None = None,
    bounds: backlog.Bounds | None = None,
    **changes: Any,
) -> tuple[JobRow, AssetRow | None]:
    """A job that is uploading and its input, as `jobs.create` returns them."""
    values = {
        "effect": "anime",
        "media": "image",
        "suffix": ".jpg",
        "parameters": {"strength": 0.5},
        "owner": "owner-1",
        "consent": "consent-1",
        "retention": Retention.INPUT,
        "due_after": 22 * HOUR,
        "deadline_after": 24 * HOUR,
    }
    job, asset = jobs.create(engine, jobs.Request(**values | changes), lease=lease, job_id=job_id, bounds=bounds)
    moments = {name: moment for name, moment in (("due_at", due_at), ("deadline_at", deadline_at)) if moment}
    if asset is None or not moments:
        return job, asset
    with engine.begin() as connection:
        changed = sa.update(ASSETS).where(ASSETS.c.id == asset.id).values(**moments).returning(ASSETS)
        return job, AssetRow.read(connection.execute(changed).one())


def reserve(
    engine: sa.Engine,
    job_id: uuid.UUID,
    retention: Retention = Retention.INTERMEDIATE,
    *,
    attempt: int = 1,
    lease: float = 60,
) -> AssetRow:
    """An asset that an attempt at this job is about to store."""
    with engine.begin() as connection:
        return assets.reserve(
            connection,
            job_id,
            retention=retention,
            suffix=".mp4",
            attempt=attempt,
            due_after=HOUR,
            deadline_after=2 * HOUR,
            lease=lease,
        )


def set_asset(engine: sa.Engine, asset_id: uuid.UUID, **values: Any) -> None:
    """Set columns of an asset behind everybody's back."""
    with engine.begin() as connection:
        connection.execute(sa.update(ASSETS).where(ASSETS.c.id == asset_id).values(**values))
