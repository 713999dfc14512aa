"""Publishes a job's next stage: one message that carries the job's id and nothing else."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import TypeVar

import amqp.exceptions
import celery
import kombu.exceptions
import sqlalchemy as sa

from db import jobs, segments
from db.errors import DatabaseMissing
from db.rows import JobRow, SegmentRow
from db.states import Stage
from effects import registry
from effects.contract import Media
from effects.errors import UnknownEffect
from settings import Settings
from tasks import queues

log = logging.getLogger(__name__)

T = TypeVar("T")

INGEST = "ingest"
JOIN = "join"

# What a broker that is away, or has no such queue, raises on publishing.
BROKER_ERRORS = (kombu.exceptions.OperationalError, amqp.exceptions.AMQPError, OSError, ConnectionError)


class Sender:
    """Sends jobs to the broker and notes in the table what the broker has confirmed."""

    def __init__(self, app: celery.Celery, engine: sa.Engine, settings: Settings) -> None:
        self.app = app
        self.engine = engine
        self.settings = settings

    def send(self, waiting: Iterable[JobRow]) -> int:
        """Publish the next stage of these queued jobs.

        Returns:
            How many the broker has confirmed. The others stay unsent in the table, where `jobs.resend` finds them:
            a broker that is away is no error here.
        """
        sent = []
        for job in waiting:
            try:
                if self._publish(job):
                    sent.append(job)
            except amqp.exceptions.ChannelError as error:
                # This message had no queue, or its queue refused it; the next may go to another.
                log.warning("job %s: the broker refused its message (%s)", job.id, type(error).__name__)
            except BROKER_ERRORS as error:
                log.warning("the broker is away (%s); the outbox sends what it did not take", type(error).__name__)
                break
        _noted(jobs.mark_sent, self.engine, sent)
        return len(sent)

    def send_segments(self, waiting: Iterable[tuple[JobRow, SegmentRow]]) -> int:
        """Publish these queued segments, each with its job; as `send`."""
        sent = []
        for job, segment in waiting:
            try:
                if self._publish(job, segment.number):
                    sent.append(segment)
            except amqp.exceptions.ChannelError as error:
                log.warning("job %s: the broker refused a segment's message (%s)", job.id, type(error).__name__)
            except BROKER_ERRORS as error:
                log.warning("the broker is away (%s); the outbox sends what it did not take", type(error).__name__)
                break
        _noted(segments.mark_sent, self.engine, sent)
        return len(sent)

    def _publish(self, job: JobRow, *more: int) -> bool:
        """Publish one message. False when this process does not know the effect; one that does sends the job."""
        try:
            name, queue = route(job)
        except UnknownEffect:
            log.debug("no task for the effect of job %s", job.id)
            return False
        self.app.send_task(
            name,
            args=(str(job.id), *more),
            queue=queue,
            argsrepr="-",
            kwargsrepr="-",
            ignore_result=True,
            # A message that reaches no queue is an error, which a confirmation alone would hide.
            mandatory=True,
        )
        return True


def route(job: JobRow) -> tuple[str, str]:
    """The Celery task and the queue of a job's next stage. Raises UnknownEffect."""
    if job.stage is Stage.INGEST:
        return INGEST, queues.MEDIA
    if job.stage is Stage.JOIN:
        return JOIN, queues.MEDIA
    declared = registry.declaration(job.effect)
    return f"effects.{job.effect}", queues.effect_queue(declared.tag, Media(job.media))


def _noted(mark: Callable[[sa.Engine, list[T]], None], engine: sa.Engine, sent: list[T]) -> None:
    """Note what was sent; where that fails it is sent once more, which does no harm."""
    try:
        mark(engine, sent)
    except DatabaseMissing:
        log.warning("%d messages were sent, and it could not be noted", len(sent))
