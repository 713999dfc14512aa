"""Tells a store that is away from an asset that it does not give up: the first concerns all assets, the second one."""

from __future__ import annotations

import threading
import time

from mayfly.media.errors import StorageError, StorageUnavailable
from mayfly.media.storage.store import Store

PROBE = "probe"  # a key that nothing is ever stored under
TRUSTED_SECONDS = 1.0  # for so long, a store that has just done what it is asked for is not asked again


class Suspicion:
    """What one sweep knows of its store; used from several threads."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._trusted_until = float("-inf")
        self._away = False

    @property
    def away(self) -> bool:
        """Whether the store was found to do nothing of what a destruction takes."""
        return self._away

    def confirmed_by(self, error: Exception) -> bool:
        """Whether this error of an asset is the whole store's, which is asked for the same of a key without object."""
        if not isinstance(error, StorageUnavailable):
            return False
        with self._lock:
            if not self._away and time.monotonic() > self._trusted_until:
                self._away = not self._works()
                self._trusted_until = time.monotonic() + TRUSTED_SECONDS
            return self._away

    def _works(self) -> bool:
        try:
            self._store.destroy(PROBE, unfinished=False)
            self._store.size(PROBE)
        except StorageError:
            return False
        return True
