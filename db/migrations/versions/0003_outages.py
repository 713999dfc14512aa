"""What outlives stops and outages: how often a unit came back, since when it waits, and who still writes an asset."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the tables to this revision."""
    for table in ("jobs", "segments"):
        op.add_column(table, sa.Column("returns", sa.Integer(), nullable=False, server_default="0"))
        op.add_column(table, sa.Column("dead_letters", sa.Integer(), nullable=False, server_default="0"))
        op.add_column(table, sa.Column("queued_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("jobs", sa.Column("fingerprint", sa.String(length=64), nullable=True))
    op.add_column("assets", sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True))
    with op.batch_alter_table("jobs", schema=None) as batch_op:
        batch_op.drop_constraint(op.f("uq_jobs_idempotency_key"), type_="unique")
    op.create_index("uq_jobs_owner_idempotency_key", "jobs", ["owner", "idempotency_key"], unique=True)
    without_owner = sa.text("owner IS NULL")
    op.create_index(
        "uq_jobs_key_without_owner",
        "jobs",
        ["idempotency_key"],
        unique=True,
        sqlite_where=without_owner,
        postgresql_where=without_owner,
    )


def downgrade() -> None:
    """Undo this revision."""
    op.drop_index("uq_jobs_key_without_owner", table_name="jobs")
    op.drop_index("uq_jobs_owner_idempotency_key", table_name="jobs")
    with op.batch_alter_table("jobs", schema=None) as batch_op:
        batch_op.create_unique_constraint(op.f("uq_jobs_idempotency_key"), ["idempotency_key"])
    op.drop_column("assets", "lease_until")
    op.drop_column("jobs", "fingerprint")
    for table in ("segments", "jobs"):
        op.drop_column(table, "queued_at")
        op.drop_column(table, "dead_letters")
        op.drop_column(table, "returns")
