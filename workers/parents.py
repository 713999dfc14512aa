"""Processes that end with their parent, and with all their descendants: none is left that nobody knows of."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Iterable

import psutil

PR_SET_PDEATHSIG = 1
EXPLAINED = 78
"""The exit code by which a process tells its parent that it cannot work, and has said why in the log."""


def follow(parent: int, number: signal.Signals) -> None:
    """Ask Linux for this signal when the parent ends, and give it at once if that has happened already.

    The kernel forgets it with every program that is started, so each process asks for itself.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, number)
    if os.getppid() != parent:
        os.kill(os.getpid(), number)


def kill(pids: Iterable[int]) -> None:
    """End processes and all their descendants, those in sessions of their own (ffmpeg) as well."""
    for pid in pids:
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(pid)
            family = [*process.children(recursive=True), process]
            for one in family:
                with contextlib.suppress(psutil.NoSuchProcess):
                    one.kill()


def kill_descendants() -> None:
    """End all descendants of this process."""
    kill(one.pid for one in psutil.Process().children())
