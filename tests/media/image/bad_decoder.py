"""Stands in for Pillow in the confined child, as if a picture had taken it over: does what the picture's text says."""

from __future__ import annotations

import ctypes
import os
import socket
import sys
from pathlib import Path

from mayfly.media.errors import DamagedMedia
from mayfly.media.image.pixels import Pixels


def warm_up():
    pass


def decode(data, name, limits):
    word, _, argument = data.rpartition(b"\0")[2].decode().partition(" ")
    return globals()[f"_{word}"](argument)


def _says(text):
    """A picture of one row whose pixels are a text."""
    row = text.encode().ljust(1)
    return Pixels(len(row), 1, 3, [row] * 3)


def _fine(_):
    return _says("fine")


def _modules(_):
    return _says(" ".join(sys.modules))


def _environment(_):
    return _says(" ".join(sorted(os.environ)))


def _tried(act):
    try:
        return act()
    except OSError as error:
        return type(error).__name__


def _open(path):
    return _says(_tried(lambda: Path(path).read_text()[:10]))


def _socket(_):
    kinds = [
        (socket.AF_INET, socket.SOCK_STREAM),
        (socket.AF_INET, socket.SOCK_DGRAM),
        (socket.AF_UNIX, socket.SOCK_STREAM),
    ]
    return _says(" ".join(_tried(lambda kind=kind: socket.socket(*kind) and "open") for kind in kinds))


def _fork(_):
    return _says(_tried(lambda: str(os.fork())))


def _execute(_):
    return _says(_tried(lambda: os.execv("/bin/true", ["true"])))


def _signal(pid):
    return _says(_tried(lambda: str(os.kill(int(pid), 0))))


def _crash(_):
    ctypes.string_at(0)


def _loop(_):
    while True:
        pass


def _bomb(_):
    return _says(str(len(bytearray(1 << 36))))


def _refuse(_):
    raise DamagedMedia


def _fail(_):
    raise RuntimeError("of a decoder's own")


def _lie(numbers):
    width, height, count = map(int, numbers.split())
    return Pixels(width, height, count, [bytes(width * height)] * count)


def _short(_):
    return Pixels(50, 50, 3, [b"x"] * 3)


def _much(_):
    return Pixels(1, 1, 3, [b"x"] * 9)
