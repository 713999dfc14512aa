"""Whether anybody sweeps: what is due and lies there is a broken promise to come, however well all servers answer."""

from __future__ import annotations

import dataclasses

import sqlalchemy as sa

from db import assets, periodic

SWEEP = "purge.sweep"  # the periodic task
LATE_SECONDS = 180.0  # three of its periods


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sweeping:
    """How the sweep is getting on.

    Attributes:
        seconds_since: the last one began so long ago; None when there was none within a day.
        held: assets that exist.
        late: those of them that have been due for longer than LATE_SECONDS.
    """

    seconds_since: float | None
    held: int
    late: int

    @property
    def idle(self) -> bool:
        """Whether nobody sweeps, though there is something that will have to go."""
        return bool(self.held) and (self.seconds_since is None or self.seconds_since > LATE_SECONDS)

    @property
    def text(self) -> str:
        """A sentence for people."""
        last = "none within a day" if self.seconds_since is None else f"{self.seconds_since:.0f} s ago"
        late = f"; {self.late} assets have been due for over {LATE_SECONDS / 60:.0f} minutes" if self.late else ""
        return f"last sweep: {last}{late}"


def sweeping(engine: sa.Engine) -> Sweeping:
    """Ask the tables. Raises DatabaseMissing."""
    return Sweeping(
        seconds_since=periodic.seconds_since(engine, SWEEP),
        held=sum(assets.held(engine).values()),
        late=assets.late(engine, seconds=LATE_SECONDS),
    )
