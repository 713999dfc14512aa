"""Tells that something was written to SQLite, so that nobody asks its tables many times a second.

What this process writes is told at once. What another one writes is seen in the file's `data_version`, which costs no
query and takes no lock.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import weakref
from typing import Any

import sqlalchemy as sa

from mayfly.db.errors import DatabaseMissing

_waiting: weakref.WeakSet[threading.Event] = weakref.WeakSet()
_lock = threading.Lock()
_WROTE = "wrote"


def subscribe() -> threading.Event:
    """An event that is set whenever this process has written, for as long as somebody holds it."""
    event = threading.Event()
    with _lock:
        _waiting.add(event)
    return event


def listen(engine: sa.Engine) -> None:
    """Tell of what is written by this engine."""
    sa.event.listen(engine, "commit", _note)
    # The commit itself comes after its event; once the connection is back it is done.
    sa.event.listen(engine, "checkin", _tell)


def _note(connection: sa.Connection) -> None:
    connection.info[_WROTE] = True


def _tell(_connection: Any, record: sa.pool.ConnectionPoolEntry) -> None:
    if record.info.pop(_WROTE, False):
        with _lock:
            for event in _waiting:
                event.set()


class Changes:
    """What one thread has not yet seen of a SQLite database."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._written = subscribe()
        self._connection: sa.PoolProxiedConnection | None = None
        self._version: int | None = None

    def wait(self, seconds: float) -> bool:
        """Wait until this process writes, but so long at most; whether anybody has written since the last call.

        True the first time. Raises DatabaseMissing; the next call opens the file anew.
        """
        self._written.wait(seconds)
        self._written.clear()
        try:
            # Not by a Connection, whose transaction would see the file as it was.
            self._connection = self._connection or self._engine.raw_connection()
            cursor = self._connection.cursor()
            (version,) = cursor.execute("PRAGMA data_version").fetchone()
            cursor.close()
        except sqlite3.Error:
            self.close()
            raise DatabaseMissing(
                "the database in MAYFLY_HOME cannot be read; check the folder and its rights"
            ) from None
        changed: bool = version != self._version
        self._version = version
        return changed

    def wake(self) -> None:
        """End the waiting of another thread."""
        self._written.set()

    def close(self) -> None:
        """Give the connection back; the next `wait` takes another, and finds everything new."""
        connection, self._connection, self._version = self._connection, None, None
        if connection is not None:
            with contextlib.suppress(sa.exc.SQLAlchemyError):
                connection.close()
