"""Segments of videos, what a producer chose for the result, and since when a job is at its stage."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the tables to this revision."""
    op.add_column("jobs", sa.Column("started_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("jobs", sa.Column("output", sa.JSON(none_as_null=True), nullable=True))
    op.add_column("jobs", sa.Column("video", sa.JSON(none_as_null=True), nullable=True))
    op.create_table(
        "segments",
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("retry_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("holder", sa.String(length=255), nullable=True),
        sa.Column("units_done", sa.Integer(), nullable=False),
        sa.Column("outcome", sa.String(length=64), nullable=True),
        sa.Column("window", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("piece_id", sa.Uuid(), nullable=False),
        sa.Column("part_id", sa.Uuid(), nullable=True),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_segments_job_id")),
        sa.ForeignKeyConstraint(["piece_id"], ["assets.id"], name=op.f("fk_segments_piece_id")),
        sa.ForeignKeyConstraint(["part_id"], ["assets.id"], name=op.f("fk_segments_part_id")),
        sa.PrimaryKeyConstraint("job_id", "number", name=op.f("pk_segments")),
    )
    with op.batch_alter_table("segments", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_segments_state_lease_until"), ["state", "lease_until"], unique=False)


def downgrade() -> None:
    """Undo this revision."""
    op.drop_table("segments")
    op.drop_column("jobs", "video")
    op.drop_column("jobs", "output")
    op.drop_column("jobs", "started_at")
