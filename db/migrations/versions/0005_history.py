"""Rows have a term, what is left of them is counted, and each hot query has an index of the rows that it can want."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

UNFINISHED = "state IN ('uploading', 'queued', 'running', 'waiting')"
QUEUED = "state = 'queued'"
EXISTS = "state <> 'destroyed'"

# Name, table, columns, and which rows are in it.
INDEXES: tuple[tuple[str, str, list[str], str | None], ...] = (
    ("ix_jobs_created_at", "jobs", ["created_at"], None),
    ("ix_jobs_owner_input_bytes_created_at", "jobs", ["owner", "input_bytes", "created_at"], UNFINISHED),
    ("ix_jobs_sent_at_created_at", "jobs", ["sent_at", "created_at"], QUEUED),
    ("ix_jobs_lease_until", "jobs", ["lease_until"], "lease_until IS NOT NULL"),
    ("ix_jobs_retry_at", "jobs", ["retry_at"], "retry_at IS NOT NULL"),
    ("ix_jobs_emptied_at", "jobs", ["emptied_at"], "emptied_at IS NOT NULL"),
    ("ix_assets_due_at_retention", "assets", ["due_at", "retention"], EXISTS),
    ("ix_assets_deadline_at_retention", "assets", ["deadline_at", "retention"], EXISTS),
    ("ix_segments_sent_at", "segments", ["sent_at"], QUEUED),
    ("ix_segments_lease_until", "segments", ["lease_until"], "lease_until IS NOT NULL"),
    ("ix_segments_retry_at", "segments", ["retry_at"], "retry_at IS NOT NULL"),
    ("ix_segments_piece_id", "segments", ["piece_id"], None),
    ("ix_segments_part_id", "segments", ["part_id"], "part_id IS NOT NULL"),
)
REPLACED = (
    ("ix_jobs_owner", "jobs", ["owner"]),
    ("ix_jobs_state_lease_until", "jobs", ["state", "lease_until"]),
    ("ix_assets_state_due_at", "assets", ["state", "due_at"]),
    ("ix_segments_state_lease_until", "segments", ["state", "lease_until"]),
)

# A job that was emptied before has its term from its last receipt on.
EMPTIED = """
UPDATE jobs SET emptied_at = coalesce(
    (SELECT max(destroyed_at) FROM receipts WHERE receipts.job_id = jobs.id), finished_at, created_at
)
WHERE state IN ('done', 'failed', 'cancelled')
AND NOT EXISTS (SELECT 1 FROM assets WHERE assets.job_id = jobs.id AND assets.state <> 'destroyed')
"""


def upgrade() -> None:
    """Bring the tables to this revision."""
    op.add_column("jobs", sa.Column("emptied_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("jobs", sa.Column("input_bytes", sa.BigInteger(), nullable=False, server_default="0"))
    op.execute(EMPTIED)
    for name, table, _ in REPLACED:
        op.drop_index(name, table_name=table)
    for name, table, columns, condition in INDEXES:
        where = None if condition is None else sa.text(condition)
        op.create_index(name, table, columns, unique=False, sqlite_where=where, postgresql_where=where)
    op.create_table(
        "daily_counts",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("outcome", sa.String(length=16), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("day", "kind", "name", "outcome", name=op.f("pk_daily_counts")),
    )


def downgrade() -> None:
    """Undo this revision."""
    op.drop_table("daily_counts")
    for name, table, _, _ in reversed(INDEXES):
        op.drop_index(name, table_name=table)
    for name, table, columns in REPLACED:
        op.create_index(name, table, columns, unique=False)
    op.drop_column("jobs", "input_bytes")
    op.drop_column("jobs", "emptied_at")
