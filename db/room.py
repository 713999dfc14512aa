"""Room on a disk that is full: whether any is left, and a reserve that is given up so that destruction can begin.

A destruction frees space, but takes some first: for the receipt, and for SQLite to open at all.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import sqlalchemy as sa

from mayfly.db.errors import DatabaseFull

RESERVE_BYTES = 8 * 1024**2
"""Twice what SQLite's log grows to by itself."""
LEAST_BYTES = 64 * 1024
FULL_TEXT = "the disk of MAYFLY_HOME is full: free some space, or `mayfly purge run` to destroy what is due"
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})

T = TypeVar("T")


def is_left(folder: Path) -> bool:
    """Whether a small file can be written there, by whatever limits it; True where that says nothing."""
    try:
        with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
            return file.write(bytes(LEAST_BYTES)) == LEAST_BYTES
    except OSError as error:
        return error.errno not in FULL


def keep_reserve(engine: sa.Engine) -> None:
    """Set a reserve aside beside the embedded database, unless there is one or the disk has little room."""
    path = _reserve(engine)
    if path is None or path.exists():
        return
    with contextlib.suppress(OSError):
        if shutil.disk_usage(path.parent).free < 2 * RESERVE_BYTES:
            return
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, RESERVE_BYTES)
        except OSError:
            path.unlink(missing_ok=True)
        finally:
            os.close(descriptor)


def give_up_reserve(engine: sa.Engine) -> bool:
    """Give the reserve back to the disk. False when there is none."""
    path = _reserve(engine)
    if path is None:
        return False
    try:
        path.unlink()
    except OSError:
        return False
    return True


def with_reserve(engine: sa.Engine, action: Callable[[], T]) -> T:
    """Do what a destruction takes; where the disk is full, once more without the reserve. Raises DatabaseFull."""
    try:
        return action()
    except DatabaseFull:
        if not give_up_reserve(engine):
            raise
        return action()


def _reserve(engine: sa.Engine) -> Path | None:
    database = engine.url.database
    return Path(database).with_name("reserve") if engine.dialect.name == "sqlite" and database else None
