"""Rows of assets and receipts: made before the bytes, kept until the destruction is verified."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Collection, Sequence

import sqlalchemy as sa

from mayfly.db import clock, literal, personal
from mayfly.db import engine as engines
from mayfly.db.rows import AssetRow, ReceiptRow
from mayfly.db.states import AssetState, Retention, State
from mayfly.db.tables import ASSETS, JOBS, RECEIPTS

FINAL = tuple(state.value for state in State if state.final)

# Statements are built once, for that costs more than to run them; parameters named as columns are what is set.
_INPUTS = [retention.value for retention in Retention if retention.is_input]
_INPUT = ASSETS.alias("input")


def _not_after_input(moment: str) -> sa.ScalarSelect[datetime.datetime]:
    """A column of the job's input: what is made of an upload on the way lives no longer than the upload may."""
    mine = (_INPUT.c.job_id == sa.bindparam("of_job"), _INPUT.c.retention.in_(_INPUTS))
    return sa.select(_INPUT.c[moment]).where(*mine).scalar_subquery()


_RESERVE = (
    sa.insert(ASSETS)
    .values(
        created_at=clock.now(),
        due_at=clock.after(sa.bindparam("due_after")),
        deadline_at=clock.after(sa.bindparam("deadline_after")),
        lease_until=clock.after(sa.bindparam("lease")),
    )
    .returning(ASSETS)
)
_RESERVE_INTERMEDIATE = _RESERVE.values(
    due_at=sa.func.coalesce(_not_after_input("due_at"), clock.after(sa.bindparam("due_after"))),
    deadline_at=sa.func.coalesce(_not_after_input("deadline_at"), clock.after(sa.bindparam("deadline_after"))),
)
_EXTEND = (
    sa.update(ASSETS)
    .where(ASSETS.c.id.in_(sa.bindparam("assets", expanding=True)), ASSETS.c.state == AssetState.PENDING.value)
    .values(lease_until=clock.after(sa.bindparam("lease")))
)
_ABANDON = (
    sa.update(ASSETS)
    .where(ASSETS.c.id.in_(sa.bindparam("assets", expanding=True)), ASSETS.c.state == AssetState.PENDING.value)
    .values(due_at=clock.now(), lease_until=None)
    .returning(ASSETS)
)
_MARK_STORED = sa.update(ASSETS).where(ASSETS.c.id == sa.bindparam("asset"), ASSETS.c.state == AssetState.PENDING.value)
_MAKE_DUE = (
    sa.update(ASSETS)
    .where(
        ASSETS.c.job_id == sa.bindparam("of_job"),
        ASSETS.c.id.not_in(sa.bindparam("but", expanding=True)),
        ASSETS.c.state != AssetState.DESTROYED.value,
        ASSETS.c.due_at > clock.now(),
    )
    .values(due_at=clock.now())
    .returning(ASSETS)
)
_STORED_INPUT = sa.select(ASSETS).where(
    ASSETS.c.job_id == sa.bindparam("of_job"),
    ASSETS.c.retention.in_(_INPUTS),
    ASSETS.c.state == AssetState.STORED.value,
)
_GET = sa.select(ASSETS).where(ASSETS.c.id == sa.bindparam("asset"))
_MARK_DESTROYED = (
    sa.update(ASSETS)
    .where(ASSETS.c.id.in_(sa.bindparam("assets", expanding=True)), ASSETS.c.state != AssetState.DESTROYED.value)
    .values(state=AssetState.DESTROYED.value, key=None, next_try_at=None)
    .returning(ASSETS.c.id)
)
_RECEIPT = sa.insert(RECEIPTS).values(destroyed_at=clock.now())
# Whoever writes an asset may still be at it while their lease lasts; a receipt that comes before would be untrue.
_WRITTEN = sa.or_(
    ASSETS.c.state != AssetState.PENDING.value, ASSETS.c.lease_until.is_(None), ASSETS.c.lease_until < clock.now()
)


def reserve(
    connection: sa.Connection,
    job_id: uuid.UUID,
    *,
    retention: Retention,
    suffix: str,
    attempt: int,
    due_after: datetime.timedelta,
    deadline_after: datetime.timedelta,
    lease: float,
    asset_id: uuid.UUID | None = None,
) -> AssetRow:
    """Insert the row of an asset whose bytes do not exist yet; its key holds the attempt that makes it.

    Args:
        connection: of the transaction.
        job_id: whose it is.
        retention: its class.
        suffix: of a file that holds it.
        attempt: the fence of who makes it.
        due_after: its term from now on; an intermediate has its input's instead.
        deadline_after: likewise, what was promised.
        lease: seconds for which its writer is taken for alive.
        asset_id: its id, for whoever must be able to find it after an answer that was lost.
    """
    asset_id = asset_id or uuid.uuid4()
    statement = _RESERVE_INTERMEDIATE if retention is Retention.INTERMEDIATE else _RESERVE
    values = {
        "id": asset_id,
        "job_id": job_id,
        "of_job": job_id,
        "retention": retention.value,
        "state": AssetState.PENDING.value,
        "key": f"{retention.value}/{job_id}/{attempt}/{asset_id}",
        "size": None,
        "suffix": suffix,
        "due_after": due_after.total_seconds(),
        "deadline_after": deadline_after.total_seconds(),
        "lease": lease,
    }
    return AssetRow.read(connection.execute(statement, values).one())


