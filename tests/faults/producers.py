"""Producers of this process that reach each server by a line that fails, and sources by which a test is told."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from mayfly import Client
from mayfly.media.sniff import HEAD_BYTES
from mayfly.settings import Settings
from tests.faults.conftest import Lines


def producer(lines: Lines, told: list[str] | None = None, **settings: Any) -> Client:
    """A client behind the proxies; what it waits for is told to a list."""
    addresses: dict[str, Any] = lines.settings()
    wanted = Settings(**addresses, effect_modules="benchmarks.effects", **settings)
    return Client(wanted, on_notice=None if told is None else told.append)


class Source(io.BytesIO):
    """A file that calls something once when it is read by an upload, and not when its header is looked at."""

    def __init__(self, content: bytes, call: Callable[[], object], *, at: int = 0) -> None:
        super().__init__(content)
        self._call: Callable[[], object] | None = call
        self._at = at

    def read(self, size: int | None = -1) -> bytes:
        looks = size is not None and 0 <= size <= HEAD_BYTES
        if not looks and self._call is not None and self.tell() >= self._at:
            call, self._call = self._call, None
            call()
        return super().read(size)


@contextmanager
def later(seconds: float, call: Callable[[], object]) -> Iterator[None]:
    """Call something in so many seconds."""
    timer = threading.Timer(seconds, call)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()


@contextmanager
def beside(call: Callable[[], Any]) -> Iterator[Future[Any]]:
    """Call something in another thread, which has ended when the block has."""
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(call)
