"""Watches over an attempt from a thread of its own: renews the lease, and ends work that is not to go on.

Work that looks ends by itself, at its next frame. Work that does not look is given up in the table, and then its
process is ended, where the process is a worker's child; a thread of the embedded worker ends in its own time.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Protocol

from mayfly.db.errors import DatabaseMissing
from mayfly.tasks.errors import ClaimLost, Stopped, TimeOver

log = logging.getLogger(__name__)

STOPPED = "the worker stops"
TIME_OVER = "the effect took longer than a job may; send a smaller or shorter upload"

TICK_SECONDS = 0.1
POLL_SECONDS = 0.9  # how soon a cancellation is seen
AGAIN_SECONDS = 1.0  # until the next try of a lease that could not be renewed
GRACE_SECONDS = 0.8  # for work to end by itself once its claim is lost or its time is over
STOP_GRACE_SECONDS = 1.5  # when the worker stops: a photo that is nearly done is worth it


class Watched(Protocol):
    """What is asked of an attempt."""

    lease: float
    stopping: threading.Event

    def extend(self) -> bool:
        """Renew the lease. False when the claim is lost."""

    def holds(self) -> bool:
        """Whether the claim is the newest."""

    def over(self) -> bool:
        """Whether the work took longer than it may."""

    def end(self, reason: Exception) -> None:
        """Tell the work, which finds out when it looks."""

    def give_up(self, reason: Exception) -> None:
        """Write what follows from the reason, and end the process if that can be done."""


@contextlib.contextmanager
def over(attempt: Watched) -> Iterator[None]:
    """Watch over an attempt while the block runs."""
    ended = threading.Event()
    thread = threading.Thread(target=_watch, args=(attempt, ended.wait), name="watch", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _watch(attempt: Watched, ended: Callable[[float], bool]) -> None:
    renew_at, poll_at = time.monotonic() + attempt.lease / 3, time.monotonic() + POLL_SECONDS
    while not ended(TICK_SECONDS):
        reason, now = _reason(attempt), time.monotonic()
        if reason is None and now >= min(renew_at, poll_at):
            try:
                if not (attempt.extend() if now >= renew_at else attempt.holds()):
                    reason = ClaimLost("another attempt has this, or it was cancelled")
                renew_at = now + attempt.lease / 3 if now >= renew_at else renew_at
                poll_at = now + POLL_SECONDS
            except DatabaseMissing:
                # What ran through an outage goes on if its fence still holds, so it is said as soon as can be.
                renew_at = poll_at = now + min(AGAIN_SECONDS, attempt.lease / 3)
        if reason is not None:
            attempt.end(reason)
            if not ended(STOP_GRACE_SECONDS if isinstance(reason, Stopped) else GRACE_SECONDS):
                attempt.give_up(reason)
            return


def _reason(attempt: Watched) -> Exception | None:
    if attempt.stopping.is_set():
        return Stopped(STOPPED)
    if attempt.over():
        return TimeOver(TIME_OVER)
    return None
