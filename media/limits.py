"""How large an upload may be; checked on its header first and again while it is decoded."""

from __future__ import annotations

import dataclasses

from mayfly.media.errors import EmptyFile, ResultTooLarge, TooLarge
from mayfly.media.sniff import Format

_VIDEOS = dict.fromkeys(("MP4", "MOV", "MKV", "WEBM", "GIF"), 16_384)
MOST_SIDES = {"JPEG": 65_500, "PNG": 1_000_000, "WEBP": 16_383} | _VIDEOS
"""Pixels along each side that a result can have, by its format: what libjpeg, Pillow (which reads PNG), libwebp and the
encoders of video take. Of a video the source's format names the result's, which is MP4, MOV or MKV."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Limits:
    """Bounds of one upload; whatever is over one raises TooLarge with the bound in its text.

    Attributes:
        max_bytes: size of a video's file.
        max_image_bytes: size of a picture's file.
        max_pixels: width × height of a picture.
        max_frame_pixels: width × height of a video's frame.
        max_side: width or height of either, in pixels.
        max_result_pixels: width × height of what an effect makes of a picture.
        max_result_frame_pixels: width × height of a frame of what an effect makes of a video.
        max_frames: frames of a video.
        max_seconds: duration of a video, from its first timestamp to its last.
        max_rate: frames of a video in any second.
    """

    max_bytes: int = 2 * 1024**3
    max_image_bytes: int = 100 * 1024**2
    max_pixels: int = 50_000_000
    max_frame_pixels: int = 4096 * 2304
    max_side: int = 16_384
    max_result_pixels: int = 256_000_000
    max_result_frame_pixels: int = 4 * 4096 * 2304
    max_frames: int = 36_000
    max_seconds: float = 600
    max_rate: int = 240

    def check_bytes(self, kind: str, size: int) -> None:
        """Check a file's size in bytes; `kind` is "image" or "video". Raises EmptyFile, TooLarge."""
        if size == 0:
            raise EmptyFile
        allowed = self.max_image_bytes if kind == "image" else self.max_bytes
        if size > allowed:
            raise TooLarge(f"the file has {size:,} bytes: send one of at most {allowed:,} bytes")

    def check_picture(self, width: int, height: int) -> None:
        """Check a picture's size in pixels. Raises TooLarge."""
        self._check_pixels("picture", width, height, self.max_pixels)

    def check_frame(self, width: int, height: int) -> None:
        """Check the size in pixels of a video's frame. Raises TooLarge."""
        self._check_pixels("frame", width, height, self.max_frame_pixels)

    def check_result(self, found: Format, width: int, height: int) -> None:
        """Check the size in pixels that a result would have, by its format and our limits. Raises ResultTooLarge."""
        side = MOST_SIDES[found.name]
        if found.kind == "video":
            allowed = max(self.max_result_frame_pixels, self.max_frame_pixels)
        else:
            allowed = max(self.max_result_pixels, self.max_pixels)
        size, advice = f"the result would be {width}×{height} pixels", "choose a smaller scale, or send a smaller file"
        if max(width, height) > side:
            raise ResultTooLarge(f"{size}, and {found.name} holds at most {side:,} along each side: {advice}")
        if width * height > allowed:
            raise ResultTooLarge(f"{size}, and at most {allowed:,} in all are made: {advice}")

    def check_length(self, frames: int, seconds: float) -> None:
        """Check how long a video is, by its header or as far as it was decoded. Raises TooLarge."""
        if frames > self.max_frames:
            raise TooLarge(f"the video has too many frames: send one of at most {self.max_frames:,} frames")
        if seconds > self.max_seconds:
            raise TooLarge(f"the video is too long: send one of at most {self.max_seconds:g} seconds")

    def check_rate(self, frames: int, seconds: float) -> None:
        """Check frames that take so many seconds, of a second at least. Raises TooLarge."""
        # Timestamps are rounded.
        if frames > 1.05 * self.max_rate * seconds:
            raise TooLarge(f"the video has too many frames a second: send one of at most {self.max_rate}")

    def _check_pixels(self, what: str, width: int, height: int, allowed: int) -> None:
        if max(width, height) > self.max_side:
            raise TooLarge(
                f"the {what} is {width}×{height} pixels: send one of at most {self.max_side:,} pixels along each side"
            )
        if width * height > allowed:
            raise TooLarge(f"the {what} is {width}×{height} pixels: send one of at most {allowed:,} pixels in all")
