"""The tables. Every moment is UTC; nothing here holds a file name, metadata or a hash of content.

A job's fingerprint is keyed by its producer's idempotency key, and is blanked with the personal fields.
"""

from __future__ import annotations

import datetime
import uuid
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy import orm

from mayfly.db.moment import Moment
from mayfly.db.states import UNFINISHED, AssetState, State

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


# What partial indexes hold; mayfly.db.literal writes a query's conditions in the same words, so that planners prove
# them.
IS_UNFINISHED = f"state IN ({', '.join(repr(state.value) for state in UNFINISHED)})"
HAS_NO_RESULT = f"state IN ('{State.FAILED.value}', '{State.CANCELLED.value}')"
IS_QUEUED = f"state = '{State.QUEUED.value}'"
EXISTS = f"state <> '{AssetState.DESTROYED.value}'"


def _some(*columns: str, where: str) -> sa.Index:
    """An index of the rows that a query can want, and of no other: what is finished costs the living nothing."""
    return sa.Index(None, *columns, sqlite_where=sa.text(where), postgresql_where=sa.text(where))


class Base(orm.DeclarativeBase):
    """The root of the tables."""

    metadata = sa.MetaData(naming_convention=NAMING)
    type_annotation_map = {datetime.datetime: Moment, uuid.UUID: sa.Uuid, dict[str, Any]: sa.JSON(none_as_null=True)}  # noqa: RUF012


class Job(Base):
    """One effect on one upload. `attempt` is the fence: only the holder of the newest may change a running job."""

    __tablename__ = "jobs"

    id: orm.Mapped[uuid.UUID] = orm.mapped_column(primary_key=True)
    effect: orm.Mapped[str] = orm.mapped_column(sa.String(64))
    media: orm.Mapped[str] = orm.mapped_column(sa.String(8))
    state: orm.Mapped[str] = orm.mapped_column(sa.String(16))
    stage: orm.Mapped[str] = orm.mapped_column(sa.String(16))
    created_at: orm.Mapped[datetime.datetime]
    started_at: orm.Mapped[datetime.datetime | None]  # when the present stage was first claimed
    finished_at: orm.Mapped[datetime.datetime | None]
    sent_at: orm.Mapped[datetime.datetime | None]
    retry_at: orm.Mapped[datetime.datetime | None]
    attempt: orm.Mapped[int] = orm.mapped_column(default=0)
    tries: orm.Mapped[int] = orm.mapped_column(default=0)  # attempts at the present stage that count
    returns: orm.Mapped[int] = orm.mapped_column(default=0, server_default="0")  # that came back unfinished, uncounted
    dead_letters: orm.Mapped[int] = orm.mapped_column(default=0, server_default="0")  # messages that were given up
    queued_at: orm.Mapped[datetime.datetime | None]  # since when it waits for a worker
    emptied_at: orm.Mapped[datetime.datetime | None]  # when its last asset was destroyed; its row's own term begins
    lease_until: orm.Mapped[datetime.datetime | None]
    holder: orm.Mapped[str | None] = orm.mapped_column(sa.String(255))
    units_done: orm.Mapped[int] = orm.mapped_column(default=0)
    units_total: orm.Mapped[int | None]
    input_bytes: orm.Mapped[int] = orm.mapped_column(sa.BigInteger, default=0, server_default="0")  # as announced
    error: orm.Mapped[str | None] = orm.mapped_column(sa.String(64))
    error_text: orm.Mapped[str | None] = orm.mapped_column(sa.String(500))

    output: orm.Mapped[dict[str, Any] | None]  # what its producer chose for the result; None for the defaults
    video: orm.Mapped[dict[str, Any] | None]  # what its segments share: the source's facts and the result's container

    # Personal: blanked with the job's last asset.
    parameters: orm.Mapped[dict[str, Any] | None]
    owner: orm.Mapped[str | None] = orm.mapped_column(sa.String(255))
    consent: orm.Mapped[str | None] = orm.mapped_column(sa.String(255))
    idempotency_key: orm.Mapped[str | None] = orm.mapped_column(sa.String(255))
    fingerprint: orm.Mapped[str | None] = orm.mapped_column(sa.String(64))  # of what came under the key

    __table_args__ = (
        # What mayfly.db.jobs.recent asks for, page by page: of all, of those without a result, of an owner.
        sa.Index(None, "created_at", "id"),
        _some("state", "created_at", "id", where=HAS_NO_RESULT),
        _some("owner", "created_at", "id", where="owner IS NOT NULL"),
        # Holds all that mayfly.db.backlog asks for.
        _some("owner", "input_bytes", "created_at", where=IS_UNFINISHED),
        _some("sent_at", "created_at", where=IS_QUEUED),
        _some("lease_until", where="lease_until IS NOT NULL"),
        _some("retry_at", where="retry_at IS NOT NULL"),
        _some("emptied_at", where="emptied_at IS NOT NULL"),
        # One caller's key is not another's; to an index, two rows without an owner have different ones.
        sa.Index("uq_jobs_owner_idempotency_key", "owner", "idempotency_key", unique=True),
        sa.Index(
            "uq_jobs_key_without_owner",
            "idempotency_key",
            unique=True,
            sqlite_where=sa.text("owner IS NULL"),
            postgresql_where=sa.text("owner IS NULL"),
        ),
    )


