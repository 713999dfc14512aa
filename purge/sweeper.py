"""Destroys assets: object first, then proof that it is gone, then the receipt."""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import functools
import logging
import uuid
from collections.abc import Collection

import sqlalchemy as sa

from mayfly.db import assets, jobs, personal, refusals, room
from mayfly.db import engine as engines
from mayfly.db.errors import DatabaseFull, DatabaseMissing
from mayfly.db.rows import AssetRow
from mayfly.db.states import AssetState, State
from mayfly.media.errors import StorageError
from mayfly.media.storage.store import Store
from mayfly.purge.suspicion import Suspicion

log = logging.getLogger(__name__)

BATCH = 500
THREADS = 16  # that ask the store at once
SHARE = 16  # assets that one of them asks for in one request
ABSENT = "absent from the store"


@dataclasses.dataclass(frozen=True)
class Sweep:
    """What one sweep did: assets destroyed, and assets that are due and could not be."""

    destroyed: int
    failed: int


def destroy(engine: sa.Engine, store: Store, asset: AssetRow) -> None:
    """Destroy one asset and write its receipt; doing it twice is harmless.

    Raises:
        mayfly.media.errors.StorageError: the store does not answer, or still has the object; no receipt is written.
    """
    _remove(store, asset)
    assets.record_destruction(engine, asset, verified=ABSENT)


def destroy_all(engine: sa.Engine, store: Store, found: list[AssetRow]) -> Sweep:
    """Destroy these assets; one that the store does not give up now stays due, for the next sweep."""
    gone = []
    for asset in found:
        try:
            _remove(store, asset)
            gone.append(asset)
        except StorageError as error:
            log.warning("asset %s is due and could not be destroyed: %s", asset.id, error.code)
    if gone:
        assets.record_destruction(engine, *gone, verified=ABSENT)
    return Sweep(destroyed=len(gone), failed=len(found) - len(gone))


def destroy_due(engine: sa.Engine, store: Store, job_id: uuid.UUID) -> Sweep:
    """Destroy what is due of one job, at once; what cannot be destroyed now is left to the next sweep."""
    return destroy_all(engine, store, assets.due(engine, limit=BATCH, job_id=job_id))


def sweep(engine: sa.Engine, store: Store, *, at_once: bool = False) -> Sweep:
    """Destroy whatever is due, in every class. A job whose input goes before it was finished fails as expired.

    What cannot be destroyed is put off by itself, and is in nobody's way. While the store is away, nothing is put off.

    Args:
        engine: the database.
        store: where the objects are.
        at_once: whether to try as well what was put off.
    """
    expired = _expire_due(engine)
    destroyed = failed = 0
    suspicion = Suspicion(store)
    last: AssetRow | None = None
    with concurrent.futures.ThreadPoolExecutor(THREADS, thread_name_prefix="sweep") as pool:
        while found := assets.due(engine, limit=BATCH, after=last, put_off=at_once):
            last = found[-1]
            shares = [found[start : start + SHARE] for start in range(0, len(found), SHARE)]
            gone = [one for share in pool.map(lambda share: _gone(store, share, suspicion), shares) for one in share]
            gone = _recorded(engine, gone)
            destroyed += len(gone)
            failed += len(found) - len(gone)
            if suspicion.away:
                break
            if kept := {asset.id for asset in found} - {asset.id for asset in gone}:
                _put_off(engine, kept)
    if not expired:
        # There is room now, or the next sweep does it.
        _expire_due(engine)
    while personal.forget_left_behind(engine, most=BATCH) == BATCH:
        continue
    engines.empty_log(engine)
    room.keep_reserve(engine)
    return Sweep(destroyed, failed)


def _remove(store: Store, asset: AssetRow) -> None:
    """Delete an asset's object, and see that it is gone. Raises StorageError."""
    if asset.key is None:
        return
    # What was marked as stored was stored whole.
    pending = asset.state is AssetState.PENDING
    store.destroy(asset.key, unfinished=pending)
    if store.size(asset.key) is not None or (pending and any(store.objects(asset.key))):
        raise StorageError("the store still has an object that it was told to delete")


def _gone(store: Store, share: list[AssetRow], suspicion: Suspicion) -> list[AssetRow]:
    """Those of these assets whose objects are gone now."""
    whole = [asset.key for asset in share if asset.key is not None and asset.state is AssetState.STORED]
    if whole and not suspicion.away:
        try:
            store.destroy_many(whole)
        except Exception as error:  # noqa: BLE001 - one by one, each says for itself what is wrong with it
            suspicion.confirmed_by(error)
    return [asset for asset in share if _is_gone(store, asset, suspicion)]


def _is_gone(store: Store, asset: AssetRow, suspicion: Suspicion) -> bool:
    """Whether an asset's object is gone, now at the latest. No error of one asset ends the sweep of the others."""
    if suspicion.away:
        return False
    try:
        if asset.key is None or asset.state is not AssetState.STORED or store.size(asset.key) is not None:
            _remove(store, asset)
    except Exception as error:  # noqa: BLE001 - whatever it is, the next asset must go; its text may repeat a key
        said = error.code if isinstance(error, StorageError) else type(error).__name__
        if suspicion.confirmed_by(error):
            log.warning("%s: the sweep ends, what is due waits for the next one", said)
        else:
            log.warning("asset %s is due and could not be destroyed: %s", asset.id, said)
        return False
    return True


def _recorded(engine: sa.Engine, gone: list[AssetRow]) -> list[AssetRow]:
    """Write the receipts of these assets; those whose receipts are written."""
    if not gone:
        return []
    try:
        room.with_reserve(engine, lambda: assets.record_destruction(engine, *gone, verified=ABSENT))
    except DatabaseMissing:
        raise
    except sa.exc.SQLAlchemyError as error:
        # One row is wrong, and takes no others along.
        if len(gone) == 1:
            log.warning("asset %s was destroyed and has no receipt: %s", gone[0].id, type(error).__name__)
            return []
        return [asset for one in gone for asset in _recorded(engine, [one])]
    return gone


def _put_off(engine: sa.Engine, kept: Collection[uuid.UUID]) -> None:
    # On a full disk they are tried again at once; the sweep goes on behind them all the same.
    with contextlib.suppress(DatabaseFull):
        room.with_reserve(engine, lambda: refusals.put_off(engine, kept))


def _expire_due(engine: sa.Engine) -> bool:
    """Fail the jobs whose uploads are due. False when the disk is too full for that: the destruction makes room."""
    try:
        while found := assets.jobs_of_due_inputs(engine, limit=BATCH):
            ended = [room.with_reserve(engine, functools.partial(_expire, engine, job_id)) for job_id in found]
            if not any(ended):
                break
    except DatabaseFull as error:
        log.warning("%s: what is due is destroyed all the same", error.code)
        return False
    return True


def _expire(engine: sa.Engine, job_id: uuid.UUID) -> bool:
    return jobs.end(
        engine,
        job_id,
        to=State.FAILED,
        error="expired",
        error_text="the job was not finished before its upload had to be deleted; submit it again",
    )