def extend(connection: sa.Connection, asset_ids: Collection[uuid.UUID], *, lease: float) -> None:
    """Say that these assets are still being written; `lease` in seconds."""
    connection.execute(_EXTEND, {"assets": list(asset_ids), "lease": lease})


def adopt(connection: sa.Connection) -> None:
    """Say that nobody writes what a worker was writing; uploads are their producers'."""
    ours = (literal.exists(ASSETS), ASSETS.c.state == AssetState.PENDING.value, ASSETS.c.retention.not_in(_INPUTS))
    connection.execute(sa.update(ASSETS).where(*ours).values(lease_until=None))


def abandon(engine: sa.Engine, asset_ids: Collection[uuid.UUID]) -> list[AssetRow]:
    """End the purpose of assets that their writer has given up, and return them.

    What a committed transaction has taken over is stored by now, and is neither changed nor returned.
    """
    with engine.begin() as connection:
        return [AssetRow.read(row) for row in connection.execute(_ABANDON, {"assets": list(asset_ids)})]


def mark_stored(connection: sa.Connection, asset_id: uuid.UUID, *, size: int) -> None:
    """Note that an asset's bytes are complete."""
    connection.execute(_MARK_STORED, {"asset": asset_id, "state": AssetState.STORED.value, "size": size})


def make_due(connection: sa.Connection, job_id: uuid.UUID, *, but: Collection[uuid.UUID] = ()) -> list[AssetRow]:
    """End the purpose of all of a job's assets but these, and return them."""
    values = {"of_job": job_id, "but": list(but)}
    due = [AssetRow.read(row) for row in connection.execute(_MAKE_DUE, values)]
    if not but:
        # A job may end when all that was stored of it is gone already, and no destruction follows.
        personal.forget(connection, [job_id])
    return due


def make_one_due(connection: sa.Connection, asset_id: uuid.UUID) -> list[AssetRow]:
    """End the purpose of one asset, and return it."""
    query = sa.update(ASSETS).where(ASSETS.c.id == asset_id).values(due_at=clock.now()).returning(ASSETS)
    return [AssetRow.read(row) for row in connection.execute(query)]


def stored_input(connection: sa.Connection, job_id: uuid.UUID) -> AssetRow | None:
    """What was uploaded for a job, while it exists."""
    row = connection.execute(_STORED_INPUT, {"of_job": job_id}).one_or_none()
    return None if row is None else AssetRow.read(row)


def pending_input(connection: sa.Connection, job_id: uuid.UUID) -> AssetRow | None:
    """What is being uploaded for a job, until it is stored."""
    query = sa.select(ASSETS).where(
        ASSETS.c.job_id == job_id, ASSETS.c.retention.in_(_INPUTS), ASSETS.c.state == AssetState.PENDING.value
    )
    row = connection.execute(query).one_or_none()
    return None if row is None else AssetRow.read(row)


def find(connection: sa.Connection, asset_id: uuid.UUID) -> AssetRow | None:
    """One asset, if there is one of this id."""
    row = connection.execute(_GET, {"asset": asset_id}).one_or_none()
    return None if row is None else AssetRow.read(row)


def read(connection: sa.Connection, asset_id: uuid.UUID) -> AssetRow:
    """One asset, as this transaction sees it."""
    return AssetRow.read(connection.execute(_GET, {"asset": asset_id}).one())


def of_job(engine: sa.Engine, job_id: uuid.UUID) -> list[AssetRow]:
    """All assets of a job, destroyed ones too, oldest first."""
    with engines.reading(engine) as connection:
        query = sa.select(ASSETS).where(ASSETS.c.job_id == job_id).order_by(ASSETS.c.created_at)
        return [AssetRow.read(row) for row in connection.execute(query)]


