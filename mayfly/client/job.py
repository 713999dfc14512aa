"""A job as a producer sees it."""

from __future__ import annotations

import dataclasses
import datetime
from typing import Self

from mayfly.db.rows import JobRow
from mayfly.db.states import Stage, State


@dataclasses.dataclass(frozen=True, kw_only=True)
class Job:
    """A snapshot.

    Attributes:
        id: the job's id, which every other call takes.
        effect: the effect's name.
        media: "image" or "video".
        state: see mayfly.db.states.
        units_done: pictures or frames that are finished.
        units_total: how many there are, None until the upload was probed.
        error: a stable code, None unless the job failed.
        error_text: a sentence for people.
        created_at: when it was submitted, UTC.
        started_at: when the work on its units began, UTC; None before.
        finished_at: when it reached its final state, UTC.
        owner: your reference to whom it belongs; None without one, and once nothing of the job is stored any more.
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
    started_at: datetime.datetime | None
    finished_at: datetime.datetime | None
    owner: str | None = dataclasses.field(default=None, repr=False)

    @property
    def progress(self) -> float:
        """How far it is, 0…1."""
        if self.state is State.DONE:
            return 1.0
        return min(1.0, self.units_done / self.units_total) if self.units_total else 0.0

    def remaining(self, now: datetime.datetime | None = None) -> float | None:
        """Seconds until the last unit is finished, by the pace of all workers since the work began.

        None when there is no pace yet, or nothing left to do. `now` is this moment unless given.
        """
        if self.state is not State.RUNNING or self.started_at is None or not self.units_total or not self.units_done:
            return None
        elapsed = ((now or datetime.datetime.now(datetime.UTC)) - self.started_at).total_seconds()
        return max(0.0, elapsed / self.units_done * (self.units_total - self.units_done))

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
            started_at=row.started_at if row.stage in (Stage.EFFECT, Stage.SEGMENTS) else None,
            finished_at=row.finished_at,
            owner=row.owner,
        )
