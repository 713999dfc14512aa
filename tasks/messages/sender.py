"""Publishes a job's next stage: one message that carries the job's id and nothing else."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from typing import TypeVar

import amqp.exceptions
import celery
import kombu.exceptions
import sqlalchemy as sa
from kombu.messaging import Producer

from mayfly.db import jobs, segments
from mayfly.db.errors import DatabaseMissing
from mayfly.db.rows import JobRow, SegmentRow
from mayfly.db.states import Stage
from mayfly.effects import registry
from mayfly.effects.contract import Media
from mayfly.effects.errors import UnknownEffect
from mayfly.settings import Settings
from mayfly.tasks.messages import queues

log = logging.getLogger(__name__)

T = TypeVar("T")

INGEST = "ingest"
JOIN = "join"

# What a broker that is away, or has no such queue, raises on publishing.
BROKER_ERRORS = (kombu.exceptions.OperationalError, amqp.exceptions.AMQPError, amqp.exceptions.MessageNacked, OSError)

ANSWER_SECONDS = 2.0  # within which a broker answers each step; one that blocks publishers never does
PAUSE_SECONDS = 5.0  # in which nobody waits again for a broker that did not answer


class Sender:
    """Sends jobs to the broker and notes in the table what the broker has confirmed."""

    def __init__(self, app: celery.Celery, engine: sa.Engine, settings: Settings) -> None:
        self.app = app
        self.engine = engine
        self.settings = settings
        self._paused_until = 0.0

    def send(self, waiting: Iterable[JobRow]) -> int:
        """Publish the next stage of these queued jobs.

        Returns:
            How many the broker has confirmed. The others stay unsent in the table, where `jobs.resend` finds them:
            a broker that is away is no error here.
        """
        taken = [job for job, _ in self._send((job, None) for job in waiting)]
        _noted(jobs.mark_sent, self.engine, taken)
        return len(taken)

    def send_segments(self, waiting: Iterable[tuple[JobRow, SegmentRow]]) -> int:
        """Publish these queued segments, each with its job; as `send`."""
        taken = [segment for _, segment in self._send(waiting) if segment is not None]
        _noted(segments.mark_sent, self.engine, taken)
        return len(taken)

    def _send(self, waiting: Iterable[tuple[JobRow, SegmentRow | None]]) -> list[tuple[JobRow, SegmentRow | None]]:
        """Publish these until the broker fails; returns those that it has confirmed."""
        taken: list[tuple[JobRow, SegmentRow | None]] = []
        for job, segment in waiting:
            if time.monotonic() < self._paused_until:
                break
            begun = time.monotonic()
            try:
                if self._publish(job, *(() if segment is None else (segment.number,))):
                    taken.append((job, segment))
            except BROKER_ERRORS as error:
                if _is_about_one(error):
                    log.warning("job %s: the broker refused its message (%s)", job.id, type(_told(error)).__name__)
                    continue
                log.warning(
                    "the broker is away (%s); the outbox sends what it did not take", type(_told(error)).__name__
                )
                if time.monotonic() - begun >= ANSWER_SECONDS:
                    self._paused_until = time.monotonic() + PAUSE_SECONDS
                break
        return taken

    def _publish(self, job: JobRow, *more: int) -> bool:
        """Publish one message. False when this process does not know the effect; one that does sends the job."""
        try:
            name, queue = route(job)
        except UnknownEffect:
            log.debug("no task for the effect of job %s", job.id)
            return False
        with self.app.producer_or_acquire() as producer:
            for used in (producer.connection.connected, False):
                try:
                    self._publish_by(producer, name, queue, (str(job.id), *more))
                    break
                except BaseException as error:
                    _drop(producer)
                    # A connection that was used before may have ended with nobody to notice; a new one tells.
                    # One that gave no answer in time would give none again.
                    if not used or not isinstance(error, BROKER_ERRORS) or _is_about_one(error):
                        raise
                    if isinstance(_told(error), TimeoutError):
                        raise
        return True

    def _publish_by(self, producer: Producer, name: str, queue: str, arguments: tuple[str | int, ...]) -> None:
        connection = producer.connection.ensure_connection(max_retries=0)
        if connection.transport.driver_type == "amqp":
            # For every step from here on, the declaration of the queue and the confirmation too.
            connection.connection.sock.settimeout(ANSWER_SECONDS)
        self.app.send_task(
            name,
            args=arguments,
            queue=queue,
            argsrepr="-",
            kwargsrepr="-",
            ignore_result=True,
            # A message that reaches no queue is an error, which a confirmation alone would hide.
            mandatory=True,
            producer=producer,
            retry=False,
        )


def _is_about_one(error: BaseException) -> bool:
    """Whether an error is about one message or its queue, so that the next, to another queue, may go through."""
    if isinstance(error := _told(error), amqp.exceptions.AccessRefused):
        return False
    return isinstance(error, amqp.exceptions.ChannelError | amqp.exceptions.MessageNacked)


def _told(error: BaseException) -> BaseException:
    """What amqp raised, which kombu wraps."""
    return error.__cause__ or error if isinstance(error, kombu.exceptions.OperationalError) else error


def _drop(producer: Producer) -> None:
    """Give up a producer's connection without a word to the broker: nobody knows where the two stand."""
    connection = producer.connection
    connection.collect()
    producer.revive(connection)


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
