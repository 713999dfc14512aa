"""Runs the periodic tasks, each in a thread of its own: when a message asks for one, and by the clock when none comes.

A message is only a reminder. With the broker away or blocked by an alarm, or without a living beat, whatever is due is
destroyed all the same; and a sweep of thousands holds up no other task, nor the connection to the broker.
"""

from __future__ import annotations

import logging
import threading
import time

from mayfly.db import periodic
from mayfly.tasks import maintenance
from mayfly.tasks.attempts import outage
from mayfly.tasks.messages import queues
from mayfly.tasks.runtime import Runtime

log = logging.getLogger(__name__)

PATIENCE = 2.0  # periods in which nobody ran a task, on any machine, after which it is run by the clock
TROUBLE_SECONDS = 5.0  # before the tables are asked again after an error
LEAST_SECONDS = 0.05  # between two looks at the tables


class Rounds:
    """The periodic tasks of one process, from `start` to `stop`."""

    def __init__(self, runtime: Runtime, *, patience: float = PATIENCE) -> None:
        """Prepare the threads.

        Args:
            runtime: what the tasks work with.
            patience: how many of its periods a task may be overdue; 1 where there is no beat.
        """
        self._runtime = runtime
        self._patience = patience
        self._stopping = threading.Event()
        # Embedded there is no broker whose dead letters could be buried.
        tasks = [name for name in queues.PERIODIC if not (runtime.settings.embedded and name == maintenance.BURY)]
        self._threads = [threading.Thread(target=self._run, args=(task,), name=task, daemon=True) for task in tasks]

    def start(self) -> None:
        """Begin; what became due while nobody worked does not wait for any period."""
        for thread in self._threads:
            maintenance.ASKED[thread.name].set()
            thread.start()

    def stop(self, seconds: float) -> bool:
        """Take up nothing more, and wait so long for what is being done; all of it may be broken off.

        Returns:
            Whether all threads have ended.
        """
        self._stopping.set()
        for thread in self._threads:
            maintenance.ASKED[thread.name].set()
        end = time.monotonic() + seconds
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(max(0.0, end - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def _run(self, task: str) -> None:
        asked, told = maintenance.ASKED[task], False
        while not self._stopping.is_set():
            try:
                pause = self._left(task)
                if asked.is_set() or pause <= 0:
                    asked.clear()
                    maintenance.run(self._runtime, task)
                    pause = self._left(task)
                told = False
            except Exception as error:  # noqa: BLE001 - a thread that ended here would leave all that is due lying
                if isinstance(error, outage.AWAY):
                    # Or the outbox would take leases for over that could not be renewed.
                    self._runtime.outages.note(error.code)
                if not told:
                    # An error of a driver may repeat a value.
                    what = error.code if isinstance(error, outage.AWAY) else type(error).__name__
                    log.warning("%s: %s; it is tried again until it can be done", task, what)
                    told = True
                # Whoever asked has been heard: nobody can do it now.
                self._stopping.wait(TROUBLE_SECONDS)
                continue
            # `stop` asks after it has said so, and what it asked may have just been taken for a message.
            if not self._stopping.is_set():
                # That it was done could not be noted where nothing can be written.
                asked.wait(max(pause, LEAST_SECONDS) if pause > 0 else TROUBLE_SECONDS)

    def _left(self, task: str) -> float:
        """Seconds until this task is run by the clock; not positive when nobody has run it for too long."""
        since = periodic.seconds_since(self._runtime.engine, task)
        return 0.0 if since is None else self._patience * queues.PERIODIC[task] - since
