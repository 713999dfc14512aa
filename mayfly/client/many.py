"""Submits several uploads a few at a time, and loses none of the jobs when one of them fails."""

from __future__ import annotations

import concurrent.futures
import threading
import time
from collections.abc import Callable, Sequence
from typing import NoReturn

from mayfly.client.errors import PartlySubmitted
from mayfly.client.job import Job
from mayfly.client.source import Source
from mayfly.db.rows import JobRow
from mayfly.errors import MayflyError

UPLOADS = 4  # in parallel
SEND_COUNT, SEND_SECONDS = 8, 0.2  # so many messages are noted as sent at once, if they come so fast


def submit(
    sources: Sequence[Source], queue: Callable[[Source], JobRow], send: Callable[[list[JobRow]], None]
) -> list[JobRow]:
    """Queue all sources, and send their messages by and by.

    Args:
        sources: in any order of their own.
        queue: stores one and queues its job.
        send: sends the messages of queued jobs; raises nothing.

    Returns:
        The jobs in the order of the sources.

    Raises:
        PartlySubmitted: one upload failed when others were queued. Those that ran meanwhile have ended, the rest was
            not begun.
        MayflyError: the first one to end failed, and nothing is queued.
    """
    stop = threading.Event()

    def begin(source: Source) -> JobRow | None:
        if stop.is_set():
            return None
        try:
            return queue(source)
        except BaseException:
            stop.set()
            raise

    queued: dict[int, JobRow] = {}
    unsent: list[JobRow] = []
    failed: tuple[int, Exception] | None = None
    sent_at = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(UPLOADS) as pool:
        places = {pool.submit(begin, source): position for position, source in enumerate(sources)}
        try:
            for future in concurrent.futures.as_completed(places):
                try:
                    job = future.result()
                except Exception as error:  # noqa: BLE001 - whatever it is, the jobs of the others are told with it
                    failed = failed or (places[future], error)
                    continue
                if job is None:
                    continue
                queued[places[future]] = job
                unsent.append(job)
                if len(unsent) >= SEND_COUNT or time.monotonic() - sent_at >= SEND_SECONDS:
                    send(unsent)
                    unsent, sent_at = [], time.monotonic()
        finally:
            stop.set()
            send(unsent)
    if failed is not None:
        _raise(*failed, [queued[position] for position in sorted(queued)], len(sources))
    return [queued[position] for position in sorted(queued)]


def _raise(position: int, error: Exception, queued: list[JobRow], count: int) -> NoReturn:
    if not queued:
        raise error
    first = error if isinstance(error, MayflyError) else MayflyError(f"an upload failed ({type(error).__name__})")
    raise PartlySubmitted(
        first.code,
        f"{position + 1} of {count}: {first}; {len(queued)} others are queued and go on",
        submitted=[Job.of(row) for row in queued],
        position=position + 1,
        retry_after=first.retry_after,
    ) from error
