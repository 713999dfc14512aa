"""The limits on uploads, from the settings to what the media package takes; producers and workers use the same."""

from __future__ import annotations

from mayfly.media.limits import Limits
from mayfly.settings import Settings


def of(settings: Settings) -> Limits:
    """The limits that the settings ask for."""
    return Limits(
        max_bytes=settings.max_bytes,
        max_image_bytes=settings.max_image_bytes,
        max_pixels=settings.max_pixels,
        max_frame_pixels=settings.max_frame_pixels,
        max_side=settings.max_side,
        max_result_pixels=settings.max_result_pixels,
        max_result_frame_pixels=settings.max_result_frame_pixels,
        max_frames=settings.max_frames,
        max_seconds=settings.max_seconds,
        max_rate=settings.max_rate,
    )
