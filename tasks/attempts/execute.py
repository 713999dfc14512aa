"""Runs one stage of a job, or one segment: it is claimed, worked at under a watch, and what follows is written."""

from __future__ import annotations

import logging
import shutil
import time
import uuid
from collections.abc import Callable
from typing import TypeVar

import celery.exceptions

from mayfly.db import claims, jobs, segments
from mayfly.db.claims import Claim
from mayfly.db.errors import UnknownJob
from mayfly.db.segments import SegmentClaim
from mayfly.db.states import Stage
from mayfly.tasks.attempts import holder, outage, retry, watch
from mayfly.tasks.attempts.attempt import HOLD_SECONDS, Attempt
from mayfly.tasks.errors import WorkerLost
from mayfly.tasks.runtime import Runtime

log = logging.getLogger(__name__)

FRESH_SECONDS = 60.0  # a message that waited longer to be decided goes back for one whose time is all its own

C = TypeVar("C", bound=Claim | SegmentClaim)


def stage(runtime: Runtime, job_id: uuid.UUID, of: Stage, work: Callable[[Attempt[Claim]], None]) -> None:
    """Claim a job's stage and do its work, which ends the claim itself when it succeeds.

    Whatever this function decides is in the table when it returns, so the caller acknowledges the message. A claim
    that somebody else holds is no reason to keep the message: if they die, `jobs.resend` sends another.

    Raises:
        celery.exceptions.Reject: the message goes back, for it could not be decided what to do with it; or to the
            dead letters, for nobody knows its job.
    """

    def take(dead: str | None) -> Claim | None:
        rt, lease = runtime, runtime.settings.lease
        return claims.take(rt.engine, job_id, stage=of, holder=holder.own(), lease=lease, dead_holder=dead)

    claim = _claimed(runtime, take, lambda: jobs.get(runtime.engine, job_id).holder)
    if claim is not None:
        _work(Attempt(runtime, claims, claim), work)


def segment(runtime: Runtime, job_id: uuid.UUID, number: int, work: Callable[[Attempt[SegmentClaim]], None]) -> None:
    """Claim a segment and do its work; as `stage`."""

    def take(dead: str | None) -> SegmentClaim | None:
        rt, lease = runtime, runtime.settings.lease
        return segments.take(rt.engine, job_id, number, holder=holder.own(), lease=lease, dead_holder=dead)

    claim = _claimed(runtime, take, lambda: segments.holder(runtime.engine, job_id, number))
    if claim is not None:
        _work(Attempt(runtime, segments, claim), work)


def _claimed(runtime: Runtime, take: Callable[[str | None], C | None], known: Callable[[], str | None]) -> C | None:
    """The claim, or None where there is nothing to do; waits while the servers that decide are away."""
    begun = time.monotonic()

    def check() -> None:
        if runtime.stopping.is_set() or time.monotonic() - begun > HOLD_SECONDS:
            raise celery.exceptions.Reject("undecided", requeue=True)

    def decide() -> C | None:
        if runtime.store_away.is_set():
            # The last unit was given back because of it; the next would fare no better.
            runtime.store.size("probe")
            runtime.store_away.clear()
        if time.monotonic() - begun > FRESH_SECONDS:
            known()  # while the database is away, the message is as well off here
            raise celery.exceptions.Reject("waited long", requeue=True)
        claim = take(None)
        if claim is None and (found := known()) is not None and holder.died(found):
            # The broker gave us a dead colleague's message; its lease need not run out.
            return take(found)
        return claim

    check()
    try:
        return outage.patiently(decide, watch=check)
    except UnknownJob:
        log.warning("a message names a job that is unknown; it goes to the dead letters")
        raise celery.exceptions.Reject("unknown job", requeue=False) from None


def _work(attempt: Attempt[C], work: Callable[[Attempt[C]], None]) -> None:
    runtime, name = attempt.runtime, attempt.claim.name
    if attempt.claim.tries > runtime.settings.max_attempts:
        log.error("job %s: %d workers died at stage %s", name, attempt.claim.tries - 1, attempt.job.stage)
        attempt.fail(retry.Failure(WorkerLost.code, str(WorkerLost())))
        return
    try:
        with runtime.working.on(attempt):
            try:
                with watch.over(attempt):
                    work(attempt)
                log.info("job %s: %s done", name, attempt.job.stage)
            except Exception as error:  # noqa: BLE001 - the one place that turns every error into a state
                attempt.settle(error)
    finally:
        shutil.rmtree(runtime.scratch / name, ignore_errors=True)
