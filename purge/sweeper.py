"""Destroys assets: object first, then proof that it is gone, then the receipt."""

from __future__ import annotations

import dataclasses
import logging
import uuid

import sqlalchemy as sa

from db import assets, jobs
from db.rows import AssetRow
from db.states import AssetState, State
from media.errors import StorageError
from media.storage import Store

log = logging.getLogger(__name__)

BATCH = 500
ABSENT = "absent from the store"


@dataclasses.dataclass(frozen=True)
class Sweep:
    """What one sweep did."""

    destroyed: int
    failed: int


def destroy(engine: sa.Engine, store: Store, asset: AssetRow) -> None:
    """Destroy one asset and write its receipt; doing it twice is harmless.

    Raises:
        media.errors.StorageError: the store does not answer, or still has the object; no receipt is written.
    """
    if asset.key is not None:
        # What was marked as stored was stored whole.
        pending = asset.state is AssetState.PENDING
        store.destroy(asset.key, unfinished=pending)
        if store.size(asset.key) is not None or (pending and any(store.objects(asset.key))):
            raise StorageError("the store still has an object that it was told to delete")
    assets.record_destruction(engine, asset, verified=ABSENT)


def destroy_all(engine: sa.Engine, store: Store, found: list[AssetRow]) -> Sweep:
    """Destroy these assets; one that the store does not give up now stays due, for the next sweep."""
    failed = 0
    for asset in found:
        try:
            destroy(engine, store, asset)
        except StorageError as error:
            failed += 1
            log.warning("asset %s is due and could not be destroyed: %s", asset.id, error.code)
    return Sweep(destroyed=len(found) - failed, failed=failed)


def destroy_due(engine: sa.Engine, store: Store, job_id: uuid.UUID) -> Sweep:
    """Destroy what is due of one job, at once; what cannot be destroyed now is left to the next sweep."""
    return destroy_all(engine, store, assets.due(engine, limit=BATCH, job_id=job_id))


def sweep(engine: sa.Engine, store: Store) -> Sweep:
    """Destroy whatever is due, in every class. A job whose input goes before it was finished fails as expired."""
    for job_id in assets.jobs_of_due_inputs(engine):
        _expire(engine, job_id)
    total = Sweep(0, 0)
    while True:
        found = assets.due(engine, limit=BATCH)
        done = destroy_all(engine, store, found)
        total = Sweep(total.destroyed + done.destroyed, total.failed + done.failed)
        # A failed asset stays due, so a full batch of failures would come back for ever.
        if len(found) < BATCH or done.failed:
            return total


def _expire(engine: sa.Engine, job_id: uuid.UUID) -> None:
    jobs.end(
        engine,
        job_id,
        to=State.FAILED,
        error="expired",
        error_text="the job was not finished before its upload had to be deleted; submit it again",
    )
