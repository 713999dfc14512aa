"""The periodic tasks: the purge's sweep, the outbox, and the burial of dead letters."""

from __future__ import annotations

import logging
from collections.abc import Callable

import celery

from db import periodic
from db.errors import DatabaseFull
from purge import status, sweeper
from tasks import dead_letters, outage, outbox, queues, runtime
from tasks.runtime import Runtime

log = logging.getLogger(__name__)

SWEEP, RESEND, BURY = status.SWEEP, "jobs.resend", "jobs.bury"


@celery.shared_task(name=SWEEP)
def sweep() -> None:
    """Destroy what is due."""
    _in_slot(SWEEP, lambda rt: sweeper.sweep(rt.engine, rt.store))


@celery.shared_task(name=RESEND)
def resend() -> None:
    """Send what stands still, and give up what its producer has given up."""
    _in_slot(RESEND, outbox.resend)


@celery.shared_task(name=BURY)
def bury() -> None:
    """Turn dead letters into failed jobs."""
    if not runtime.current().settings.embedded:
        _in_slot(BURY, dead_letters.bury)


def _in_slot(task: str, work: Callable[[Runtime], object]) -> None:
    """Do a task's work unless somebody has its present slot; while a server is away, the next slot is soon enough."""
    rt = runtime.current()
    try:
        if _claimed(rt, task):
            work(rt)
    except outage.AWAY as error:
        rt.outages.note()
        log.warning("%s: %s, the next one goes on", task, error.code)


def _claimed(rt: Runtime, task: str) -> bool:
    try:
        return periodic.claim(rt.engine, task, period=queues.PERIODIC[task])
    except DatabaseFull:
        if task != SWEEP:
            raise
        # It makes room, and twice does no harm.
        return True
