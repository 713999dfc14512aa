"""The table of jobs as an outbox: whatever stands still is sent, queued again or given up."""

from __future__ import annotations

import logging

from db import jobs, segments
from db.rows import JobRow
from db.states import State
from effects.errors import UnknownEffect
from purge import sweeper
from tasks import broker, sender
from tasks.runtime import Runtime

log = logging.getLogger(__name__)

BATCH = 500
LOST_SECONDS = 60  # a confirmed message that nobody took for so long is lost, if its queue is empty


def resend(runtime: Runtime) -> None:
    """Find every job that nothing moves any more, and move it."""
    for job_id in jobs.abandoned_uploads(runtime.engine):
        text = "the upload was not completed; submit it again"
        if jobs.end(
            runtime.engine,
            job_id,
            to=State.FAILED,
            error="upload_abandoned",
            error_text=text,
            only_from=[State.UPLOADING],
        ):
            log.warning("job %s: its producer died in mid-upload", job_id)
            sweeper.destroy_due(runtime.engine, runtime.store, job_id)
    for job_id in jobs.requeue_lapsed(runtime.engine):
        log.info("job %s: queued again", job_id)
    if lapsed := segments.requeue_lapsed(runtime.engine):
        log.info("%d segments queued again", lapsed)
    send_unsent(runtime)
    if not runtime.settings.embedded:
        _resend_lost(runtime)


def send_unsent(runtime: Runtime) -> None:
    """Send what no broker has confirmed."""
    runtime.sender.send(jobs.unsent(runtime.engine, limit=BATCH))
    one_a_job = runtime.settings.embedded
    runtime.sender.send_segments(segments.unsent(runtime.engine, limit=BATCH, one_a_job=one_a_job))


def _resend_lost(runtime: Runtime) -> None:
    """Send again what was confirmed long ago and is in no queue: a message without a row is harmless, a row
    without a message would wait for ever.
    """
    stale = jobs.sent_long_ago(runtime.engine, seconds=LOST_SECONDS, limit=BATCH)
    pieces = segments.sent_long_ago(runtime.engine, seconds=LOST_SECONDS, limit=BATCH)
    if not stale and not pieces:
        return
    depths = broker.depths(runtime.settings)
    runtime.sender.send([job for job in stale if depths.get(_queue(job, runtime) or "") == 0])
    runtime.sender.send_segments([pair for pair in pieces if depths.get(_queue(pair[0], runtime) or "") == 0])


def _queue(job: JobRow, runtime: Runtime) -> str | None:
    try:
        return sender.route(job, runtime.settings)[1]
    except UnknownEffect:
        # A worker that has the effect's module sends it.
        return None
