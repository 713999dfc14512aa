"""Opens the database: PostgreSQL as it is, SQLite with a write-ahead log and honest transactions.

Whatever keeps the database from answering becomes one error, DatabaseMissing, wherever it happens.
"""

from __future__ import annotations

import contextlib
import random
import sqlite3
import time
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from mayfly import folders
from mayfly.db import changes, clock, room
from mayfly.db.errors import DatabaseFull, DatabaseMissing

BUSY_TIMEOUT_MS = 30_000
EMPTYING_MS = 2_000
ALONE_MS = 50
FULL_SECONDS = 10.0  # in which an error that a full disk may cause is taken for one, even if there is room by now
CONNECTIONS = 12  # of a process whose threads are its user's: uploads, each with its sign of life, and whoever waits
UNDEFINED_TABLE = "42P01"  # PostgreSQL's
IDLE_SECONDS = 5.0  # a connection that was used a moment ago needs no ping, which would double small transactions


def connect(url: str, *, part: str = "client", connections: int = CONNECTIONS) -> sa.Engine:
    """An engine for this URL; no connection is made yet. Raises FolderRefused, of SQLite's folder.

    Args:
        url: of PostgreSQL or SQLite.
        part: what of Mayfly this is, for the server's list of connections.
        connections: at most so many at once, one for each thread that may ask; half of them are kept.
    """
    parsed = sa.make_url(url)
    if parsed.get_backend_name() != "sqlite":
        return _connect_server(parsed, part, connections)
    if parsed.database:
        folders.private(Path(parsed.database).absolute().parent, what="the folder of MAYFLY_HOME")
    engine = sa.create_engine(parsed, hide_parameters=True, connect_args={"check_same_thread": False})
    sa.event.listen(engine, "handle_error", _translate)
    sa.event.listen(engine, "connect", _configure_sqlite)
    sa.event.listen(engine, "begin", _begin_immediate)
    changes.listen(engine)
    return engine


def _connect_server(url: sa.URL, part: str, connections: int) -> sa.Engine:
    from mayfly.db import postgres

    kept = max(1, connections // 2)
    engine = sa.create_engine(
        url,
        poolclass=postgres.Pool,
        pool_size=kept,
        max_overflow=connections - kept,
        hide_parameters=True,  # what a statement carries may be personal: no error repeats it
        connect_args=postgres.OPTIONS | {"fallback_application_name": f"mayfly-{part}"},
    )
    sa.event.listen(engine, "do_connect", postgres.open_connection)
    sa.event.listen(engine, "handle_error", _translate)
    sa.event.listen(engine, "checkin", _note_use)
    sa.event.listen(engine, "checkout", _ping_when_idle)
    return engine


def reading(engine: sa.Engine) -> sa.Connection:
    """A connection for single queries, which waits for no writer and pays for no transaction."""
    if engine.dialect.name == "sqlite":
        end = time.monotonic() + BUSY_TIMEOUT_MS / 1000
        while True:
            try:
                return engine.execution_options(reads_only=True).connect()
            except DatabaseFull:
                # Of several that want to be alone, none may be waited for by the others; there may be room now as well.
                try:
                    return _alone(engine.url).execution_options(reads_only=True).connect()
                except DatabaseFull:
                    raise
                except DatabaseMissing:
                    if time.monotonic() > end:
                        raise
                time.sleep(random.uniform(0, ALONE_MS / 1000))  # noqa: S311 - nobody is to be kept from guessing it
    return engine.execution_options(isolation_level="AUTOCOMMIT").connect()


def writing(engine: sa.Engine) -> contextlib.AbstractContextManager[sa.Connection]:
    """A connection for a single statement that writes; a server needs no transaction around it."""
    if engine.dialect.name == "sqlite":
        return engine.begin()
    return engine.execution_options(isolation_level="AUTOCOMMIT").connect()


def empty_log(engine: sa.Engine) -> bool:
    """Move SQLite's write-ahead log into the database and empty it: what was blanked stays readable in it until then.

    Returns:
        False when somebody else reads or writes for longer than EMPTYING_MS; the next call does it. A server's log is
        its own matter.
    """
    if engine.dialect.name != "sqlite":
        return True
    try:
        # Not by SQLAlchemy's connection, which would begin a transaction.
        with contextlib.closing(engine.raw_connection()) as connection:
            cursor = connection.cursor()
            cursor.execute(f"PRAGMA busy_timeout={EMPTYING_MS}")
            busy = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
            cursor.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
    except sqlite3.OperationalError:
        return False
    return not busy


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
    if _is_no_database_of_ours(context.original_exception):
        kinds = (sa.exc.DBAPIError,)
    reason = _reason(context.original_exception)
    if not isinstance(context.original_exception, sqlite3.Error):
        from mayfly.db import postgres

        postgres.strip(context.original_exception)
    if context.is_disconnect or isinstance(error, kinds):
        if full := _full(context.original_exception, context.engine):
            raise DatabaseFull(full) from None
        raise DatabaseMissing(reason) from None
    if isinstance(error, sa.exc.DBAPIError):
        # Its own text was made of the driver's, before that was stripped.
        raise type(error)(error.statement, None, context.original_exception, hide_parameters=True)


def _is_no_database_of_ours(error: BaseException) -> bool:
    """Whether there is something else in the database's place: no tables, or no database's file."""
    if isinstance(error, sqlite3.Error):
        damaged = getattr(error, "sqlite_errorcode", None) in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT)
        return damaged or str(error).startswith("no such table")
    return getattr(error, "sqlstate", None) == UNDEFINED_TABLE


