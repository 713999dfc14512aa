"""When an asset that could not be destroyed is tried again, what a sweep had to mend, and no titles of chapters."""

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
    _forget_titles()


def downgrade() -> None:
    """Undo this revision."""
    op.drop_table("findings")
    op.drop_column("assets", "next_try_at")
    op.drop_column("assets", "tries")


def _forget_titles() -> None:
    """Blank the titles of chapters among the facts of videos; how many there are stays."""
    jobs = sa.table("jobs", sa.column("id", sa.Uuid()), sa.column("video", sa.JSON(none_as_null=True)))
    connection = op.get_bind()
    for job_id, video in connection.execute(sa.select(jobs).where(jobs.c.video.is_not(sa.null()))).all():
        source = video.get("source") or {}
        if any(source.get("chapters") or ()):
            bare = video | {"source": source | {"chapters": [""] * len(source["chapters"])}}
            connection.execute(sa.update(jobs).where(jobs.c.id == job_id).values(video=bare))
