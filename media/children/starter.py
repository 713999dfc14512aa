"""The first program of every child: confines itself, says so, and becomes the program that was asked for.

Whoever may start no process cannot start this one either, so a child has to take that from itself. Run by
mayfly.media.children.launch, with nothing of a stranger's yet; each module that it imports is paid for by every child.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys

READY = b"\0"
"""What is said first; what follows is the number of an error."""
NO_NEW_PRIVILEGES, FILTER_CALLS, BY_PROGRAM, RESTRICT_FILES = 38, 22, 2, 446
_IGNORED_BY_PYTHON = (13, 25)  # SIGPIPE, SIGXFSZ


def main(status: int, ruleset: int, calls: bytes, program: str, argv: list[str]) -> None:
    """Become `program`.

    Args:
        status: the file descriptor on which to say how it went; its end is that it went well.
        ruleset: of Landlock; negative where there is none.
        calls: the filter of system calls; empty where there is none.
        program: its path.
        argv: its arguments, and before them its name.
    """
    libc = ctypes.CDLL(None)
    for number in _IGNORED_BY_PYTHON:
        libc.signal(number, ctypes.c_void_p(0))
    for descriptor in (status, ruleset):
        if descriptor >= 0:
            os.set_inheritable(descriptor, False)
    libc.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    # What the filter takes away, Landlock needs.
    if ruleset >= 0:
        libc.syscall(ctypes.c_long(RESTRICT_FILES), ctypes.c_long(ruleset), ctypes.c_long(0))
    if calls:
        filter_calls(libc, calls)
    os.write(status, READY)
    try:
        os.execve(program, argv, os.environ)  # noqa: S606 - whoever starts this one names it
    except OSError as error:
        os.write(status, bytes([error.errno or 0]))
        os._exit(1)


def filter_calls(libc: ctypes.CDLL, calls: bytes) -> bool:
    """Filter the calls of this thread and of what it starts; whether the filter holds."""
    buffer = ctypes.create_string_buffer(calls, len(calls))
    head = struct.pack("@HP", len(calls) // 8, ctypes.addressof(buffer))
    return bool(libc.prctl(FILTER_CALLS, BY_PROGRAM, head, 0, 0) == 0)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), bytes.fromhex(sys.argv[3]), sys.argv[4], sys.argv[5:])
