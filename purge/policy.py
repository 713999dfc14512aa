"""The retention policy: pure functions from a retention class to how long an asset of it may live.

The maxima are what the privacy policy promises; no setting lengthens them. The targets lie under them, so that
a purge that stands still is noticed before a promise is broken.
"""

from __future__ import annotations

import dataclasses
import datetime
from typing import Self

from mayfly.db.states import Retention
from mayfly.settings import Settings

HOUR = datetime.timedelta(hours=1)
DAY = datetime.timedelta(days=1)

MAXIMUM = {
    Retention.FACE_INPUT: 24 * HOUR,
    Retention.INPUT: 24 * HOUR,
    Retention.INTERMEDIATE: 24 * HOUR,
    Retention.RESULT: 15 * DAY,
    Retention.PREVIEW: 15 * DAY,
}


@dataclasses.dataclass(frozen=True)
class Term:
    """How long after its row was made an asset is to be destroyed: the target, and the promise behind it."""

    due_after: datetime.timedelta
    deadline_after: datetime.timedelta


@dataclasses.dataclass(frozen=True)
class Policy:
    """The targets in force; each is under its class's maximum."""

    targets: dict[Retention, datetime.timedelta]

    def __post_init__(self) -> None:
        for retention, target in self.targets.items():
            if target > MAXIMUM[retention]:
                raise ValueError(f"{retention} may be kept for {MAXIMUM[retention]} at most")

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The policy that the settings ask for. Raises ValueError when one exceeds its maximum."""
        uploads = datetime.timedelta(seconds=settings.input_retention)
        results = datetime.timedelta(seconds=settings.result_retention)
        return cls(
            {
                Retention.FACE_INPUT: uploads,
                Retention.INPUT: uploads,
                Retention.INTERMEDIATE: uploads,
                Retention.RESULT: results,
                Retention.PREVIEW: results,
            }
        )

    def term(self, retention: Retention) -> Term:
        """The term of an asset of this class; the database adds it to its own clock."""
        return Term(due_after=self.targets[retention], deadline_after=MAXIMUM[retention])
