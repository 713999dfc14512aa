"""Celery's consumer, which keeps to messages of ours: a stranger's must not stop, hold or fill the log of a lane.

Celery itself acknowledges some of them, waits for the time that others name, and ends at a body that it cannot read.
Whatever mayfly.tasks.messages.envelope does not know is rejected at once. The broker moves it to the dead letters; from
the queue of maintenance, which has none, it is dropped.
"""

from __future__ import annotations

import functools
import logging
import struct
import warnings
from collections.abc import Callable
from typing import Any

import amqp
import amqp.method_framing
import celery.exceptions
import celery.worker.consumer
import celery.worker.consumer.control
import celery.worker.pidbox
import celery.worker.state
from kombu import compression
from kombu.connection import Connection
from kombu.message import Message

from mayfly.tasks.messages import envelope, queues

log = logging.getLogger(__name__)

# Seconds between attempts to reach a broker that is away: the first, what is added each time, and the longest.
RETRY_START, RETRY_STEP, RETRY_MAX = 1, 1, 4

_HEADER = 2  # AMQP's type of the frame with a message's properties
_NO_PROPERTIES = struct.pack(">H", 0)
_FIXED = 12  # bytes before the properties: class, weight, and the body's size

Frame = tuple[int, int, Any]


class Mailbox(celery.worker.pidbox.Pidbox):  # type: ignore[misc]
    """Where Flower's questions arrive. Celery would log a traceback of a message that is none, with what it holds."""

    def start(self, c: Consumer) -> None:
        """Listen for commands."""
        super().start(c)
        # They need no answer, and the broker ends the connection of whoever rejects one.
        self.consumer.on_decode_error = self._drop

    def on_message(self, body: object, message: Message) -> None:
        """Answer one command."""
        self._forward_clock()
        try:
            self.node.handle_message(body, message)
        except Exception as error:  # noqa: BLE001 - whatever a stranger's message leads to
            self._drop(message, error)

    def _drop(self, _message: Message, _error: Exception) -> None:
        log.warning("a message to this worker's mailbox is no command of Celery's; it is dropped")


class Control(celery.worker.consumer.control.Control):  # type: ignore[misc]
    """Celery's step with our mailbox."""

    def __init__(self, c: Consumer, **options: Any) -> None:
        super().__init__(c, **options)
        self.box = Mailbox(c)
        self.start, self.stop, self.shutdown = self.box.start, self.box.stop, self.box.shutdown


