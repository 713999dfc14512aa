"""The periodic tasks: the purge's sweeps of assets and of rows, the outbox, and the burial of dead letters.

Their messages only ask: the work is done by mayfly.tasks.rounds, in threads of the process of maintenance.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping

import celery

from mayfly.db import periodic
from mayfly.db.errors import DatabaseFull
from mayfly.purge import history, status, sweeper
from mayfly.tasks.attempts import outage
from mayfly.tasks.messages import dead_letters, outbox, queues
from mayfly.tasks.runtime import Runtime

log = logging.getLogger(__name__)

SWEEP, FORGET, RESEND, BURY = status.SWEEP, history.FORGET, "jobs.resend", "jobs.bury"

WORK: Mapping[str, Callable[[Runtime], object]] = {
    SWEEP: lambda rt: sweeper.sweep(rt.engine, rt.store),
    FORGET: lambda rt: history.sweep(rt.engine, life=rt.settings.job_history),
    RESEND: lambda rt: outbox.resend(rt),
    BURY: lambda rt: dead_letters.bury(rt),
}
"""What each periodic task does: destroy what is due; delete rows whose term is over; send what stands still, and give
up what its producer has given up; turn dead letters into failed jobs."""

ASKED: Mapping[str, threading.Event] = {name: threading.Event() for name in WORK}
"""Set by a message that asks for a task, until a thread has begun with it."""


def _make(name: str) -> None:
    @celery.shared_task(name=name)
    def ask() -> None:
        ASKED[name].set()


for _name in WORK:
    _make(_name)


def run(rt: Runtime, task: str) -> None:
    """Do a task's work unless somebody has its present slot; while a server is away, the next slot is soon enough."""
    try:
        if _claimed(rt, task):
            WORK[task](rt)
    except outage.AWAY as error:
        if rt.outages.note(error.code):
            log.warning("%s: %s: %s", task, error.code, error)


def _claimed(rt: Runtime, task: str) -> bool:
    try:
        return periodic.claim(rt.engine, task, period=queues.PERIODIC[task])
    except DatabaseFull:
        if task != SWEEP:
            raise
        # It makes room, and twice does no harm.
        return True
