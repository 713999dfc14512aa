"""What a producer hands over, as a stream of known size: a path, bytes or a seekable stream."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, cast

from mayfly.errors import InvalidSource

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
        except OSError:
            raise InvalidSource("the file cannot be opened; check that it exists and may be read") from None
        with file:
            yield file, os.fstat(file.fileno()).st_size
    else:
        try:
            start = source.tell()
            size = source.seek(0, io.SEEK_END) - start
            source.seek(start)
        except (OSError, AttributeError):
            raise InvalidSource("give a path, bytes, or a binary stream that can seek") from None
        yield source, size


class Watched:
    """A stream that calls `on_read` before each read, by which an upload shows that its producer lives."""

    def __init__(self, stream: BinaryIO, on_read: Callable[[], None]) -> None:
        self._stream = stream
        self._on_read = on_read

    def read(self, size: int = -1) -> bytes:
        """As the stream's own."""
        self._on_read()
        return self._stream.read(size)

    @classmethod
    def wrap(cls, stream: BinaryIO, on_read: Callable[[], None]) -> BinaryIO:
        """Wrapped, and typed as what stores take; they call nothing but `read`."""
        return cast(BinaryIO, cls(stream, on_read))
