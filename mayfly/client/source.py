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
from mayfly.errors import MayflyError

CHUNK_BYTES = 1024 * 1024
NO_STREAM = "give a path, bytes, or a binary stream that can seek"

Source = str | os.PathLike[str] | bytes | BinaryIO
_Call = Callable[..., Any]


@contextlib.contextmanager
def opened(source: Source, *, end: float | None = None) -> Iterator[tuple[BinaryIO, int]]:
    """The source as a stream at its beginning, and its size in bytes; a stream stays the caller's to close.

    Args:
        source: what was handed over.
        end: by time.monotonic(), when it is no longer waited for, here and in each call of the stream; None: never.

    Raises:
        InvalidSource: it cannot be opened or has no known size; also whatever its stream raises while it is used. The
            text does not repeat a path.
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
        except (OSError, TypeError, ValueError):
            raise InvalidSource("the file cannot be opened; check that it exists and may be read") from None
        try:
            if not file.seekable():
                raise InvalidSource("this is a pipe or the like, of no known size; store it in a file first")
            yield _Guarded.wrap(file), os.fstat(file.fileno()).st_size
        finally:
            (later or call)(file.close)
    else:
        stream = _Guarded.wrap(source)
        start = call(stream.tell)
        size = call(stream.seek, 0, io.SEEK_END) - start
        call(stream.seek, start)
        yield stream, size


def _at_once(function: Callable[..., Any], *arguments: Any) -> Any:
    return function(*arguments)


class _Guarded:
    """A caller's stream, of which everything can be wrong: its errors and its answers end as InvalidSource."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def read(self, size: int = -1) -> bytes:
        with _asked("the source cannot be read to its end"):
            data = self._stream.read(size)
        if not isinstance(data, bytes):
            raise InvalidSource("give a stream of bytes, not of text")
        if 0 <= size < len(data):
            raise InvalidSource("the stream gives more bytes than it is asked for")
        return data

    def tell(self) -> int:
        with _asked(NO_STREAM):
            return self._number(self._stream.tell())

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        with _asked(NO_STREAM):
            return self._number(self._stream.seek(offset, whence))

    @staticmethod
    def _number(answer: object) -> int:
        if not isinstance(answer, int):
            raise InvalidSource(NO_STREAM)
        return answer

    @classmethod
    def wrap(cls, stream: object) -> BinaryIO:
        """Wrapped, and typed as what is used of it."""
        return cast(BinaryIO, cls(stream))


@contextlib.contextmanager
def _asked(text: str) -> Iterator[None]:
    try:
        yield
    except (MayflyError, MemoryError):
        raise
    except (OSError, ValueError, AttributeError):
        # Their own text may name a file.
        raise InvalidSource(text) from None
    except Exception as error:
        # A mistake of whoever wrote the stream, who will want to see where.
        raise InvalidSource(text) from error


def digest(stream: BinaryIO) -> str:
    """The SHA-256 of a stream's rest, to whose beginning the stream returns. Raises InvalidSource."""
    start, found = stream.tell(), hashlib.sha256()
    while chunk := stream.read(CHUNK_BYTES):
        found.update(chunk)
    stream.seek(start)
    return found.hexdigest()


class Watched:
    """A stream of known size that is watched while it is read: it gives that many bytes, or an error that says so."""

    def __init__(self, stream: BinaryIO, size: int, *, before: Callable[[], None], after: Callable[[], None]) -> None:
        self._stream = _Guarded(stream)
        self._left = size
        self._before, self._after = before, after

    def read(self, size: int = -1) -> bytes:
        """As the stream's own, between `before` and `after`. Raises InvalidSource."""
        self._before()
        wanted = self._left if size < 0 else min(size, self._left)
        data = self._stream.read(wanted)
        if wanted and not data:
            raise InvalidSource("the source has become shorter while it was read")
        self._left -= len(data)
        self._after()
        return data

    @classmethod
    def wrap(cls, stream: BinaryIO, size: int, *, before: Callable[[], None], after: Callable[[], None]) -> BinaryIO:
        """Wrapped, and typed as what stores take; they call nothing but `read`."""
        return cast(BinaryIO, cls(stream, size, before=before, after=after))
