"""The one clock, the database's: what its statements call now, whatever the machines that send them believe.

Leases, deadlines and retries are written and compared in the database alone, so a machine whose clock is off neither
steals a job nor destroys an upload early. With SQLite, database and machine are one.
"""

from __future__ import annotations

import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from mayfly.db.moment import Moment

SQLITE_FUNCTION = "mayfly_moment"  # mayfly.db.engine gives it to each connection


class after(FunctionElement[datetime.datetime]):  # noqa: N801 - an SQL function
    """The moment so many seconds from the statement's beginning, as an SQL expression; seconds or a bound parameter."""

    type = Moment()
    inherit_cache = True
    name = "after"

    def __init__(self, seconds: float | sa.ColumnElement[Any]) -> None:
        given = seconds if isinstance(seconds, sa.ColumnElement) else sa.literal(float(seconds), sa.Float)
        super().__init__(given)


def now() -> after:
    """The moment at which the statement began, as an SQL expression."""
    return after(0)


class seconds_between(FunctionElement[float]):  # noqa: N801 - an SQL function
    """The seconds from one moment to a later one, as an SQL expression."""

    type = sa.Float()
    inherit_cache = True
    name = "seconds_between"


def of_sqlite(seconds: float) -> str:
    """What SQLite calls as SQLITE_FUNCTION: a moment in the form in which it keeps them."""
    moment = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=seconds)
    return moment.strftime("%Y-%m-%d %H:%M:%S.%f")


# PostgreSQL's own is the same throughout a statement, so an index can serve the comparison.
@compiles(after, "postgresql")
def _postgresql_after(element: after, compiler: Any, **options: Any) -> str:
    seconds = compiler.process(element.clauses, **options)
    return f"(statement_timestamp() + make_interval(secs => CAST({seconds} AS double precision)))"


@compiles(after, "sqlite")
def _sqlite_after(element: after, compiler: Any, **options: Any) -> str:
    return f"{SQLITE_FUNCTION}({compiler.process(element.clauses, **options)})"


@compiles(seconds_between, "postgresql")
def _postgresql_between(element: seconds_between, compiler: Any, **options: Any) -> str:
    earlier, later = (compiler.process(clause, **options) for clause in element.clauses)
    return f"CAST(extract(epoch FROM ({later}) - ({earlier})) AS double precision)"


@compiles(seconds_between, "sqlite")
def _sqlite_between(element: seconds_between, compiler: Any, **options: Any) -> str:
    earlier, later = (compiler.process(clause, **options) for clause in element.clauses)
    return f"((julianday({later}) - julianday({earlier})) * 86400.0)"
