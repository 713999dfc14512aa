"""Brings a database to the newest revision, by whoever comes first; everybody else waits for them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import filelock
import sqlalchemy as sa

from mayfly.db import engine as engines
from mayfly.db import patience
from mayfly.db.errors import DatabaseTooNew

HEAD = "0006"
"""The newest revision; known without alembic, so that a producer's start stays quick. A test compares them."""

MIGRATIONS = Path(__file__).parent / "migrations"
_LOCK = 7_102_025  # any number that no other program takes on this database


def ensure(engine: sa.Engine) -> None:
    """Upgrade the database unless it is at HEAD already. Raises DatabaseMissing, DatabaseTooNew."""
    if revision(engine) == HEAD:
        return
    with patience.unhurried(), _exclusive(engine), engine.begin() as connection:
        upgrade(connection)


def revision(engine: sa.Engine) -> str | None:
    """The database's revision, None for an empty database."""
    with engines.reading(engine) as connection:
        if not sa.inspect(connection).has_table("alembic_version"):
            return None
        return connection.execute(sa.text("select version_num from alembic_version")).scalar()


def upgrade(connection: sa.Connection, target: str = "head") -> None:
    """Run the migrations up to `target` on this connection. Raises DatabaseTooNew."""
    import alembic.command
    import alembic.config
    import alembic.util

    config = alembic.config.Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    if connection.dialect.name == "postgresql":
        from mayfly.db import postgres

        postgres.lift_limits(connection)
        connection.execute(sa.text("select pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    try:
        alembic.command.upgrade(config, target)
    except alembic.util.CommandError:
        # It finds no way from a revision that it does not know.
        raise DatabaseTooNew from None


@contextlib.contextmanager
def _exclusive(engine: sa.Engine) -> Iterator[None]:
    if engine.dialect.name != "sqlite" or not engine.url.database:
        yield
        return
    with filelock.FileLock(f"{engine.url.database}.lock"):
        yield
