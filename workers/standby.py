"""The worker of a command that waits in the embedded set-up: its own, or that of its neighbour until that one ends."""

from __future__ import annotations

import logging
import threading
from types import TracebackType
from typing import Self

from mayfly.errors import MayflyError
from mayfly.settings import Settings
from mayfly.workers.embedded import AlreadyRunning, Embedded

log = logging.getLogger(__name__)

RETRY_SECONDS = 1.0


class Standby:
    """While it is entered, somebody works in this home: another process as long as it does, then this one."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._embedded: Embedded | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._take_over, name="standby", daemon=True)

    def __enter__(self) -> Self:
        """Raises NoWorker, DatabaseMissing."""
        if not self._try():
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join()
        if self._embedded is not None:
            self._embedded.stop()

    @property
    def working(self) -> bool:
        """Whether this process is the one that works."""
        return self._embedded is not None

    def _try(self) -> bool:
        embedded = Embedded(self.settings)
        try:
            embedded.start()
        except AlreadyRunning:
            return False
        self._embedded = embedded
        return True

    def _take_over(self) -> None:
        while not self._stop.wait(RETRY_SECONDS):
            try:
                if self._try():
                    return
            except MayflyError as error:
                log.warning("%s: the worker of this home cannot be started", error.code)
