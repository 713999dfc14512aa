"""Logging of Mayfly's processes: one line an event, and nothing of what a job carries."""

from __future__ import annotations

import logging
import sys

from billiard.exceptions import WorkerLostError

FORMAT = "%(asctime)s %(levelname)s %(processName)s %(name)s: %(message)s"


def configure(level: int = logging.INFO) -> None:
    """Log to standard error; doing it twice is harmless."""
    logging.basicConfig(stream=sys.stderr, level=level, format=FORMAT)
    # Pika logs every connection at INFO, and its errors carry what we report in our own words.
    logging.getLogger("pika").setLevel(logging.CRITICAL)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    # Ten warnings at each start that the queues have no delayed delivery, which nothing here uses.
    logging.getLogger("kombu.transport.native_delayed_delivery").setLevel(logging.ERROR)
    # A traceback, with what it holds, of a command that Celery does not know; whoever sent it gets the answer.
    logging.getLogger("kombu.pidbox").setLevel(logging.CRITICAL)
    logging.getLogger("celery.worker.request").addFilter(_without_traceback_of_the_lost)


def configure_quiet() -> None:
    """For a command that shows progress bars: only what an operator must act on."""
    configure(logging.ERROR)


def _without_traceback_of_the_lost(record: logging.LogRecord) -> bool:
    """A child that ended in mid-work is one line; Celery's traceback of its own error says nothing more."""
    if record.exc_info and record.exc_info[0] is not None and issubclass(record.exc_info[0], WorkerLostError):
        record.exc_info = record.exc_text = None
    return True
