"""Indexes for lists of jobs by pages: of all, of those without a result, of an owner."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

# Name, columns, and which rows are in it.
INDEXES: tuple[tuple[str, list[str], str | None], ...] = (
    ("ix_jobs_created_at_id", ["created_at", "id"], None),
    ("ix_jobs_state_created_at_id", ["state", "created_at", "id"], "state IN ('failed', 'cancelled')"),
    ("ix_jobs_owner_created_at_id", ["owner", "created_at", "id"], "owner IS NOT NULL"),
)


def upgrade() -> None:
    """Bring the tables to this revision."""
    op.drop_index("ix_jobs_created_at", table_name="jobs")
    for name, columns, condition in INDEXES:
        where = None if condition is None else sa.text(condition)
        op.create_index(name, "jobs", columns, unique=False, sqlite_where=where, postgresql_where=where)


def downgrade() -> None:
    """Undo this revision."""
    for name, _, _ in reversed(INDEXES):
        op.drop_index(name, table_name="jobs")
    op.create_index("ix_jobs_created_at", "jobs", ["created_at"], unique=False)
