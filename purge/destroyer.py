"""Destroys what a finished job leaves beside the next job's work, so that no worker waits for the store's deletion."""

from __future__ import annotations

import concurrent.futures
import logging
import threading

import sqlalchemy as sa

from mayfly.db.rows import AssetRow
from mayfly.media.storage.store import Store
from mayfly.purge import sweeper

log = logging.getLogger(__name__)


class Destroyer:
    """One thread that destroys at once, and never falls behind: it is given a job's assets when it has done the last.

    What it cannot destroy, or does not come to because the process is killed, is due in the table for the next sweep.
    """

    def __init__(self, engine: sa.Engine, store: Store) -> None:
        self._engine = engine
        self._store = store
        self._pool = concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="destroyer")
        self._free = threading.Semaphore(1)

    def destroy(self, due: list[AssetRow]) -> None:
        """Begin to destroy these assets; waits for those of the job before."""
        self._free.acquire()
        self._pool.submit(self._destroy, due)

    def close(self) -> None:
        """Wait for what was begun, and take no more."""
        self._pool.shutdown()

    def _destroy(self, due: list[AssetRow]) -> None:
        try:
            sweeper.destroy_all(self._engine, self._store, due)
        except Exception as error:  # noqa: BLE001 - nobody waits for this thread; an error's text may repeat a key
            log.warning("%d assets could not be recorded as destroyed: %s", len(due), type(error).__name__)
        finally:
            self._free.release()
