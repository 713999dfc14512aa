"""Opens the runtime of a process however long a server is away; both a worker's child and maintenance begin so."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from mayfly.tasks.attempts import outage
from mayfly.tasks.runtime import Runtime

FIRST_SECONDS, MOST_SECONDS = 0.5, 2.0  # between two tries while a server is away


def patiently(start: Callable[[], Runtime], log: logging.Logger, *, waiting: str, back: str) -> Runtime:
    """What `start` opens, once database and store answer.

    Args:
        start: opens the runtime; raises what mayfly.tasks.attempts.outage.AWAY holds while it cannot.
        log: the logger of whoever waits.
        waiting: said once, after the error's code, when the waiting begins.
        back: said when it was waited for and is over.
    """
    pause, told = FIRST_SECONDS, False
    while True:
        try:
            found = start()
        except outage.AWAY as error:
            if not told:
                log.warning("%s; %s", error.code, waiting)
                told = True
            time.sleep(pause)
            pause = min(2 * pause, MOST_SECONDS)
        else:
            if told:
                log.info("it is back; %s", back)
            return found
