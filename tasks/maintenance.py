"""The periodic tasks: the purge's sweep, the outbox, and the burial of dead letters."""

from __future__ import annotations

import celery

from db import periodic
from purge import sweeper
from tasks import dead_letters, outbox, queues, runtime


@celery.shared_task(name="purge.sweep")
def sweep() -> None:
    """Destroy what is due."""
    rt = runtime.current()
    if _claim(rt, "purge.sweep"):
        sweeper.sweep(rt.engine, rt.store)


@celery.shared_task(name="jobs.resend")
def resend() -> None:
    """Send what stands still, and give up what its producer has given up."""
    rt = runtime.current()
    if _claim(rt, "jobs.resend"):
        outbox.resend(rt)


@celery.shared_task(name="jobs.bury")
def bury() -> None:
    """Turn dead letters into failed jobs."""
    rt = runtime.current()
    if not rt.settings.embedded and _claim(rt, "jobs.bury"):
        dead_letters.bury(rt)


def _claim(rt: runtime.Runtime, task: str) -> bool:
    return periodic.claim(rt.engine, task, period=queues.PERIODIC[task])
