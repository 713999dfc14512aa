"""Frames through a pipe without a copy of our own: planes go between the pipe and the tensor where they belong."""

from __future__ import annotations

import os
from collections.abc import Sequence

import torch

# The pipe's planes are G, B, R; a frame's are R, G, B.
_PIPE_ORDER = (1, 2, 0)


def planes(frame: torch.Tensor) -> list[memoryview]:
    """The bytes of a contiguous (3, H, W) uint8 or uint16 frame as planes in the pipe's order."""
    return [memoryview(frame[channel].numpy().data).cast("B") for channel in _PIPE_ORDER]


def read_into(descriptor: int, buffers: Sequence[memoryview]) -> int:
    """Fill the buffers from a pipe; returns the bytes read, fewer than asked only at the stream's end."""
    wanted = list(buffers)
    total = 0
    while wanted:
        count = os.readv(descriptor, wanted)
        if count == 0:
            break
        total += count
        wanted = _rest(wanted, count)
    return total


def write_all(descriptor: int, buffers: Sequence[memoryview | bytes]) -> None:
    """Write all of the buffers to a pipe. Raises BrokenPipeError when nobody reads it any more."""
    left = [memoryview(buffer) for buffer in buffers]
    while left:
        left = _rest(left, os.writev(descriptor, left))


def _rest(buffers: list[memoryview], count: int) -> list[memoryview]:
    for index, buffer in enumerate(buffers):
        if count < len(buffer):
            return [buffer[count:], *buffers[index + 1 :]]
        count -= len(buffer)
    return []