class Asset(Base):
    """The bytes of one stored object. The row comes before the bytes and outlives them."""

    __tablename__ = "assets"

    id: orm.Mapped[uuid.UUID] = orm.mapped_column(primary_key=True)
    job_id: orm.Mapped[uuid.UUID] = orm.mapped_column(sa.ForeignKey("jobs.id"), index=True)
    retention: orm.Mapped[str] = orm.mapped_column(sa.String(16))
    state: orm.Mapped[str] = orm.mapped_column(sa.String(16))
    key: orm.Mapped[str | None] = orm.mapped_column(sa.String(255))
    size: orm.Mapped[int | None] = orm.mapped_column(sa.BigInteger)
    suffix: orm.Mapped[str] = orm.mapped_column(sa.String(8))
    created_at: orm.Mapped[datetime.datetime]
    due_at: orm.Mapped[datetime.datetime]  # moved to now when the asset's purpose ends
    deadline_at: orm.Mapped[datetime.datetime]  # what was promised; never moved
    lease_until: orm.Mapped[datetime.datetime | None]  # of whoever writes it, while it is pending
    tries: orm.Mapped[int] = orm.mapped_column(default=0, server_default="0")  # in which it could not be destroyed
    next_try_at: orm.Mapped[datetime.datetime | None]  # when a sweep tries again; None while none has failed

    __table_args__ = (
        # With the class, which is all that counts of assets ask for.
        _some("due_at", "retention", where=EXISTS),
        _some("deadline_at", "retention", where=EXISTS),
    )


class Segment(Base):
    """A piece of a video, claimed as a job is. `piece_id` is its input, cut from the source, `part_id` its output."""

    __tablename__ = "segments"

    job_id: orm.Mapped[uuid.UUID] = orm.mapped_column(sa.ForeignKey("jobs.id"), primary_key=True)
    number: orm.Mapped[int] = orm.mapped_column(primary_key=True, autoincrement=False)
    state: orm.Mapped[str] = orm.mapped_column(sa.String(16))
    sent_at: orm.Mapped[datetime.datetime | None]
    retry_at: orm.Mapped[datetime.datetime | None]
    attempt: orm.Mapped[int] = orm.mapped_column(default=0)
    tries: orm.Mapped[int] = orm.mapped_column(default=0)
    returns: orm.Mapped[int] = orm.mapped_column(default=0, server_default="0")
    dead_letters: orm.Mapped[int] = orm.mapped_column(default=0, server_default="0")
    queued_at: orm.Mapped[datetime.datetime | None]
    lease_until: orm.Mapped[datetime.datetime | None]
    holder: orm.Mapped[str | None] = orm.mapped_column(sa.String(255))
    units_done: orm.Mapped[int] = orm.mapped_column(default=0)
    outcome: orm.Mapped[str | None] = orm.mapped_column(sa.String(64))  # of the last attempt that failed
    window: orm.Mapped[dict[str, Any]]  # which of the piece's frames belong to it: mayfly.media.video.segments.Window
    piece_id: orm.Mapped[uuid.UUID] = orm.mapped_column(sa.ForeignKey("assets.id"))
    part_id: orm.Mapped[uuid.UUID | None] = orm.mapped_column(sa.ForeignKey("assets.id"))

    __table_args__ = (
        _some("sent_at", where=IS_QUEUED),
        _some("lease_until", where="lease_until IS NOT NULL"),
        _some("retry_at", where="retry_at IS NOT NULL"),
        # An asset's row goes only when no segment names it.
        sa.Index(None, "piece_id"),
        _some("part_id", where="part_id IS NOT NULL"),
    )


