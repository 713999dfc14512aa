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
OVER_SECONDS = 90.0  # without a sign of an outage, after which the next one is told again


class Seen:
    """When this process last saw an outage, and which."""

    def __init__(self) -> None:
        self._at = float("-inf")
        self._code: str | None = None

    def note(self, code: str | None = None) -> bool:
        """Note that there is one now, by its error's code; whether it is a new one."""
        new = code != self._code or self.over_for(OVER_SECONDS)
        self._at, self._code = time.monotonic(), code
        return new

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
