"""Keeps the errors of a caller's stream or file apart from those of the store, which is blamed for its own alone."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator
from typing import BinaryIO, cast

from mayfly.media.errors import DiskFull, MachineFault

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""What an OSError's `errno` says when there is no space left."""


class _Theirs(Exception):
    """An error of a caller's stream, past everything that would take it for the store's."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error


class _Marked:
    """A stream whose errors are marked."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def read(self, size: int = -1) -> bytes:
        try:
            return self._stream.read(size)
        except Exception as error:
            raise _Theirs(error) from error

    def write(self, data: bytes) -> int:
        try:
            return self._stream.write(data)
        except Exception as error:
            raise _Theirs(error) from error


@contextlib.contextmanager
def marked(stream: BinaryIO) -> Iterator[BinaryIO]:
    """A caller's stream, of which only `read` and `write` are used; its own errors leave this block as they are."""
    try:
        yield cast(BinaryIO, _Marked(stream))
    except _Theirs as theirs:
        raise theirs.error from None


@contextlib.contextmanager
def written_here() -> Iterator[None]:
    """What is wrong with a file of this machine, in our words. Raises DiskFull, MachineFault."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise DiskFull from None
        raise MachineFault from None
