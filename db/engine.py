"""Opens the database: PostgreSQL as it is, SQLite with a write-ahead log and honest transactions.

Whatever keeps the database from answering becomes one error, DatabaseMissing, wherever it happens.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

import folders
from db import clock
from db.errors import DatabaseMissing

BUSY_TIMEOUT_MS = 30_000
CONNECT_SECONDS = 5
DEAD_PEER_MS = 15_000  # what was sent and is not confirmed for so long was sent to nobody
IDLE_SECONDS = 5.0  # a connection that was used a moment ago needs no ping, which would double small transactions


def connect(url: str) -> sa.Engine:
    """An engine for this URL; no connection is made yet. Raises FolderRefused, of SQLite's folder."""
    parsed = sa.make_url(url)
    if parsed.get_backend_name() != "sqlite":
        options = {
            "connect_timeout": CONNECT_SECONDS,
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "tcp_user_timeout": DEAD_PEER_MS,
        }
        # What a statement carries may be personal: no error repeats it.
        engine = sa.create_engine(parsed, pool_size=4, max_overflow=8, hide_parameters=True, connect_args=options)
        sa.event.listen(engine, "handle_error", _translate)
        sa.event.listen(engine, "checkin", _note_use)
        sa.event.listen(engine, "checkout", _ping_when_idle)
        return engine
    if parsed.database:
        folders.private(Path(parsed.database).absolute().parent, what="the folder of MAYFLY_HOME")
    engine = sa.create_engine(parsed, hide_parameters=True, connect_args={"check_same_thread": False})
    sa.event.listen(engine, "handle_error", _translate)
    sa.event.listen(engine, "connect", _configure_sqlite)
    sa.event.listen(engine, "begin", _begin_immediate)
    return engine


def reading(engine: sa.Engine) -> sa.Connection:
    """A connection for single queries, which waits for no writer and pays for no transaction."""
    if engine.dialect.name == "sqlite":
        return engine.execution_options(reads_only=True).connect()
    return engine.execution_options(isolation_level="AUTOCOMMIT").connect()


def writing(engine: sa.Engine) -> contextlib.AbstractContextManager[sa.Connection]:
    """A connection for a single statement that writes; a server needs no transaction around it."""
    if engine.dialect.name == "sqlite":
        return engine.begin()
    return engine.execution_options(isolation_level="AUTOCOMMIT").connect()


def insert_or_skip(engine: sa.Engine, table: sa.Table) -> postgresql.Insert | sqlite.Insert:
    """An insert that does nothing where a unique row exists; an error would leave the values in the server's log."""
    if engine.dialect.name == "sqlite":
        return sqlite.insert(table).on_conflict_do_nothing()
    return postgresql.insert(table).on_conflict_do_nothing()


def _translate(context: sa.engine.ExceptionContext) -> None:
    """Raise DatabaseMissing instead of what says that the database does not answer, or takes no writing."""
    error = context.sqlalchemy_exception
    # A read-only database, as during a failover, is an internal error to the driver.
    kinds: tuple[type[sa.exc.DBAPIError], ...] = (sa.exc.OperationalError, sa.exc.InterfaceError, sa.exc.InternalError)
    if isinstance(context.original_exception, sqlite3.OperationalError):
        # Of SQLite's, one kind is a statement that is wrong.
        kinds = kinds if context.original_exception.sqlite_errorcode != sqlite3.SQLITE_ERROR else ()
    if context.is_disconnect or isinstance(error, kinds):
        raise DatabaseMissing(_reason(context.original_exception)) from None


def _reason(error: BaseException) -> str:
    """A sentence; the driver's own may hold an address or a value."""
    said = str(error).lower()
    if isinstance(error, sqlite3.Error):
        if "disk is full" in said:
            return "the disk of MAYFLY_HOME is full; free some space"
        if "readonly" in said:
            return "the database in MAYFLY_HOME cannot be written; check its owner and rights"
        return "the database in MAYFLY_HOME cannot be opened or is busy; check the folder, its owner and rights"
    if "read-only" in said:
        return "the database takes no writing now; check its role"
    if "no space" in said or "disk full" in said:
        return "the database's disk is full; free some space"
    if "password authentication" in said or ("role" in said and "does not exist" in said):
        return "the database refuses this name or password; check MAYFLY_DATABASE_URL"
    if "database" in said and "does not exist" in said:
        return "the server has no such database; check MAYFLY_DATABASE_URL"
    return "the database does not answer; check MAYFLY_DATABASE_URL and that it runs"


def _note_use(_connection: Any, record: sa.pool.ConnectionPoolEntry) -> None:
    record.info["used"] = time.monotonic()


def _ping_when_idle(connection: Any, record: sa.pool.ConnectionPoolEntry, _proxy: Any) -> None:
    if time.monotonic() - record.info.get("used", time.monotonic()) < IDLE_SECONDS:
        return
    try:
        connection.execute("select 1")
        connection.rollback()
    except Exception:  # noqa: BLE001 - whatever the driver says, the connection is no good
        # SQLAlchemy takes another connection.
        raise sa.exc.DisconnectionError from None


def _configure_sqlite(connection: sqlite3.Connection, _record: Any) -> None:
    # The driver's own transactions begin too late for compare-and-set; _begin_immediate begins them.
    connection.isolation_level = None
    connection.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
    connection.create_function(clock.SQLITE_FUNCTION, 1, clock.of_sqlite)
    _use_write_ahead_log(connection)
    for pragma in (
        "synchronous=NORMAL",
        "foreign_keys=ON",
        "secure_delete=ON",  # blanked personal fields leave no trace in the file
    ):
        connection.execute(f"PRAGMA {pragma}")


def _use_write_ahead_log(connection: sqlite3.Connection) -> None:
    """Of processes that open a new file at once, SQLite lets one change it and refuses the others without waiting."""
    end = time.monotonic() + BUSY_TIMEOUT_MS / 1000
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED) or time.monotonic() > end:
                raise
            time.sleep(0.01)


def _begin_immediate(connection: sa.Connection) -> None:
    # A deferred transaction that turns into a write fails at once when another has written meanwhile.
    connection.exec_driver_sql("BEGIN" if connection.get_execution_options().get("reads_only") else "BEGIN IMMEDIATE")
