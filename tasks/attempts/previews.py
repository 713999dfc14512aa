"""Previews that a producer asked for: before and after side by side, and of a video a poster."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mayfly.db.claims import Claim
from mayfly.media.video import preview, probe
from mayfly.media.video.info import VideoInfo
from mayfly.tasks.attempts.attempt import Attempt
from mayfly.tasks.attempts.result import Artifact

if TYPE_CHECKING:
    from mayfly.media.image.codec import Picture


def of_picture(attempt: Attempt[Claim], source: Picture, made: Picture) -> list[Artifact]:
    """Both side by side as JPEG, if that was asked for."""
    from mayfly.media.image import preview

    return [Artifact(preview.side_by_side(source, made), ".jpg")] if _wanted(attempt) else []


def of_video(attempt: Attempt[Claim], source: Path, made: Path, info: VideoInfo) -> list[Artifact]:
    """A poster of the result as JPEG and a short clip of both as MP4, if that was asked for.

    Raises:
        DamagedMedia, MediaTimeout, MediaToolError: as mayfly.media.video.preview.
    """
    if not _wanted(attempt):
        return []
    limits = attempt.runtime.limits
    grown = preview.grown(limits)
    shown = probe.probe_video(made, grown)
    attempt.check()
    poster = preview.poster(made, shown, grown)
    clip = attempt.scratch / "comparison.mp4"
    attempt.check()
    preview.side_by_side(source, made, clip, info=info, result_info=shown, limits=limits)
    return [Artifact(poster, ".jpg"), Artifact(clip, ".mp4")]


def _wanted(attempt: Attempt[Claim]) -> bool:
    return bool((attempt.job.output or {}).get("preview"))
