"""Waits for jobs: until a moment, through outages, and saying what it waits for."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Collection, Iterator
from types import TracebackType
from typing import Self, TypeVar

import sqlalchemy as sa

from mayfly.client.errors import WaitTimeout
from mayfly.client.job import Job
from mayfly.client.notices import Notices, OnNotice
from mayfly.client.patience import DATABASE, patiently
from mayfly.db import jobs
from mayfly.tasks.attempts.outage import AWAY

POLL_SHARE = 0.1  # of the time for which nothing has changed
POLL_FIRST_SECONDS = 0.008
POLL_LAST_SECONDS = 0.5

T = TypeVar("T")


def end_of(timeout: float | None) -> float | None:
    """The moment by time.monotonic() that is so many seconds from now; None for None. Raises TypeError, ValueError."""
    if timeout is None:
        return None
    if isinstance(timeout, bool) or not isinstance(timeout, int | float):
        raise TypeError("a timeout is a number of seconds, or None for no end")
    if not timeout >= 0:
        raise ValueError("a timeout is at least 0 seconds")
    return time.monotonic() + timeout


class Waiting:
    """One wait, entered while it lasts."""

    def __init__(self, tell: OnNotice | None, timeout: float | None) -> None:
        """For `timeout` seconds from now; None: without an end. Raises TypeError, ValueError."""
        self._notices = Notices(tell)
        self._end = end_of(timeout)

    def __enter__(self) -> Self:
        self._notices.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._notices.__exit__(kind, error, traceback)

    def left(self) -> float | None:
        """Seconds until the end, None without one."""
        return None if self._end is None else max(0.0, self._end - time.monotonic())

    def ask(self, call: Callable[[], T], what: str = DATABASE) -> T:
        """Call, again and again while a server is away. Raises WaitTimeout when the time is over before it is back."""
        try:
            return patiently(call, what=what, notices=self._notices, end=self._end)
        except AWAY as error:
            raise WaitTimeout(
                f"there was still no answer when the time was over ({error}); what is queued goes on, ask again later",
                unreachable=error.code,
            ) from error

    def check(self, text: str) -> None:
        """Raise WaitTimeout with this text when the time is over."""
        if self._end is not None and time.monotonic() >= self._end:
            raise WaitTimeout(text)


def watch(engine: sa.Engine, job_id: uuid.UUID, waiting: Waiting) -> Iterator[Job]:
    """A snapshot now and at every change, the last one in a final state. Raises UnknownJob, WaitTimeout."""
    last: Job | None = None
    changed = time.monotonic()
    while True:
        found = waiting.ask(lambda: Job.of(jobs.get(engine, job_id)))
        if found != last:
            yield found
            last, changed = found, time.monotonic()
        if found.state.final:
            return
        waiting.check("the job is not finished yet; it goes on, ask again later")
        # A job that has stood still for long is asked for less often.
        quiet = time.monotonic() - changed
        time.sleep(min(max(quiet * POLL_SHARE, POLL_FIRST_SECONDS), POLL_LAST_SECONDS))


def completed(engine: sa.Engine, job_ids: Collection[uuid.UUID], waiting: Waiting) -> Iterator[Job]:
    """Jobs in the order in which they end; one query asks for all. Raises UnknownJob, WaitTimeout."""
    pending = set(job_ids)
    for job_id in job_ids:
        waiting.ask(lambda job_id=job_id: jobs.get(engine, job_id))  # type: ignore[misc]
    while pending:
        for row in waiting.ask(lambda: jobs.finished(engine, pending)):
            pending.discard(row.id)
            yield Job.of(row)
        if pending:
            waiting.check("some jobs are not finished yet; they go on, ask again later")
            # Of many, one ends soon; asking for each at once would keep the database from the workers.
            time.sleep(min(POLL_FIRST_SECONDS * len(pending), POLL_LAST_SECONDS / 5))
