"""Alembic's entry: runs on mayfly.db.migrate's connection, or on MAYFLY_DATABASE_URL from its own shell."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context

from mayfly.db import engine as engines
from mayfly.db import tables


def run(connection: sa.Connection) -> None:
    """Run the migrations that were asked for."""
    context.configure(connection=connection, target_metadata=tables.Base.metadata, render_as_batch=True)
    with context.begin_transaction():
        context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    run(given)
else:
    from mayfly.settings import Settings

    with engines.connect(Settings().resolved_database_url, part="migration").begin() as opened:
        run(opened)
