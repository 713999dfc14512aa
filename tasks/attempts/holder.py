"""Names the process that holds a claim, so that a colleague on the same machine can tell that it died."""

from __future__ import annotations

import functools
import hashlib
import os
import socket
import sys
import threading
from pathlib import Path

import psutil

PROC = Path("/proc")
DEAD = "ZX"  # the states in /proc/<pid>/stat of a process that has ended and is not yet waited for


def own() -> str:
    """The name of this process and thread: host, place, process id, the process's start, thread id."""
    return f"{_process(os.getpid())}:{threading.get_ident()}"


def died(holder: str) -> bool:
    """Whether this holder was a process of this machine that exists no more; False when nobody here can tell."""
    try:
        host, where, pid, start, _ = holder.rsplit(":", 4)
        if (host, where) != (socket.gethostname(), place()):
            return False
        # Another process may have got the number since.
        return started(int(pid)) != start
    except (ValueError, psutil.AccessDenied):
        return False


@functools.cache
def place() -> str:
    """Where process ids mean what they mean here: this start of this machine, and this container.

    Containers repeat host names and process ids, so neither says enough. Elsewhere than on Linux there are no
    containers, and it is empty.
    """
    if sys.platform != "linux":
        return ""
    boot = (PROC / "sys/kernel/random/boot_id").read_text().strip()
    return hashlib.sha256(f"{boot} {(PROC / 'self/ns/pid').readlink()}".encode()).hexdigest()[:12]


def started(pid: int) -> str | None:
    """When a process started, as its kernel counts, whatever the clock is set to; None when it has ended.

    Raises:
        psutil.AccessDenied: it runs, and that is all that may be known.
    """
    if sys.platform != "linux":
        return _started_elsewhere(pid)
    try:
        # Behind the name in brackets, which may hold anything; the start is the twenty-second of all.
        fields = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        if _exists(pid):
            # The folders of other people's processes may be hidden.
            raise psutil.AccessDenied(pid) from None
        return None
    return None if fields[0] in DEAD else fields[19]


def _started_elsewhere(pid: int) -> str | None:
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else f"{process.create_time():.0f}"
    except psutil.NoSuchProcess:
        return None


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


@functools.cache
def _process(pid: int) -> str:
    return f"{socket.gethostname()}:{place()}:{pid}:{started(pid)}"
