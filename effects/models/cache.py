"""Keeps models that were loaded, the least recently used no longer than there is room and than they are wanted."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable, Hashable
from typing import Any

GIB = 1024**3


@dataclasses.dataclass
class _Kept:
    model: Any
    size: int
    used: float


class ModelCache:
    """Models by key. Who took one may go on using it when the cache has let go of it."""

    def __init__(
        self, *, most_bytes: int = 4 * GIB, idle: float = 600, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Keep at most `most_bytes` of models, and none that nobody took for `idle` seconds."""
        self.most_bytes = most_bytes
        self.idle = idle
        self._clock = clock
        self._kept: dict[Hashable, _Kept] = {}
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None

    def take(self, key: Hashable, load: Callable[[], tuple[Any, int]]) -> Any:
        """The model of a key; `load` gives it and its size in bytes when it is not there."""
        with self._lock:
            kept = self._kept.pop(key, None)
            if kept is None:
                model, size = load()
                kept = _Kept(model, size, 0)
            kept.used = self._clock()
            # Last in the order of use.
            self._kept[key] = kept
            self._tidy()
            self._watch()
            return kept.model

    def tidy(self) -> None:
        """Let go of what nobody took for long."""
        with self._lock:
            self._timer = None
            self._tidy()
            self._watch()

    def release(self) -> bool:
        """Let go of everything, because memory is wanted; whether there was anything."""
        with self._lock:
            held = bool(self._kept)
            self._kept.clear()
            return held

    def __len__(self) -> int:
        return len(self._kept)

    def __contains__(self, key: Hashable) -> bool:
        return key in self._kept

    def _tidy(self) -> None:
        now = self._clock()
        for key in [key for key, kept in self._kept.items() if now - kept.used >= self.idle]:
            del self._kept[key]
        # The one that was just taken stays, whatever its size.
        while len(self._kept) > 1 and sum(kept.size for kept in self._kept.values()) > self.most_bytes:
            del self._kept[next(iter(self._kept))]

    def _watch(self) -> None:
        if self._timer is None and self._kept:
            self._timer = threading.Timer(self.idle, self.tidy)
            self._timer.daemon = True
            self._timer.start()


cache = ModelCache()
"""This process's own."""