class Attempt(Base):
    """One claim on a job: who ran it, when, and how it ended."""

    __tablename__ = "attempts"

    job_id: orm.Mapped[uuid.UUID] = orm.mapped_column(sa.ForeignKey("jobs.id"), primary_key=True)
    number: orm.Mapped[int] = orm.mapped_column(primary_key=True, autoincrement=False)
    stage: orm.Mapped[str] = orm.mapped_column(sa.String(16))
    holder: orm.Mapped[str] = orm.mapped_column(sa.String(255))
    started_at: orm.Mapped[datetime.datetime]
    ended_at: orm.Mapped[datetime.datetime | None]
    outcome: orm.Mapped[str | None] = orm.mapped_column(sa.String(64))


class Receipt(Base):
    """That an asset was destroyed. It refers to nothing that a person could be found by."""

    __tablename__ = "receipts"

    id: orm.Mapped[uuid.UUID] = orm.mapped_column(primary_key=True)
    asset_id: orm.Mapped[uuid.UUID] = orm.mapped_column(unique=True)
    job_id: orm.Mapped[uuid.UUID] = orm.mapped_column(index=True)
    retention: orm.Mapped[str] = orm.mapped_column(sa.String(16))
    due_at: orm.Mapped[datetime.datetime]
    deadline_at: orm.Mapped[datetime.datetime]
    destroyed_at: orm.Mapped[datetime.datetime]
    verified: orm.Mapped[str] = orm.mapped_column(sa.String(32))


class DailyCount(Base):
    """What is left of rows whose term is over: how many there were. Of nobody, and of no single job.

    `kind` job: `name` an effect, `outcome` its final state. `kind` receipt: `name` a retention class, `outcome`
    `in_time` or `late`.
    """

    __tablename__ = "daily_counts"

    day: orm.Mapped[datetime.date] = orm.mapped_column(sa.Date, primary_key=True)
    kind: orm.Mapped[str] = orm.mapped_column(sa.String(16), primary_key=True)
    name: orm.Mapped[str] = orm.mapped_column(sa.String(64), primary_key=True)
    outcome: orm.Mapped[str] = orm.mapped_column(sa.String(16), primary_key=True)
    count: orm.Mapped[int] = orm.mapped_column(sa.BigInteger)


class PeriodicRun(Base):
    """One slot of a periodic task; the unique insert makes two beats harmless."""

    __tablename__ = "periodic_runs"

    task: orm.Mapped[str] = orm.mapped_column(sa.String(64), primary_key=True)
    slot: orm.Mapped[int] = orm.mapped_column(sa.BigInteger, primary_key=True, autoincrement=False)
    claimed_at: orm.Mapped[datetime.datetime]


class Finding(Base):
    """What a sweep found to be wrong and mended: how often in all, and when last. Names: mayfly.db.findings."""

    __tablename__ = "findings"

    name: orm.Mapped[str] = orm.mapped_column(sa.String(64), primary_key=True)
    count: orm.Mapped[int]
    last_at: orm.Mapped[datetime.datetime]


# The same as tables of SQLAlchemy's core, which is what the queries use.
JOBS, ASSETS, SEGMENTS, ATTEMPTS, RECEIPTS, PERIODIC_RUNS, FINDINGS, DAILY_COUNTS = (
    cast(sa.Table, entity.__table__)
    for entity in (Job, Asset, Segment, Attempt, Receipt, PeriodicRun, Finding, DailyCount)
)
