"""The folders where workers keep a video while they work on it: in a private folder with Mayfly's mark, swept when
their worker has died.

Below the folder that the settings name, whoever owns that, lies Mayfly's own for this user. `mayfly worker` takes its
first free *slot*: `worker-1`, `worker-2`, … Nothing else is removed.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import logging
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import psutil

from mayfly import folders
from mayfly.settings import Settings
from mayfly.tasks.attempts import holder

log = logging.getLogger(__name__)

SLOT = "worker-{}"
SWEEP_SECONDS = 10.0  # at most, until a dead worker's files are removed by a worker of the same machine and user
_WHAT = "Mayfly's own folder for scratch, in MAYFLY_SCRATCH or embedded in MAYFLY_HOME,"


class Slot:
    """A folder that belongs to one worker until the last of its processes has ended.

    Each of them holds a shared lock on the slot. Whoever wants the slot needs the lock alone.
    """

    def __init__(self, path: Path, lock: int) -> None:
        self.path = path
        self._lock = lock

    @classmethod
    def take(cls, scratch: Path) -> Slot:
        """The first slot that nobody has, emptied.

        Raises:
            FolderRefused: what lies where Mayfly's folder should be is not its own.
            OSError: the folder cannot be used.
        """
        root = folders.private(own(scratch), what=_WHAT, marked=True)
        with _alone(root):
            for number in itertools.count(1):
                path = root / SLOT.format(number)
                lock = _opened(path)
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    os.close(lock)
                    continue
                # A worker that was killed could not tidy up.
                folders.remove(path)
                path.mkdir(mode=0o700, exist_ok=True)
                # For a moment it is nobody's, and nobody else may look.
                fcntl.flock(lock, fcntl.LOCK_SH)
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
            folders.remove(self.path)
        os.close(self._lock)


def place(settings: Settings) -> Path:
    """The folder below which this set-up's workers make Mayfly's own."""
    return settings.home / "scratch" if settings.embedded else settings.scratch


def own(scratch: Path) -> Path:
    """Mayfly's own folder for this user."""
    return scratch / f"mayfly-{os.geteuid()}"


def sweep(root: Path) -> None:
    """Remove what dead workers of this machine have left in Mayfly's own folder; what cannot be done is said."""
    if not folders.is_marked(root):
        return
    try:
        with _alone(root, wait=False):
            for path in root.glob(SLOT.format("*")):
                if path.is_dir():
                    _sweep(path)
    except BlockingIOError:
        log.debug("somebody else takes or sweeps slots")
    except OSError as error:
        log.warning("scratch cannot be swept: %s", error.strerror)


def _sweep(path: Path) -> None:
    lock = _opened(path)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if folders.remove(path):
            log.warning("%s: files of a worker that died were removed", path.name)
        else:
            log.error("%s: files of a worker that died cannot be removed; remove them by hand", path.name)
    except BlockingIOError:
        log.debug("%s: its worker lives", path.name)
    finally:
        os.close(lock)


def of_child(root: Path) -> Path:
    """Make a folder for this child in its service's, in a slot, and remove those of children that have ended."""
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    if folders.is_marked(root.parent.parent):
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


@contextlib.contextmanager
def _alone(root: Path, *, wait: bool = True) -> Iterator[None]:
    """No other process takes or sweeps slots meanwhile. Raises BlockingIOError where one does and we do not wait."""
    lock = _opened(root / "slots")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(lock)


def _opened(path: Path) -> int:
    # The lock outlives the folder, which is removed.
    return os.open(path.with_name(f"{path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