def due(
    engine: sa.Engine,
    *,
    limit: int,
    job_id: uuid.UUID | None = None,
    after: AssetRow | None = None,
    put_off: bool = True,
) -> list[AssetRow]:
    """Assets whose time is over and that nobody writes any more, the most overdue first.

    Args:
        engine: the database.
        limit: how many at most.
        job_id: only this job's.
        after: only those that come after this one, the last of the page before.
        put_off: also those that could not be destroyed and whose next try is not due; see mayfly.db.refusals.
    """
    query = (
        sa.select(ASSETS)
        .where(literal.exists(ASSETS), ASSETS.c.due_at <= clock.now(), _WRITTEN)
        .order_by(ASSETS.c.due_at, ASSETS.c.id)
        .limit(limit)
    )
    if job_id is not None:
        query = query.where(ASSETS.c.job_id == job_id)
    if after is not None:
        place = sa.tuple_(sa.literal(after.due_at, ASSETS.c.due_at.type), sa.literal(after.id, ASSETS.c.id.type))
        query = query.where(sa.tuple_(ASSETS.c.due_at, ASSETS.c.id) > place)
    if not put_off:
        query = query.where(sa.or_(ASSETS.c.next_try_at.is_(None), ASSETS.c.next_try_at <= clock.now()))
    with engines.reading(engine) as connection:
        return [AssetRow.read(row) for row in connection.execute(query)]


def due_of(connection: sa.Connection, job_id: uuid.UUID) -> list[AssetRow]:
    """The assets of a job whose time is over, as this transaction sees them."""
    query = sa.select(ASSETS).where(
        ASSETS.c.job_id == job_id, ASSETS.c.state != AssetState.DESTROYED.value, ASSETS.c.due_at <= clock.now()
    )
    return [AssetRow.read(row) for row in connection.execute(query)]


def jobs_of_due_inputs(engine: sa.Engine, *, limit: int) -> list[uuid.UUID]:
    """Jobs that were not finished before their upload is to be destroyed, or whose upload was destroyed before."""
    query = (
        sa.select(JOBS.c.id)
        .join(ASSETS, ASSETS.c.job_id == JOBS.c.id)
        .where(literal.is_unfinished(JOBS), ASSETS.c.retention.in_(_INPUTS), ASSETS.c.due_at <= clock.now())
        .limit(limit)
    )
    with engines.reading(engine) as connection:
        return list(connection.execute(query).scalars())


def held(engine: sa.Engine) -> dict[str, int]:
    """How many assets of each retention class exist."""
    return _count(engine, sa.true())


def late(engine: sa.Engine, *, seconds: float) -> int:
    """How many assets have been due for so long, and untried; mayfly.db.refusals has the others."""
    waiting = sa.and_(ASSETS.c.due_at < clock.after(-seconds), ASSETS.c.tries == 0, _WRITTEN)
    return sum(_count(engine, waiting).values())


def overdue(engine: sa.Engine) -> dict[str, int]:
    """How many assets of each retention class outlived what was promised; all zero when the promises are kept."""
    return _count(engine, ASSETS.c.deadline_at < clock.now())


def record_destruction(engine: sa.Engine, *destroyed: AssetRow, verified: str) -> None:
    """Write the receipts and forget the keys; with a finished job's last asset, its personal fields go as well.

    All in one transaction; doing it twice writes one receipt.
    """
    job_ids = {asset.job_id for asset in destroyed}
    with engine.begin() as connection:
        personal.lock(connection, job_ids)
        marked = set(connection.execute(_MARK_DESTROYED, {"assets": [asset.id for asset in destroyed]}).scalars())
        written = [
            {
                "id": uuid.uuid4(),
                "asset_id": asset.id,
                "job_id": asset.job_id,
                "retention": asset.retention.value,
                "due_at": asset.due_at,
                "deadline_at": asset.deadline_at,
                "verified": verified,
            }
            for asset in destroyed
            if asset.id in marked
        ]
        if written:
            connection.execute(_RECEIPT, written)
        personal.forget(connection, job_ids)


def receipts(engine: sa.Engine, job_ids: Sequence[uuid.UUID]) -> list[ReceiptRow]:
    """The receipts of these jobs' assets, oldest first."""
    query = sa.select(RECEIPTS).where(RECEIPTS.c.job_id.in_(job_ids)).order_by(RECEIPTS.c.destroyed_at)
    with engines.reading(engine) as connection:
        return [ReceiptRow.read(row) for row in connection.execute(query)]


def _count(engine: sa.Engine, condition: sa.ColumnElement[bool]) -> dict[str, int]:
    query = (
        sa.select(ASSETS.c.retention, sa.func.count())
        .where(literal.exists(ASSETS), condition)
        .group_by(ASSETS.c.retention)
    )
    with engines.reading(engine) as connection:
        found = {row[0]: row[1] for row in connection.execute(query)}
    return {retention.value: found.get(retention.value, 0) for retention in Retention}
