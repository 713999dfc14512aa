"""The program of the photo decoder: a confined process that forks for each picture and starts nothing else.

    our process ──request, bytes──▶ forked process: decodes one picture ──header, planes──▶ our process
                ◀──how it ended──── this process: waits for its end, and forks the next

This process sees no picture. What it forks is ready before a picture comes, looks at that one under limits of its own
and with less rights still, and ends: nothing of a picture is left to the next one. Run by mayfly.media.image.photos; it
imports neither torch nor anything with a network.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import os
import resource
import struct
from typing import Protocol

from mayfly.media.children import confinement
from mayfly.media.errors import DamagedMedia, TooLarge
from mayfly.media.image import pixels
from mayfly.media.limits import Limits

REQUEST = struct.Struct("<4sBBQQIQQ")
"""A mark, the format's number, a byte to spare, bytes of the picture, pixels and side at most, memory, CPU seconds."""
ANSWER = struct.Struct("<4sBBII")
"""A mark, an outcome, planes, width, height; then the planes."""
ENDED = struct.Struct("<4si")
"""A mark, and how the forked process ended: its code, or the negative number of a signal."""
HELLO = struct.Struct("<4sI")
"""A mark, and what confines this process, as confinement.Kind."""
MARK = b"MFY1"
DONE, DAMAGED, TOO_LARGE = range(3)
NOTHING_TO_DO, NO_MEMORY = 3, 4
"""Codes of a forked process: that it got no picture, or not the memory for it."""
_TOUCHED = 8 * 1024**2  # bytes that are ready before a picture comes: as many as one of 1 MP takes
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_CHUNK = 1 << 20


class Decoder(Protocol):
    """The module that decodes: mayfly.media.image.pixels."""

    def warm_up(self) -> None: ...
    def decode(self, data: bytes, name: str, limits: Limits, /) -> pixels.Pixels: ...


def main(decoder: str, status: int) -> None:
    """Serve until standard input ends.

    Args:
        decoder: the name of the module that decodes.
        status: the file descriptor on which this process, and never a forked one, says how it went.
    """
    module: Decoder = importlib.import_module(decoder)
    module.warm_up()
    holds = confinement.enter()
    _keep_memory()
    gc.freeze()
    try:
        _write(status, HELLO.pack(MARK, int(holds)))
        while (code := _forked(module, status)) != NOTHING_TO_DO:
            _write(status, ENDED.pack(MARK, code))
    except BrokenPipeError:
        # Nobody waits for an answer any more.
        pass


def _forked(decoder: Decoder, status: int) -> int:
    """How a process ended that was forked for the next picture: its code, or the negative number of a signal."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    code = 1
    try:
        os.close(status)
        for kind in (resource.RLIMIT_FSIZE, resource.RLIMIT_CORE):
            resource.setrlimit(kind, (0, 0))
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))
        code = _work(decoder)
    except MemoryError:
        code = NO_MEMORY
    finally:
        # Without what the process that it was forked from would do at its end.
        os._exit(code)


def _work(decoder: Decoder) -> int:
    """Get one picture, decode it and write the answer."""
    # What a picture needs is there before it comes: pages of its own, and of the code that reads it.
    bytes(1) * _TOUCHED
    decoder.warm_up()
    head = _read(REQUEST.size)
    if not head:
        return NOTHING_TO_DO
    _, number, _, size, most, side, memory, seconds = REQUEST.unpack(head)
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    # At the soft limit comes a signal that says what it is for, at the hard one SIGKILL.
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    confinement.enter(final=True)
    data = _read(size)
    os.close(0)
    _answer(decoder, data, pixels.FORMATS[number], Limits(max_pixels=most, max_side=side))
    return 0


def _keep_memory() -> None:
    """Let C's library keep what is freed: a fresh page costs more than to fill it."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(_M_MMAP_THRESHOLD, 32 * 1024**2)
        libc.mallopt(_M_TRIM_THRESHOLD, 512 * 1024**2)


def _answer(decoder: Decoder, data: bytes, name: str, limits: Limits) -> None:
    try:
        found = decoder.decode(data, name, limits)
    except TooLarge:
        _write(1, ANSWER.pack(MARK, TOO_LARGE, 0, 0, 0))
    except DamagedMedia:
        _write(1, ANSWER.pack(MARK, DAMAGED, 0, 0, 0))
    else:
        _write(1, ANSWER.pack(MARK, DONE, found.count, found.width, found.height))
        for plane in found.planes:
            _write(1, plane)


def _read(size: int) -> bytes:
    """So many bytes of standard input; fewer than wanted, or none, end this process quietly."""
    found = bytearray()
    while len(found) < size:
        chunk = os.read(0, min(_CHUNK, size - len(found)))
        if not chunk:
            return b""
        found += chunk
    return bytes(found)


def _write(descriptor: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(descriptor, left) :]
