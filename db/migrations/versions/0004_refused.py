"""When an asset that could not be destroyed is tried again, and what a sweep had to mend."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the tables to this revision."""
    op.add_column("assets", sa.Column("tries", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("assets", sa.Column("next_try_at", sa.DateTime(timezone=True), nullable=True))
    op.create_table(
        "findings",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_findings")),
    )


def downgrade() -> None:
    """Undo this revision."""
    op.drop_table("findings")
    op.drop_column("assets", "next_try_at")
    op.drop_column("assets", "tries")
