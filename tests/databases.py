"""Databases of a test's own on the PostgreSQL server."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator

import sqlalchemy as sa


@contextlib.contextmanager
def created(address: str, name: str | None = None, *, durable: bool = False) -> Iterator[str]:
    """An empty database, by its address; it is dropped in the end, whoever uses it.

    Args:
        address: of any database of the server.
        name: of the new one; without it a new name.
        durable: whether a commit waits for the disk, as it must where servers are killed.
    """
    name = name or f"test-{uuid.uuid4().hex[:12]}"
    server = sa.create_engine(address, isolation_level="AUTOCOMMIT")
    try:
        with server.connect() as connection:
            connection.execute(sa.text(f'create database "{name}"'))
            if not durable:
                connection.execute(sa.text(f'alter database "{name}" set synchronous_commit = off'))
        yield server.url.set(database=name).render_as_string(hide_password=False)
    finally:
        with server.connect() as connection:
            connection.execute(sa.text(f'drop database if exists "{name}" with (force)'))
        server.dispose()
