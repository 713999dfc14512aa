"""Publishes a job's next stage: one message that carries the job's id and nothing else."""

from __future__ import annotations

import logging
from collections.abc import Iterable

import amqp.exceptions
import celery
import kombu.exceptions
import sqlalchemy as sa

from db import jobs, segments
from db.rows import JobRow, SegmentRow
from db.states import Stage
from effects import registry
from effects.contract import Media
from effects.errors import UnknownEffect
from settings import Settings
from tasks import queues

log = logging.getLogger(__name__)

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
                    sent.append(job.id)
            except amqp.exceptions.ChannelError as error:
                # This message had no queue, or its queue refused it; the next may go to another.
                log.warning("job %s: the broker refused its message (%s)", job.id, type(error).__name__)
            except BROKER_ERRORS as error:
                log.warning("the broker is away (%s); the outbox sends what it did not take", type(error).__name__)
                break
        if sent:
            jobs.mark_sent(self.engine, sent)
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
        if sent:
            segments.mark_sent(self.engine, sent)
        return len(sent)

    def _publish(self, job: JobRow, *more: int) -> bool:
        """Publish one message. False when this process does not know the effect; one that does sends the job."""
        try:
            name, queue, limit = route(job, self.settings)
        except UnknownEffect:
            log.debug("no task for the effect of job %s", job.id)
            return False
        self.app.send_task(
            name,
            args=(str(job.id), *more),
            queue=queue,
            soft_time_limit=limit,
            argsrepr="-",
            kwargsrepr="-",
            ignore_result=True,
            # A message that reaches no queue is an error, which a confirmation alone would hide.
            mandatory=True,
        )
        return True


def route(job: JobRow, settings: Settings) -> tuple[str, str, float]:
    """The Celery task, the queue and the time limit (seconds) of a job's next stage. Raises UnknownEffect."""
    limit = settings.image_time_limit if job.media == Media.IMAGE else settings.video_time_limit
    if job.stage is Stage.INGEST:
        return INGEST, queues.MEDIA, limit
    if job.stage is Stage.JOIN:
        return JOIN, queues.MEDIA, limit
    declared = registry.declaration(job.effect)
    return f"effects.{job.effect}", queues.effect_queue(declared.tag, Media(job.media)), limit
