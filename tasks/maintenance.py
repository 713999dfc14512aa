"""The periodic tasks: the purge's sweeps of assets and of rows, the outbox, and the burial of dead letters."""

from __future__ import annotations

import logging
from collections.abc import Callable

import celery

from db import periodic
from purge import history, status, sweeper
from tasks import dead_letters, outage, outbox, queues, runtime
from tasks.runtime import Runtime

log = logging.getLogger(__name__)

SWEEP, FORGET, RESEND, BURY = status.SWEEP, history.FORGET, "jobs.resend", "jobs.bury"


@celery.shared_task(name=SWEEP)
def sweep() -> None:
    """Destroy what is due."""
    _in_slot(SWEEP, lambda rt: sweeper.sweep(rt.engine, rt.store))


@celery.shared_task(name=FORGET)
def forget() -> None:
    """Delete rows whose term is over."""
    _in_slot(FORGET, lambda rt: history.sweep(rt.engine, life=rt.settings.job_history))


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
        if periodic.claim(rt.engine, task, period=queues.PERIODIC[task]):
            work(rt)
    except outage.AWAY as error:
        rt.outages.note()
        log.warning("%s: %s, the next one goes on", task, error.code)
