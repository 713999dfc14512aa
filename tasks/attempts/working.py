"""Which attempts this process is at, so that whoever stops it knows when they have ended."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator


class Working:
    """A set of attempts; one that was given up is out of it even if its thread goes on."""

    def __init__(self) -> None:
        self._attempts: set[int] = set()
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def on(self, attempt: object) -> Iterator[None]:
        """Count an attempt while the block runs."""
        with self._changed:
            self._attempts.add(id(attempt))
        try:
            yield
        finally:
            self.leave(attempt)

    def leave(self, attempt: object) -> None:
        """Count an attempt no more."""
        with self._changed:
            self._attempts.discard(id(attempt))
            self._changed.notify_all()

    def wait_idle(self, seconds: float) -> bool:
        """Wait until nothing is being worked at. False when that took longer than so many seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._attempts, timeout=seconds)
