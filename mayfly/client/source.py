"""What a producer hands over, as a stream of known size: a path, bytes or a seekable stream."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, cast

from mayfly.client.errors import InvalidSource

CHUNK_BYTES = 1024 * 1024

Source = str | os.PathLike[str] | bytes | BinaryIO


@contextlib.contextmanager
def opened(source: Source) -> Iterator[tuple[BinaryIO, int]]:
    """The source as a stream at its beginning, and its size in bytes; a stream stays the caller's to close.

    Raises:
        InvalidSource: it cannot be opened or has no known size. The text does not repeat a path.
    """
    if isinstance(source, bytes):
        yield io.BytesIO(source), len(source)
    elif isinstance(source, str | os.PathLike):
        try:
            file = Path(source).open("rb")  # noqa: SIM115 - only the opening's error is translated
        except (OSError, ValueError):
            raise InvalidSource("the file cannot be opened; check that it exists and may be read") from None
        with file:
            yield file, os.fstat(file.fileno()).st_size
    else:
        try:
            start = source.tell()
            size = source.seek(0, io.SEEK_END) - start
            source.seek(start)
        except (OSError, ValueError, AttributeError):
            raise InvalidSource("give a path, bytes, or a binary stream that can seek") from None
        yield source, size


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
