"""Names the process that holds a claim, so that a colleague on the same machine can tell that it died."""

from __future__ import annotations

import functools
import os
import socket
import threading

import psutil

CLOCK_SLACK_SECONDS = 1.0


@functools.cache
def _process(pid: int) -> str:
    return f"{socket.gethostname()}:{pid}:{psutil.Process(pid).create_time():.1f}"


def own() -> str:
    """The name of this process and thread: host, process id, the process's start, thread id."""
    return f"{_process(os.getpid())}:{threading.get_ident()}"


def died(holder: str) -> bool:
    """Whether this holder was a process of this machine that exists no more; False when nobody here can tell."""
    try:
        host, pid, started, _ = holder.rsplit(":", 3)
        if host != socket.gethostname():
            return False
        process = psutil.Process(int(pid))
        # Another process may have got the number since.
        gone: bool = abs(process.create_time() - float(started)) > CLOCK_SLACK_SECONDS
        return gone or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
    except (ValueError, psutil.AccessDenied):
        return False
