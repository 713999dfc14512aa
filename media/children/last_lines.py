"""Keeps the last lines of a child's standard error, of which there may be any number, of any length."""

from __future__ import annotations

import collections

KEPT_LINES = 20
KEPT_LINE_BYTES = 500


class LastLines:
    """The beginnings of the last lines of a stream. May hold anything from the media: never logged, shown or stored."""

    def __init__(self) -> None:
        self._kept: collections.deque[str] = collections.deque(maxlen=KEPT_LINES)
        self._rest = b""

    @property
    def kept(self) -> tuple[str, ...]:
        """The whole lines so far."""
        return tuple(self._kept)

    @property
    def held(self) -> int:
        """Bytes of a line whose end has not come yet."""
        return len(self._rest)

    def feed(self, chunk: bytes) -> None:
        """Take what was read next."""
        *lines, rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            self._keep(line)
        self._rest = rest[:KEPT_LINE_BYTES]

    def close(self) -> None:
        """Take what is left for the last line."""
        self._keep(self._rest)
        self._rest = b""

    def _keep(self, line: bytes) -> None:
        if line:
            self._kept.append(line[:KEPT_LINE_BYTES].decode("utf-8", "replace"))
