"""Keeps models that were loaded, the least recently used no longer than there is room and than they are wanted."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from typing import Any

from cachetools import TTLCache

GIB = 1024**3


class ModelCache:
    """Models by key. Who took one may go on using it when the cache has let go of it."""

    def __init__(
        self, *, most_bytes: int = 4 * GIB, idle: float = 600, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Keep at most `most_bytes` of models, and none that nobody took for `idle` seconds."""
        # A model that is larger than all the room takes all of it.
        self._kept: TTLCache[Hashable, tuple[Any, int]] = TTLCache(
            most_bytes, idle, timer=clock, getsizeof=lambda kept: min(kept[1], most_bytes)
        )
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None

    def take(self, key: Hashable, load: Callable[[], tuple[Any, int]]) -> Any:
        """The model of a key; `load` gives it and its size in bytes when it is not there."""
        with self._lock:
            # What nobody took for long goes before more is loaded.
            self._kept.expire()
            kept = self._kept.get(key) or load()
            # Set anew, for its time begins anew.
            self._kept[key] = kept
            self._watch()
            return kept[0]

    def tidy(self) -> None:
        """Let go of what nobody took for long."""
        with self._lock:
            self._timer = None
            self._kept.expire()
            self._watch()

    def release(self) -> bool:
        """Let go of everything, because memory is wanted; whether there was anything."""
        with self._lock:
            # What is let go of because its time is over counts as well.
            held = bool(self._kept.expire()) or len(self._kept) > 0
            self._kept.clear()
            return held

    def __len__(self) -> int:
        with self._lock:
            return len(self._kept)

    def __contains__(self, key: Hashable) -> bool:
        with self._lock:
            return key in self._kept

    def _watch(self) -> None:
        if self._timer is None and self._kept:
            self._timer = threading.Timer(self._kept.ttl, self.tidy)
            self._timer.daemon = True
            self._timer.start()


cache = ModelCache()
"""This process's own."""
