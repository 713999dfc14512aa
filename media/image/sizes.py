"""The size of a picture by its header, read in plain Python: nothing here can be made to do more than to misread.

So a producer and a worker know it without a decoder, which alone sees the rest.
"""

from __future__ import annotations

import os
from typing import BinaryIO

from mayfly.media import sniff

_MOST_STEPS = 10_000
"""Of a JPEG's segments; a header that has more is not read."""
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_BARE = frozenset([0x01, *range(0xD0, 0xD9)])


def read(stream: BinaryIO, found: sniff.Format) -> tuple[int, int] | None:
    """Width and height in pixels as stored, before the orientation is applied; None where the header does not say.

    Args:
        stream: seekable; where it stood is its picture's beginning, and where it stands afterwards.
        found: JPEG, PNG or WebP, by the first bytes.
    """
    begin = stream.tell()
    try:
        size = {sniff.JPEG: _jpeg, sniff.PNG: _png, sniff.WEBP: _webp}[found](stream)
    except (EOFError, OSError):
        return None
    finally:
        stream.seek(begin)
    return size if size is not None and min(size) > 0 else None


def _png(stream: BinaryIO) -> tuple[int, int] | None:
    head = _exactly(stream, 24)
    if head[12:16] != b"IHDR":
        return None
    return int.from_bytes(head[16:20], "big"), int.from_bytes(head[20:24], "big")


def _webp(stream: BinaryIO) -> tuple[int, int] | None:
    head = _exactly(stream, 30)
    match head[12:16]:
        case b"VP8X":
            return 1 + int.from_bytes(head[24:27], "little"), 1 + int.from_bytes(head[27:30], "little")
        case b"VP8L" if head[20] == 0x2F:
            bits = int.from_bytes(head[21:25], "little")
            return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
        case b"VP8 " if head[23:26] == b"\x9d\x01\x2a":
            return int.from_bytes(head[26:28], "little") & 0x3FFF, int.from_bytes(head[28:30], "little") & 0x3FFF
    return None


def _jpeg(stream: BinaryIO) -> tuple[int, int] | None:
    stream.seek(2, os.SEEK_CUR)
    for _ in range(_MOST_STEPS):
        if _exactly(stream, 1) != b"\xff":
            # Decoders pass over what lies between two segments.
            continue
        while (marker := _exactly(stream, 1)[0]) == 0xFF:
            pass
        if marker in _FRAMES:
            head = _exactly(stream, 7)
            return int.from_bytes(head[5:7], "big"), int.from_bytes(head[3:5], "big")
        if marker in (0xD9, 0xDA):
            return None
        if marker and marker not in _BARE:
            length = int.from_bytes(_exactly(stream, 2), "big")
            if length < 2:
                return None
            stream.seek(length - 2, os.SEEK_CUR)
    return None


def _exactly(stream: BinaryIO, size: int) -> bytes:
    found = stream.read(size)
    if len(found) < size:
        raise EOFError
    return found
