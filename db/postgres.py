"""Connections to PostgreSQL that never wait without an end, whatever the server or the line does.

The server ends a statement, and a transaction that stands still, by itself. A server that takes connections and never
answers, being frozen, ends nothing: the client stops waiting by its own clock.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import Any, TypeVar

import psycopg
import sqlalchemy as sa

from mayfly.db import patience
from mayfly.db.errors import DatabaseMissing

T = TypeVar("T")

CONNECT_SECONDS = 5.0
PING_SECONDS = 5.0  # for a connection that has been idle
STATEMENT_SECONDS = 30.0  # then the server ends it
IDLE_TRANSACTION_SECONDS = 60.0  # whoever holds locks for so long without a word is frozen
ANSWER_SECONDS = STATEMENT_SECONDS + 5.0
DEAD_PEER_MS = 15_000  # what was sent and is not confirmed for so long was sent to nobody

OPTIONS = {
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": DEAD_PEER_MS,
}
# Not among a connection's options, which poolers refuse and an address may hold itself.
_LIMIT = """SELECT set_config('statement_timeout', %s, false),
    set_config('idle_in_transaction_session_timeout', %s, false)"""


class Connection(psycopg.Connection[Any]):
    """One that waits for each answer with a bound, and is closed when it has waited too long."""

    @classmethod
    def _connect_gen(cls, *args: Any, **options: Any) -> Generator[Any, Any, Any]:
        return _bounded(super()._connect_gen(*args, **options), patience.end(CONNECT_SECONDS))

    def wait(self, gen: Generator[Any, Any, T], *args: Any, **options: Any) -> T:
        """As psycopg's. Raises OperationalError when no answer comes."""
        try:
            return super().wait(_bounded(gen, patience.end(ANSWER_SECONDS)), *args, **options)
        except NoAnswer:
            # What it would say later belongs to a question that nobody asks any more.
            self.pgconn.finish()
            raise


class NoAnswer(psycopg.OperationalError):
    """The server took too long for a word."""


class Pool(sa.QueuePool):
    """One whose exhaustion is an error of the database, which is what does not give the connections back."""

    def _do_get(self) -> sa.pool.ConnectionPoolEntry:
        try:
            return super()._do_get()
        except sa.exc.TimeoutError:
            raise DatabaseMissing("all connections of this process wait for the database; look at its load") from None


def open_connection(_dialect: Any, _record: Any, arguments: list[Any], options: dict[str, Any]) -> Connection:
    """What SQLAlchemy is given when it wants a connection."""
    connection = Connection.connect(*arguments, **options)
    connection.execute(_LIMIT, [f"{STATEMENT_SECONDS:.0f}s", f"{IDLE_TRANSACTION_SECONDS:.0f}s"])
    connection.commit()
    return connection


def lift_limits(connection: sa.Connection) -> None:
    """Let the statements of this transaction take as long as they need."""
    for name in ("statement_timeout", "idle_in_transaction_session_timeout"):
        connection.execute(sa.text(f"SET LOCAL {name} = 0"))


def ping(connection: Any) -> None:
    """Raises psycopg.Error when there is no answer soon."""
    with patience.until(time.monotonic() + PING_SECONDS):
        connection.execute("select 1")
        connection.rollback()


def strip(error: BaseException) -> None:
    """Take the server's sentences from an error of the driver, for they repeat values of a row. In place, since
    whatever is raised instead names it as its cause.
    """
    if isinstance(error, psycopg.Error):
        named = (error.diag.table_name, error.diag.column_name, error.diag.constraint_name)
        error.args = (", ".join([f"SQLSTATE {error.sqlstate}", *(name for name in named if name)]),)


def _bounded(gen: Generator[Any, Any, T], end: float) -> Generator[Any, Any, T]:
    """The same steps, until a moment of time.monotonic() at which nothing has come."""
    try:
        step = next(gen)
        while True:
            ready = yield step
            if not ready and time.monotonic() >= end:
                gen.close()
                raise NoAnswer("the server does not answer")
            step = gen.send(ready)
    except StopIteration as done:
        result: T = done.value
        return result