class Consumer(celery.worker.consumer.Consumer):  # type: ignore[misc]
    """Takes messages of ours and rejects all others."""

    class Blueprint(celery.worker.consumer.Consumer.Blueprint):  # type: ignore[misc]
        """Celery's steps without its 28 queues for delays, for no message of ours names a time, and our `Control`."""

        default_steps = tuple(
            "mayfly.tasks.messages.consumer:Control" if step.endswith(":Control") else step
            for step in celery.worker.consumer.Consumer.Blueprint.default_steps
            if not step.endswith(":DelayedDelivery")
        )

    def create_task_handler(self, *arguments: Any, **options: Any) -> Callable[[Message], None]:
        """What is called with each message, before anything of it is decoded."""
        handle = super().create_task_handler(*arguments, **options)
        tasks = self.app.tasks

        def on_message(message: Message) -> None:
            properties = {"content_type": message.content_type, "content_encoding": message.content_encoding}
            if envelope.is_ours(message.headers, properties, message.body, tasks=tasks):
                # Kombu's own log a traceback for a connection that is lost.
                message.ack_log_error = functools.partial(_answer, message.ack)  # type: ignore[method-assign]
                message.reject_log_error = functools.partial(_answer, message.reject)  # type: ignore[method-assign]
                handle(message)
            else:
                self._refuse(message)

        return on_message

    def on_decode_error(self, message: Any, exc: Exception) -> None:
        """A body that cannot be unpacked; Celery would acknowledge it and log what it holds."""
        self._refuse(message)

    def on_unknown_message(self, body: object, message: Message) -> None:
        """Not reached, for the envelope is looked at before; Celery would log the body."""
        self._refuse(message)

    def on_unknown_task(self, body: object, message: Message, exc: Exception) -> None:
        """As `on_unknown_message`."""
        self._refuse(message)

    def on_invalid_task(self, body: object, message: Message, exc: Exception) -> None:
        """As `on_unknown_message`."""
        self._refuse(message)

    def _refuse(self, message: Message) -> None:
        queue = (message.delivery_info or {}).get("routing_key")
        # A routing key is a stranger's text too.
        log.warning(
            "a message in %s is not one of ours; it is rejected",
            queue if queue in queues.all_queues() else "a queue of this worker",
        )
        _answer(message.reject, log, self.connection_errors)

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        """The connection is lost; a warning of Celery's next version about it would fill half a page."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", celery.exceptions.CPendingDeprecationWarning)
            super().on_connection_error_after_connected(exc)

    def connection_for_read(self, heartbeat: float | None = None) -> Connection:
        """The connection that messages come by."""
        connection = self.app.connection_for_read(heartbeat=heartbeat)
        if connection.transport.driver_type == "amqp":
            connection.transport_options["frame_handler"] = frame_handler
        return self.ensure_connected(connection)

    def connection_for_write(self, url: str | None = None, heartbeat: float | None = None) -> Connection:
        """The connection of what Flower sees. Nobody waits for its confirmations: a broker that blocks publishers
        would stop the worker with them.
        """
        connection = self.app.connection_for_write(url=url, heartbeat=heartbeat)
        connection.transport_options["confirm_publish"] = False
        return self.ensure_connected(connection)

    def ensure_connected(self, conn: Connection) -> Connection:
        """Try until the broker answers. Celery's own pauses grow to half a minute, which is all an outage may cost."""

        def say(error: Exception, interval: float) -> None:
            log.warning("the broker is away (%s); the next try is in %d s", type(error).__name__, interval)

        connected: Connection = conn.ensure_connection(
            say,
            self.app.conf.broker_connection_max_retries,
            interval_start=RETRY_START,
            interval_step=RETRY_STEP,
            interval_max=RETRY_MAX,
            callback=celery.worker.state.maybe_shutdown,
        )
        self.first_connection_attempt = False
        return connected


def refuse_packed() -> None:
    """Have no message unpacked: ours never are packed, and a stranger's kilobytes may hold gigabytes."""
    for kind in compression.encoders():
        compression.register(_refuse_packed, _refuse_packed, kind)


def _refuse_packed(_body: bytes) -> bytes:
    raise ValueError("no message of ours is packed")


refuse_packed()


def _answer(
    answer: Callable[..., None], _: logging.Logger, errors: tuple[type[Exception], ...], *given: bool, **options: bool
) -> None:
    """Acknowledge or reject a message; raises what tells Celery that the connection is lost."""
    try:
        answer(*given, **options)
    except errors as error:
        log.warning("the broker went away before a message was answered (%s); it comes again", type(error).__name__)
        if isinstance(error, BrokenPipeError):
            raise


def frame_handler(connection: amqp.Connection, callback: Callable[..., Any]) -> Callable[[Frame], bool]:
    """AMQP's reader of frames, which reads a message whose properties make no sense as one without any.

    A date beyond Python's calendar in a header, say, would end the process before anybody sees the message.
    """
    handle = amqp.method_framing.frame_handler(connection, callback)

    def on_frame(frame: Frame) -> bool:
        kind, channel, content = frame
        if kind == _HEADER:
            try:
                amqp.Message().inbound_header(content)
            except Exception:  # noqa: BLE001 - whatever the parser stumbles over
                content = bytes(content[:_FIXED]) + _NO_PROPERTIES
        return bool(handle((kind, channel, content)))

    return on_frame
