"""The folder where a worker keeps a video while it works on it; emptied whenever its worker starts."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

import filelock
import psutil


class Scratch:
    """A folder that belongs to one worker at a time, guarded by a lock that dies with its process."""

    def __init__(self, root: Path, name: str) -> None:
        self.path = root / name
        self._lock = filelock.FileLock(root / f"{name}.lock")

    def take(self) -> Path:
        """Empty the folder and keep it until this process ends.

        Raises:
            filelock.Timeout: another worker of this name runs on this machine.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock.acquire(timeout=5)
        # A worker that was killed could not tidy up.
        shutil.rmtree(self.path, ignore_errors=True)
        self.path.mkdir(mode=0o700)
        return self.path

    def give_back(self) -> None:
        """Remove the folder and the lock."""
        shutil.rmtree(self.path, ignore_errors=True)
        self._lock.release()
        with contextlib.suppress(OSError):
            Path(self._lock.lock_file).unlink()


def of_child(root: Path) -> Path:
    """Make a folder for this child in its service's, and remove those of children that were killed."""
    for folder in root.iterdir():
        if not _is_sibling(folder.name):
            shutil.rmtree(folder, ignore_errors=True)
    own = root / str(os.getpid())
    own.mkdir(exist_ok=True, mode=0o700)
    return own


def _is_sibling(name: str) -> bool:
    try:
        process = psutil.Process(int(name))
        # Another program may have got the number since.
        return process.ppid() == os.getppid() and process.status() != psutil.STATUS_ZOMBIE
    except (ValueError, psutil.NoSuchProcess):
        return False
