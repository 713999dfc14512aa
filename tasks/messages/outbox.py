"""The table of jobs as an outbox: whatever stands still is sent, queued again or given up."""

from __future__ import annotations

import logging

from mayfly.db import jobs, segments
from mayfly.db.errors import UploadAbandoned
from mayfly.db.states import State
from mayfly.purge import sweeper
from mayfly.tasks.runtime import Runtime

log = logging.getLogger(__name__)

BATCH = 500
LOST_SECONDS = 60  # a confirmed message that nobody took for so long may be lost
CALM_SECONDS = 10.0  # after an outage: whoever worked through it renews their lease first


def resend(runtime: Runtime) -> None:
    """Find every job that nothing moves any more, and move it."""
    if runtime.outages.over_for(CALM_SECONDS):
        _give_up_lapsed(runtime)
    send_unsent(runtime)
    if not runtime.settings.embedded:
        _resend_lost(runtime)


def _give_up_lapsed(runtime: Runtime) -> None:
    """Give up uploads without a producer, and queue again what lost its worker or has waited for its time."""
    for job_id in jobs.abandoned_uploads(runtime.engine):
        if jobs.end(
            runtime.engine,
            job_id,
            to=State.FAILED,
            error=UploadAbandoned.code,
            error_text=str(UploadAbandoned()),
            only_from=[State.UPLOADING],
        ):
            log.warning("job %s: its producer died in mid-upload", job_id)
            sweeper.destroy_due(runtime.engine, runtime.store, job_id)
    for job_id in jobs.requeue_lapsed(runtime.engine):
        log.info("job %s: queued again", job_id)
    if lapsed := segments.requeue_lapsed(runtime.engine):
        log.info("%d segments queued again", lapsed)


def send_unsent(runtime: Runtime) -> None:
    """Send what no broker has confirmed."""
    runtime.sender.send(jobs.unsent(runtime.engine, limit=BATCH))
    one_a_job = runtime.settings.embedded
    runtime.sender.send_segments(segments.unsent(runtime.engine, limit=BATCH, one_a_job=one_a_job))


def _resend_lost(runtime: Runtime) -> None:
    """Send again what was confirmed long ago: a second message is harmless, for the claim decides; a row without a
    message would wait for ever. Each further one comes after twice the time, so that a long queue does not grow by it.
    """
    runtime.sender.send(jobs.sent_long_ago(runtime.engine, seconds=LOST_SECONDS, limit=BATCH))
    runtime.sender.send_segments(segments.sent_long_ago(runtime.engine, seconds=LOST_SECONDS, limit=BATCH))
