"""Reads a source until a moment and no longer: whoever waits can leave where no system call lets a read be ended."""

from __future__ import annotations

import concurrent.futures
import io
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, BinaryIO, TypeVar, cast

from mayfly.client.errors import WaitTimeout

T = TypeVar("T")

GRACE_SECONDS = 1.0  # for each call once the time is over: of what comes at once, nobody waits


class Reader:
    """A thread that does what is asked in its turn. What it is at when the time is over is left to it."""

    def __init__(self, end: float) -> None:
        """`end` is a moment of time.monotonic()."""
        self._end = end
        self._asked: queue.SimpleQueue[tuple[Future[Any], Callable[..., Any], tuple[Any, ...]] | None]
        self._asked = queue.SimpleQueue()
        # Nobody waits for it at the process's end either.
        threading.Thread(target=self._run, name="source", daemon=True).start()

    def call(self, function: Callable[..., T], *arguments: Any) -> T:
        """Call, and wait for the answer. Raises WaitTimeout, and whatever the function raises."""
        answer = self.later(function, *arguments)
        concurrent.futures.wait([answer], max(self._end - time.monotonic(), GRACE_SECONDS))
        if not answer.done():
            answer.add_done_callback(_drop)
            raise WaitTimeout("the source could not be read before the time was over; nothing of it is queued")
        return answer.result()

    def later(self, function: Callable[..., T], *arguments: Any) -> Future[T]:
        """Call, and do not wait."""
        answer: Future[T] = Future()
        self._asked.put((answer, function, arguments))
        return answer

    def end(self) -> None:
        """Nothing more is asked."""
        self._asked.put(None)

    def _run(self) -> None:
        while (asked := self._asked.get()) is not None:
            answer, function, arguments = asked
            try:
                answer.set_result(function(*arguments))
            except BaseException as error:  # noqa: BLE001 - raised again in the thread that asked
                answer.set_exception(error)


def _drop(answer: Future[Any]) -> None:
    """Close a file that was opened too late, and is nobody's."""
    if answer.exception() is None and isinstance(answer.result(), io.IOBase):
        answer.result().close()


class Stream:
    """What uploads call of a stream, by a reader."""

    def __init__(self, stream: BinaryIO, reader: Reader) -> None:
        self._stream, self._reader = stream, reader

    def read(self, size: int = -1) -> bytes:
        """As the stream's own; raises WaitTimeout as well."""
        return self._reader.call(self._stream.read, size)

    def seek(self, offset: int, whence: int = 0) -> int:
        """As `read`."""
        return self._reader.call(self._stream.seek, offset, whence)

    def tell(self) -> int:
        """As `read`."""
        return self._reader.call(self._stream.tell)

    @classmethod
    def wrap(cls, stream: BinaryIO, reader: Reader) -> BinaryIO:
        """Wrapped, and typed as what is read."""
        return cast(BinaryIO, cls(stream, reader))
