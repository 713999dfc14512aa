"""What Celery's pool lacks: a start that waits for whole children, a dead one replaced at once, an end within seconds.

Celery stops consuming, and then waits for its children however long they work. Here they are told to hand back what
they have, what waits in this process goes back to the broker at once, and whatever takes too long is killed.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import threading
import time

import celery.bootsteps
import celery.worker
import celery.worker.state
from celery import signals
from celery.exceptions import WorkerShutdown

from mayfly.workers import child, parents

log = logging.getLogger(__name__)

TELL_SECONDS = 0.5  # after which the children are told in any case; Celery may hang at the broker
STOP_SECONDS = 4.0  # after which the children are killed; by themselves they end after some two
POLL_SECONDS = 0.05
REAP_SECONDS = 0.2  # between two looks for children that have died


class Drain(celery.bootsteps.StartStopStep):  # type: ignore[misc]
    """A step of Celery's worker between its children and its consumer: started after the first, stopped before."""

    requires = ("celery.worker.components:Pool",)

    def __init__(self, worker: celery.worker.WorkController, **options: object) -> None:
        super().__init__(worker, **options)
        self._worker = worker
        # A pipe, for a signal's handler can use no lock.
        self._told, self._tell = os.pipe()
        signals.worker_shutting_down.connect(self._on_signal)
        threading.Thread(target=self._end_in_time, name="drain", daemon=True).start()

    def start(self, worker: celery.worker.WorkController) -> None:
        """Wait until every child is whole; only then the consumer starts. Raises WorkerShutdown."""
        children = list(worker.pool._pool._pool)
        while waiting := [one for one in children if not _readable(one.outqR_fd)]:
            celery.worker.state.maybe_shutdown()
            if any(_readable(one._popen.sentinel) for one in waiting):
                raise WorkerShutdown(parents.EXPLAINED)
            time.sleep(POLL_SECONDS)
        # Whoever takes a dead child's place goes on at once.
        child.skip_warming()
        # Celery looks when a child's pipe closes, which is a moment before it can be reaped, and then every 5 seconds.
        worker.hub.call_repeatedly(REAP_SECONDS, worker.pool._pool.maintain_pool)

    def stop(self, worker: celery.worker.WorkController) -> None:
        """Nothing comes any more: give back what waits here, and let the children give back what they have."""
        pool = worker.pool._pool
        waiting = set(pool.outbound_buffer)
        given = {job.correlation_id for job in pool._cache.values() if job not in waiting}
        for job in waiting:
            job.discard()
        for request in list(celery.worker.state.reserved_requests):
            if request.id not in given and not request.acknowledged:
                request.reject(requeue=True)
        self._tell_children()

    def _on_signal(self, **_: object) -> None:
        os.write(self._tell, b"x")

    def _tell_children(self) -> None:
        for pid in self._children():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, child.STOP)

    def _children(self) -> list[int]:
        pool = self._worker.pool
        return [one.pid for one in list(pool._pool._pool)] if pool and pool._pool else []

    def _end_in_time(self) -> None:
        os.read(self._told, 1)
        # Else Celery's loop would notice when something happens.
        if self._worker.hub is not None:
            self._worker.hub.call_soon(lambda: None)
        time.sleep(TELL_SECONDS)
        self._tell_children()
        time.sleep(STOP_SECONDS - TELL_SECONDS)
        log.warning("the service did not end in time; what is left of it is killed")
        parents.kill(self._children())
        os._exit(os.EX_OK)


def _readable(number: int) -> bool:
    """Whether a child has written, which it does once it is whole; or, of its sentinel, whether it has ended."""
    return bool(select.select([number], [], [], 0)[0])
