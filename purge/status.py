"""Whether anybody sweeps: what is due and lies there is a broken promise to come, however well all servers answer."""

from __future__ import annotations

import dataclasses
import datetime

import sqlalchemy as sa

from mayfly.db import assets, findings, periodic, refusals
from mayfly.db.findings import Finding

SWEEP = "purge.sweep"  # the periodic task
LATE_SECONDS = 180.0  # three of its periods


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sweeping:
    """How the sweep is getting on.

    Attributes:
        seconds_since: the last one began so long ago; None when there was none within a day.
        held: assets that exist.
        late: those of them that have been due for longer than LATE_SECONDS, and that nobody has tried to destroy.
        refused: those of them that could not be destroyed when it was tried, and are tried again.
        refused_since: when the most overdue of the refused was due; None when there is none.
        left_behind: jobs whose personal fields a sweep had to blank afterwards; None when there never was one.
    """

    seconds_since: float | None
    held: int
    late: int
    refused: int = 0
    refused_since: datetime.datetime | None = None
    left_behind: Finding | None = None

    @property
    def idle(self) -> bool:
        """Whether nobody sweeps, though there is something that will have to go."""
        return bool(self.held) and (self.seconds_since is None or self.seconds_since > LATE_SECONDS)

    @property
    def text(self) -> str:
        """A sentence for people."""
        last = "none within a day" if self.seconds_since is None else f"{self.seconds_since:.0f} s ago"
        said = [f"last sweep: {last}"]
        if self.late:
            said.append(f"{self.late} assets have been due for over {LATE_SECONDS / 60:.0f} minutes")
        if self.refused_since is not None:
            since = self.refused_since.isoformat(timespec="seconds")
            said.append(f"{self.refused} assets could not be destroyed, the oldest is due since {since}")
        if self.left_behind is not None:
            last = self.left_behind.last_at.isoformat(timespec="seconds")
            said.append(f"personal fields of {self.left_behind.count} jobs had stayed and were blanked, last {last}")
        return "; ".join(said)


def sweeping(engine: sa.Engine) -> Sweeping:
    """Ask the tables. Raises DatabaseMissing."""
    refused, since = refusals.count(engine)
    return Sweeping(
        seconds_since=periodic.seconds_since(engine, SWEEP),
        held=sum(assets.held(engine).values()),
        late=assets.late(engine, seconds=LATE_SECONDS),
        refused=refused,
        refused_since=since,
        left_behind=findings.get(engine, findings.LEFT_BEHIND),
    )
