"""Turns dead letters into failed jobs: Celery does not say when it gives a message up, so somebody must look."""

from __future__ import annotations

import contextlib
import json
import logging
import uuid

from db import jobs
from db.states import State
from purge import sweeper
from tasks import broker, queues
from tasks.runtime import Runtime

log = logging.getLogger(__name__)

BATCH = 1000


def bury(runtime: Runtime) -> int:
    """Fail the job of each dead letter, destroy its assets, then acknowledge the letter.

    Returns:
        How many letters there were.
    """
    count = 0
    with broker.channel(runtime.settings) as channel:
        for _ in range(BATCH):
            method, _, body = channel.basic_get(queues.DEAD_LETTERS)
            if method is None or body is None:
                break
            count += 1
            job_id = job_of(body)
            if job_id is None:
                # A periodic task's message, or a stranger's: nothing waits for it.
                log.error("a dead letter names no job")
            elif jobs.end(
                runtime.engine,
                job_id,
                to=State.FAILED,
                error="worker_lost",
                error_text="the workers that ran this job died; send another upload",
            ):
                log.error("job %s: its message was given up after %d deliveries", job_id, queues.DELIVERY_LIMIT + 1)
                sweeper.destroy_due(runtime.engine, runtime.store, job_id)
            channel.basic_ack(method.delivery_tag)
    return count


def job_of(body: bytes) -> uuid.UUID | None:
    """The job that a message of Celery's second protocol is about; None when it names none."""
    with contextlib.suppress(ValueError, TypeError, LookupError, AttributeError):
        arguments = json.loads(body)[0]
        return uuid.UUID(arguments[0])
    return None
