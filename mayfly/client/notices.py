"""Says what a call waits for, once that takes long: nobody looks at a command that stands still without a word."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

AFTER_SECONDS = 3.0  # without progress
LOOK_SECONDS = 0.25

OnNotice = Callable[[str], None]


class Notices:
    """Of one call. A thread of its own looks, for the call itself stands; without a listener there is none."""

    def __init__(self, tell: OnNotice | None) -> None:
        self._tell = tell
        self._what: str | None = None
        self._since = 0.0
        self._told: set[str] = set()
        self._done = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        if self._tell is not None:
            self._thread = threading.Thread(target=self._look, name="notices", daemon=True)
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._done.set()
        if self._thread is not None:
            self._thread.join()

    def on(self, what: str | None) -> None:
        """From now on the call waits for this, or for nothing; it is told once."""
        self._what, self._since = what, time.monotonic()

    def over(self, what: str) -> None:
        """A wait has ended: whoever was told of it is told that as well, and of the next wait again."""
        self.on(None)
        if what in self._told:
            self._told.discard(what)
            self.say(f"no longer waiting for {what}")

    def say(self, text: str) -> None:
        """Tell something now."""
        if self._tell is not None:
            self._tell(text)

    def _look(self) -> None:
        while not self._done.wait(LOOK_SECONDS):
            what = self._what
            if what is not None and what not in self._told and time.monotonic() - self._since >= AFTER_SECONDS:
                self._told.add(what)
                self.say(f"waiting for {what} …")
