"""Outages of what is ours: which errors mean one, and waiting for its end, so that no attempt and no upload is lost."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from mayfly.db.errors import DatabaseMissing
from mayfly.effects.errors import WeightsError
from mayfly.media.errors import MachineFault, StorageUnavailable
from mayfly.tasks.errors import BrokerMissing, ScratchGone, StillAway

log = logging.getLogger(__name__)

T = TypeVar("T")

AWAY = (DatabaseMissing, StorageUnavailable, BrokerMissing)
"""A server does not answer: whoever needs it waits where they stand, for nobody else could do better."""

OURS = (*AWAY, MachineFault, ScratchGone, StillAway, WeightsError)
"""Whatever is not the upload's or the effect's fault, so that it never uses up an attempt."""

FIRST_SECONDS, MOST_SECONDS = 0.2, 4.0  # between two probes


class Seen:
    """When this process last saw an outage."""

    def __init__(self) -> None:
        self._at = float("-inf")

    def note(self) -> None:
        """Note that there is one now."""
        self._at = time.monotonic()

    def over_for(self, seconds: float) -> bool:
        """Whether none was seen for so long."""
        return time.monotonic() - self._at > seconds


def patiently(call: Callable[[], T], *, watch: Callable[[], None]) -> T:
    """Call, and call again while a server is away, until it answers.

    Args:
        call: what needs the server; it must be safe to repeat after an answer that was lost.
        watch: asked between two calls, several times a second; raises what ends the waiting.
    """
    pause, told = FIRST_SECONDS, False
    while True:
        try:
            found = call()
        except AWAY as error:
            if not told:
                log.warning("%s: waiting until it is back", error.code)
                told = True
            end = time.monotonic() + pause
            while (left := end - time.monotonic()) > 0:
                watch()
                time.sleep(min(left, FIRST_SECONDS))
            pause = min(pause * 2, MOST_SECONDS)
        else:
            if told:
                log.info("it is back; going on")
            return found
