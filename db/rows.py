"""What the queries return: plain, frozen values, so that no caller holds a session or writes to a row by accident."""

from __future__ import annotations

import dataclasses
import datetime
import uuid
from typing import Any, Self

import sqlalchemy as sa

from mayfly.db.states import AssetState, Retention, Stage, State


@dataclasses.dataclass(frozen=True, kw_only=True)
class JobRow:
    """A job as it was when it was read."""

    id: uuid.UUID
    effect: str
    media: str
    state: State
    stage: Stage
    created_at: datetime.datetime
    started_at: datetime.datetime | None
    finished_at: datetime.datetime | None
    attempt: int
    tries: int
    returns: int
    holder: str | None
    lease_until: datetime.datetime | None
    retry_at: datetime.datetime | None
    units_done: int
    units_total: int | None
    error: str | None
    error_text: str | None
    parameters: dict[str, Any] | None
    output: dict[str, Any] | None
    video: dict[str, Any] | None
    owner: str | None = dataclasses.field(repr=False)

    @classmethod
    def read(cls, row: sa.Row[Any]) -> Self:
        """From a row that has these columns."""
        values = {field.name: getattr(row, field.name) for field in dataclasses.fields(cls)}
        return cls(**values | {"state": State(row.state), "stage": Stage(row.stage)})


@dataclasses.dataclass(frozen=True, kw_only=True)
class SegmentRow:
    """A segment as it was when it was read."""

    job_id: uuid.UUID
    number: int
    state: State
    attempt: int
    tries: int
    returns: int
    holder: str | None
    lease_until: datetime.datetime | None
    retry_at: datetime.datetime | None
    units_done: int
    window: dict[str, Any]
    piece_id: uuid.UUID
    part_id: uuid.UUID | None

    @classmethod
    def read(cls, row: sa.Row[Any]) -> Self:
        """From a row that has these columns."""
        values = {field.name: getattr(row, field.name) for field in dataclasses.fields(cls)}
        return cls(**values | {"state": State(row.state)})


@dataclasses.dataclass(frozen=True, kw_only=True)
class AssetRow:
    """An asset as it was when it was read."""

    id: uuid.UUID
    job_id: uuid.UUID
    retention: Retention
    state: AssetState
    key: str | None
    size: int | None
    suffix: str
    created_at: datetime.datetime
    due_at: datetime.datetime
    deadline_at: datetime.datetime
    lease_until: datetime.datetime | None

    @classmethod
    def read(cls, row: sa.Row[Any]) -> Self:
        """From a row that has these columns."""
        values = {field.name: getattr(row, field.name) for field in dataclasses.fields(cls)}
        return cls(**values | {"retention": Retention(row.retention), "state": AssetState(row.state)})


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReceiptRow:
    """That an asset was destroyed."""

    asset_id: uuid.UUID
    job_id: uuid.UUID
    retention: Retention
    due_at: datetime.datetime
    deadline_at: datetime.datetime
    destroyed_at: datetime.datetime
    verified: str

    @classmethod
    def read(cls, row: sa.Row[Any]) -> Self:
        """From a row that has these columns."""
        values = {field.name: getattr(row, field.name) for field in dataclasses.fields(cls)}
        return cls(**values | {"retention": Retention(row.retention)})
