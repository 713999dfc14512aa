"""What a producer hands over, as a stream of known size: a path, bytes or a seekable stream."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

from mayfly.client.errors import InvalidSource
from mayfly.client.reader import Reader, Stream

CHUNK_BYTES = 1024 * 1024

Source = str | os.PathLike[str] | bytes | BinaryIO
_Call = Callable[..., Any]


@contextlib.contextmanager
def opened(source: Source, *, end: float | None = None) -> Iterator[tuple[BinaryIO, int]]:
    """The source as a stream at its beginning, and its size in bytes; a stream stays the caller's to close.

    Args:
        source: what was handed over.
        end: by time.monotonic(), when it is no longer waited for, here and in each call of the stream; None: never.

    Raises:
        InvalidSource: it cannot be opened or has no known size. The text does not repeat a path.
        WaitTimeout: it was not there in time.
    """
    if isinstance(source, bytes):
        yield io.BytesIO(source), len(source)
    elif end is None:
        with _opened(source, _at_once) as found:
            yield found
    else:
        reader = Reader(end)
        try:
            with _opened(source, reader.call, reader.later) as (stream, size):
                yield Stream.wrap(stream, reader), size
        finally:
            reader.end()


@contextlib.contextmanager
def _opened(
    source: str | os.PathLike[str] | BinaryIO, call: _Call, later: _Call | None = None
) -> Iterator[tuple[BinaryIO, int]]:
    """As `opened`; whatever may have to wait is done by `call`, and the closing by `later`."""
    if isinstance(source, str | os.PathLike):
        try:
            file = call(Path(source).open, "rb")
        except (OSError, ValueError):
            raise InvalidSource("the file cannot be opened; check that it exists and may be read") from None
        try:
            if not file.seekable():
                raise InvalidSource("this is a pipe or the like, of no known size; store it in a file first")
            yield file, os.fstat(file.fileno()).st_size
        finally:
            (later or call)(file.close)
    else:
        try:
            start = call(source.tell)
            size = call(source.seek, 0, io.SEEK_END) - start
            call(source.seek, start)
        except (OSError, ValueError, AttributeError):
            raise InvalidSource("give a path, bytes, or a binary stream that can seek") from None
        yield source, size


def _at_once(function: Callable[..., Any], *arguments: Any) -> Any:
    return function(*arguments)


def read(stream: BinaryIO, size: int) -> bytes:
    """Up to so many bytes of a stream. Raises InvalidSource."""
    try:
        data = stream.read(size)
    except (OSError, ValueError):
        raise InvalidSource("the source cannot be read to its end") from None
    if not isinstance(data, bytes):
        raise InvalidSource("give a stream of bytes, not of text")
    return data


def digest(stream: BinaryIO) -> str:
    """The SHA-256 of a stream's rest, to whose beginning the stream returns. Raises InvalidSource."""
    start, found = stream.tell(), hashlib.sha256()
    while chunk := read(stream, CHUNK_BYTES):
        found.update(chunk)
    stream.seek(start)
    return found.hexdigest()


class Watched:
    """A stream of known size that is watched while it is read: it gives that many bytes, or an error that says so."""

    def __init__(self, stream: BinaryIO, size: int, *, before: Callable[[], None], after: Callable[[], None]) -> None:
        self._stream = stream
        self._left = size
        self._before, self._after = before, after

    def read(self, size: int = -1) -> bytes:
        """As the stream's own, between `before` and `after`. Raises InvalidSource."""
        self._before()
        wanted = self._left if size < 0 else min(size, self._left)
        data = read(self._stream, wanted)
        if wanted and not data:
            raise InvalidSource("the source has become shorter while it was read")
        self._left -= len(data)
        self._after()
        return data

    @classmethod
    def wrap(cls, stream: BinaryIO, size: int, *, before: Callable[[], None], after: Callable[[], None]) -> BinaryIO:
        """Wrapped, and typed as what stores take; they call nothing but `read`."""
        return cast(BinaryIO, cls(stream, size, before=before, after=after))