_full_at = float("-inf")  # when a disk was last seen to be full, by the monotonic clock


def _full(error: BaseException, engine: sa.Engine | None) -> str | None:
    """A sentence, if the database's disk is full; a full disk has many errors, with SQLite."""
    global _full_at
    if isinstance(error, sqlite3.Error):
        folder = Path(engine.url.database).parent if engine is not None and engine.url.database else None
        kind = error.sqlite_errorcode & 0xFF
        unclear = kind in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN)
        if kind == sqlite3.SQLITE_FULL or (unclear and folder is not None and not room.is_left(folder)):
            _full_at = time.monotonic()
            return room.FULL_TEXT
        # Somebody may have made room between the error and the look at the disk.
        return room.FULL_TEXT if unclear and time.monotonic() - _full_at < FULL_SECONDS else None
    said = str(error).lower()
    return "the database's disk is full; free some space" if "no space" in said or "disk full" in said else None


def _reason(error: BaseException) -> str:
    """A sentence; the driver's own may hold an address or a value."""
    said = str(error).lower()
    if _is_no_database_of_ours(error):
        return "the database's tables are gone, or it is damaged: put it back, and start what uses it again"
    if isinstance(error, sqlite3.Error):
        if "readonly" in said:
            return "the database in MAYFLY_HOME cannot be written; check its owner and rights"
        return "the database in MAYFLY_HOME cannot be opened or is busy; check the folder, its owner and rights"
    if "statement timeout" in said:
        return "the database takes too long for an answer; look at its load and its locks"
    if "read-only" in said:
        return "the database takes no writing now; check its role"
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
    from mayfly.db import postgres

    try:
        postgres.ping(connection)
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


def _alone(url: sa.URL) -> sa.Engine:
    """An engine whose connections write no file, not even what processes share to read together: each is the only one.

    For a full disk, on which nobody works either.
    """
    engine = sa.create_engine(url, hide_parameters=True, poolclass=sa.pool.NullPool)
    sa.event.listen(engine, "handle_error", _translate)
    sa.event.listen(engine, "connect", _configure_alone)
    sa.event.listen(engine, "begin", _begin_immediate)
    return engine


def _configure_alone(connection: sqlite3.Connection, _record: Any) -> None:
    connection.isolation_level = None
    connection.execute(f"PRAGMA busy_timeout={ALONE_MS}")
    connection.create_function(clock.SQLITE_FUNCTION, 1, clock.of_sqlite)
    # Before the file is looked at: else the index of the log is a file as well.
    connection.execute("PRAGMA locking_mode=EXCLUSIVE")
    # From now on it is alone, or knows that it cannot be.
    connection.execute("SELECT count(*) FROM sqlite_master").fetchall()


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
