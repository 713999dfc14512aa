"""What a message of ours looks like, told by its outside alone: whatever differs is somebody else's."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import json
import uuid
from collections.abc import Collection, Mapping
from typing import Any

from mayfly.tasks.messages import queues

MAX_BYTES = 1000  # ours have under 200; parsing another's megabytes would hold the lane
MAX_NUMBER = 2**31 - 1  # of a segment, in its column
MAX_LIMIT = 24 * 3600  # seconds that a task may take by its message

# What Celery would do something about, besides the task: other people's messages have it, ours never.
_EMPTY = ("eta", "group", "shadow", "retries", "stamped_headers", "stamps")


@dataclasses.dataclass(frozen=True)
class Unit:
    """What a message is about: a job, or one segment of it."""

    job_id: uuid.UUID
    number: int | None = None


def is_ours(headers: object, properties: Mapping[str, Any], body: object, *, tasks: Collection[str]) -> bool:
    """Whether a message has the form of those that mayfly.tasks.messages.sender and beat send; never raises.

    Args:
        headers: the message's headers as Celery's second protocol has them.
        properties: `content_type` and `content_encoding`.
        body: as it came, bytes or text.
        tasks: the names of the tasks that this process knows.
    """
    if not isinstance(headers, Mapping):
        return False
    task, expires = headers.get("task"), headers.get("expires")
    # Celery's own tasks, such as `celery.map`, would run any other.
    if not isinstance(task, str) or task not in tasks or task.startswith("celery."):
        return False
    if (properties.get("content_type"), properties.get("content_encoding")) != ("application/json", "utf-8"):
        return False
    if _id(headers.get("id")) is None or any(headers.get(name) for name in _EMPTY):
        return False
    if not _are_limits(headers.get("timelimit")) or headers.get("compression"):
        return False
    arguments = _arguments(body)
    if task in queues.PERIODIC:
        return arguments == [] and (expires is None or _is_moment(expires))
    return arguments is not None and expires is None and _unit(arguments) is not None


def unit(body: object) -> Unit | None:
    """The job, or the segment, that the body of a message names; None when it names none. Never raises."""
    arguments = _arguments(body)
    return None if arguments is None else _unit(arguments)


def _unit(arguments: list[Any]) -> Unit | None:
    if not 1 <= len(arguments) <= 2 or (job_id := _id(arguments[0])) is None:
        return None
    if len(arguments) == 1:
        return Unit(job_id)
    number = arguments[1]
    # A bool is an int to Python, and no number of a segment.
    return Unit(job_id, number) if type(number) is int and 0 <= number <= MAX_NUMBER else None


def _arguments(body: object) -> list[Any] | None:
    """The positional arguments, if there are no others and nothing is to follow the task."""
    if not isinstance(body, bytes | str) or len(body) > MAX_BYTES:
        return None
    with contextlib.suppress(ValueError, RecursionError):
        found = json.loads(body)
        if isinstance(found, list) and len(found) == 3:
            arguments, keywords, embedded = found
            if isinstance(arguments, list) and keywords == {} and isinstance(embedded, dict):
                return None if any(embedded.values()) else arguments
    return None


def _id(value: object) -> uuid.UUID | None:
    """An id as Python writes it; `uuid.UUID` reads many other forms."""
    if isinstance(value, str):
        with contextlib.suppress(ValueError):
            found = uuid.UUID(value)
            return found if str(found) == value else None
    return None


def _is_moment(value: object) -> bool:
    if isinstance(value, str):
        with contextlib.suppress(ValueError):
            datetime.datetime.fromisoformat(value)
            return True
    return False


def _are_limits(value: object) -> bool:
    """Whether these are Celery's two time limits, each none or a positive number of seconds."""
    if value is None:
        return True
    if not isinstance(value, list | tuple) or len(value) != 2:
        return False
    return all(limit is None or (type(limit) in (int, float) and 0 < limit < MAX_LIMIT) for limit in value)
