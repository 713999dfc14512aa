"""Asks again while a server is away, for as long as whoever waits allows."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from mayfly.client.notices import Notices
from mayfly.db import patience
from mayfly.db.errors import DatabaseFull
from mayfly.tasks.attempts.outage import AWAY, FIRST_SECONDS, MOST_SECONDS

T = TypeVar("T")

DATABASE = "the database to answer"
STORE = "the object store to answer"


def patiently(call: Callable[[], T], *, what: str, notices: Notices, end: float | None) -> T:
    """Call, and call again while a server is away.

    Args:
        call: safe to repeat after an answer that was lost.
        what: what is waited for meanwhile, as notices have it.
        notices: where that is said.
        end: by time.monotonic(), when to raise what the last call raised, and when a server that takes the question
            and never answers is no longer waited for; None: never.

    Raises:
        DatabaseMissing, StorageUnavailable, BrokerMissing: it was away for too long.
        DatabaseFull: at once.
    """
    pause = FIRST_SECONDS
    notices.on(what)
    while True:
        try:
            with patience.until(end):
                found = call()
        except DatabaseFull:
            # Nobody makes room while we wait.
            raise
        except AWAY:
            left = float("inf") if end is None else end - time.monotonic()
            if left <= 0:
                raise
            time.sleep(min(pause, left))
            pause = min(pause * 2, MOST_SECONDS)
        else:
            notices.over(what)
            return found
