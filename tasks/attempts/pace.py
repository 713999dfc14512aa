"""How fast an effect gets on with a video, measured on its first frames, so that a long one is noticed early."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

    from mayfly.media.video.segments import Segment

PROBE_SECONDS = 0.3  # how long the first frames are watched, after the first batch, which is slower than the rest


class NeedsSplitting(Exception):
    """The whole video would take longer than wanted; `segments` are where it is to be cut."""

    def __init__(self, segments: list[Segment]) -> None:
        super().__init__()
        self.segments = segments


class Paced:
    """An effect on a video; raises NeedsSplitting, once, when the whole would take over `most` seconds and can be cut.

    `plan` says where, by the pace in seconds a frame; with fewer than two segments the video goes on as it is. What is
    measured is the pipe's pace and not the effect's alone: decoding and encoding are work as well. Until `decided`,
    progress is no progress, for the video may begin anew.
    """

    def __init__(
        self,
        apply: Callable[[torch.Tensor], torch.Tensor],
        *,
        frames: int,
        most: float,
        plan: Callable[[float], list[Segment]],
    ) -> None:
        self._apply = apply
        self._frames = frames
        self._most = most
        self._plan = plan
        self._since: float | None = None
        self._calls = self._seen = 0
        self.decided = False

    def __call__(self, frames: torch.Tensor) -> torch.Tensor:
        """Apply the effect to the next frames."""
        if not self.decided:
            self._look()
        result = self._apply(frames)
        self._calls += 1
        if self._calls > 1:
            self._seen += len(frames)
        return result

    def _look(self) -> None:
        now = time.monotonic()
        if self._calls == 1:
            self._since = now
        if self._since is None or not self._seen or now - self._since < PROBE_SECONDS:
            return
        self.decided = True
        pace = (now - self._since) / self._seen
        if pace * self._frames > self._most and len(planned := self._plan(pace)) > 1:
            raise NeedsSplitting(planned)
