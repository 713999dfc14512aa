"""The folders where workers keep a video while they work on it, emptied whenever their worker starts.

`mayfly worker` takes the first free *slot* of the scratch folder: `worker-1`, `worker-2`, … Nothing else is removed.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import os
import shutil
from pathlib import Path

import psutil

from tasks import holder

SLOT = "worker-{}"


class Slot:
    """A folder that belongs to one worker until the last of its processes has ended.

    Each of them holds a shared lock on the slot. Whoever wants the slot needs the lock alone.
    """

    def __init__(self, path: Path, lock: int) -> None:
        self.path = path
        self._lock = lock

    @classmethod
    def take(cls, root: Path) -> Slot:
        """The first slot that nobody has, emptied. Raises OSError when the folder cannot be used."""
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        for number in itertools.count(1):
            path = root / SLOT.format(number)
            lock = _opened(path)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # A worker that was killed could not tidy up.
                emptied(path)
                # Not atomic: if somebody else was quicker, the slot is theirs.
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(lock)
                continue
            return cls(path, lock)
        raise AssertionError

    @classmethod
    def share(cls, path: Path) -> Slot:
        """The slot of this process's worker, which stays taken while this process runs."""
        lock = _opened(path)
        fcntl.flock(lock, fcntl.LOCK_SH)
        return cls(path, lock)

    def give_back(self) -> None:
        """Leave the slot; the last process of the worker removes its folder."""
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)


def emptied(path: Path) -> Path:
    """The folder without what lay in it."""
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(mode=0o700, exist_ok=True)
    return path


def remove(path: Path) -> None:
    """Remove a folder and what lies in it."""
    shutil.rmtree(path, ignore_errors=True)


def of_child(root: Path) -> Path:
    """Make a folder for this child in its service's, and remove those of children that have ended."""
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    for folder in root.iterdir():
        if not _lives(folder.name):
            shutil.rmtree(folder, ignore_errors=True)
    own = root / f"{os.getpid()}-{holder.started(os.getpid())}"
    own.mkdir(exist_ok=True, mode=0o700)
    return own


def _lives(name: str) -> bool:
    pid, _, start = name.partition("-")
    try:
        # Another process may have got the number since.
        return holder.started(int(pid)) == start
    except ValueError:
        return False
    except psutil.AccessDenied:
        return True


def _opened(path: Path) -> int:
    # The lock outlives the folder, which is removed.
    return os.open(path.with_name(f"{path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
