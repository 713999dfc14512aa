"""Makes the folders that hold what is personal: private ones, and a mark in those that Mayfly may empty."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from pathlib import Path

from mayfly.errors import FolderRefused

MARK = ".mayfly-made-this-folder"
_TEXT = b"Mayfly made this folder for itself. It removes what lies in here, whenever it likes.\n"
_READ = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def private(path: Path, *, what: str, marked: bool = False) -> Path:
    """A folder that is this user's alone, made where there is none; returns its path.

    Args:
        path: the folder; a link is not followed. What is missing of its parents is made as well, as private.
        what: what the folder is, for the error's sentence, which repeats no path.
        marked: with Mayfly's mark, which is set only where the folder is new or empty.

    Raises:
        FolderRefused: it is somebody else's, a link, open to others, or holds what is not Mayfly's.
        OSError: it cannot be made or read.
    """
    _make(path)
    folder = _opened(path, what)
    try:
        status = os.fstat(folder)
        if status.st_uid != os.geteuid():
            raise FolderRefused(f"{what} belongs to another user: name one of your own")
        # In this order: whoever makes the folder beside us marks it before anything else is in it.
        with os.scandir(folder) as entries:
            empty = next(entries, None) is None
        known = _has_mark(folder)
        if marked and not (empty or known):
            raise FolderRefused(f"{what} holds files that are not Mayfly's: name an empty folder, or a new one")
        if stat.S_IMODE(status.st_mode) & 0o077:
            # Anybody may have put it there, or whoever opened it had a reason.
            if status.st_mode & stat.S_IWOTH or not (empty or known):
                raise FolderRefused(f"{what} is open to other users: make it private (chmod 700), or name a new one")
            os.fchmod(folder, 0o700)
        if marked and not known:
            with (
                contextlib.suppress(FileExistsError),
                os.fdopen(os.open(MARK, _NEW, 0o600, dir_fd=folder), "wb") as mark,
            ):
                mark.write(_TEXT)
    finally:
        os.close(folder)
    return path


def is_marked(path: Path) -> bool:
    """Whether this is a folder that Mayfly made for itself, as this user."""
    try:
        folder = os.open(path, _READ)
    except OSError:
        return False
    try:
        return os.fstat(folder).st_uid == os.geteuid() and _has_mark(folder)
    finally:
        os.close(folder)


def remove(path: Path) -> bool:
    """Remove what lies in a marked folder, and nothing elsewhere. Whether it is gone."""
    if is_marked(path.parent):
        shutil.rmtree(path, ignore_errors=True)
    return not os.path.lexists(path)


def _make(path: Path) -> None:
    # What is there already is looked at afterwards.
    with contextlib.suppress(FileExistsError):
        try:
            path.mkdir(mode=0o700)
        except FileNotFoundError:
            _make(path.parent)
            path.mkdir(mode=0o700)


def _opened(path: Path, what: str) -> int:
    try:
        return os.open(path, _READ)
    except PermissionError:
        raise FolderRefused(f"{what} belongs to another user: name one of your own") from None
    except OSError:
        if path.is_symlink() or (path.exists() and not path.is_dir()):
            raise FolderRefused(f"{what} is a link, or no folder: name the folder itself") from None
        raise


def _has_mark(folder: int) -> bool:
    try:
        status = os.stat(MARK, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid()
