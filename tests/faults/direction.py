"""One direction of the tests' TCP proxy: how fast it is, and after how many bytes something happens to it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

CHUNK_BYTES = 64 * 1024
PIECES_A_SECOND = 20  # of a throttled line


class Direction:
    """What all connections share in one direction: a rate, and a number of bytes after which something happens."""

    def __init__(self) -> None:
        self.rate: float | None = None
        self._free_at = 0.0
        self._left = 0
        self._action: Callable[[], object] | None = None
        self._lock = threading.Lock()

    def limit(self, count: int, action: Callable[[], object]) -> None:
        with self._lock:
            self._left, self._action = count, action

    def piece(self) -> int:
        """How many bytes to read at once."""
        return max(1, min(CHUNK_BYTES, int(self.rate / PIECES_A_SECOND))) if self.rate else CHUNK_BYTES

    def allowed(self, count: int) -> tuple[int, Callable[[], object] | None]:
        """How many of `count` bytes may go now, and what has to happen after them."""
        with self._lock:
            if self._action is None:
                return count, None
            if count < self._left:
                self._left -= count
                return count, None
            action, self._action = self._action, None
            return self._left, action

    def wait(self, count: int, closed: threading.Event) -> None:
        """Wait until the line has taken `count` bytes."""
        if not self.rate:
            return
        with self._lock:
            self._free_at = max(self._free_at, time.monotonic()) + count / self.rate
            seconds = self._free_at - time.monotonic()
        closed.wait(seconds)
