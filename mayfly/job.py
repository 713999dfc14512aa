"""A job as a producer sees it."""

from __future__ import annotations

import dataclasses
import datetime
from typing import Self

from db.rows import JobRow
from db.states import State


@dataclasses.dataclass(frozen=True, kw_only=True)
class Job:
    """A snapshot.

    Attributes:
        id: the job's id, which every other call takes.
        effect: the effect's name.
        media: "image" or "video".
        state: see db.states.
        units_done: pictures or frames that are finished.
        units_total: how many there are, None until the upload was probed.
        error: a stable code, None unless the job failed.
        error_text: a sentence for people.
        created_at: when it was submitted, UTC.
        finished_at: when it reached its final state, UTC.
    """

    id: str
    effect: str
    media: str
    state: State
    units_done: int
    units_total: int | None
    error: str | None
    error_text: str | None
    created_at: datetime.datetime
    finished_at: datetime.datetime | None

    @property
    def progress(self) -> float:
        """How far it is, 0…1."""
        if self.state is State.DONE:
            return 1.0
        return min(1.0, self.units_done / self.units_total) if self.units_total else 0.0

    @classmethod
    def of(cls, row: JobRow) -> Self:
        """From the table's row."""
        return cls(
            id=str(row.id),
            effect=row.effect,
            media=row.media,
            state=row.state,
            units_done=row.units_done,
            units_total=row.units_total,
            error=row.error,
            error_text=row.error_text,
            created_at=row.created_at,
            finished_at=row.finished_at,
        )
