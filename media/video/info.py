"""What is known of a video by its headers: plain data, which needs nothing else of ours."""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from typing import Any

import pydantic

_HD_HEIGHT = 576  # above it, untagged video is taken for BT.709, as players do


@dataclasses.dataclass(frozen=True, kw_only=True)
class Track:
    """One track of sound or subtitles: its index in the file, ffmpeg's name of its codec, its ISO 639-2 language."""

    index: int
    codec: str
    language: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Chapter:
    """One chapter: where it begins and ends, in units of its time base in seconds, and its title, "" if it has none."""

    start: int
    end: int
    time_base: Fraction
    title: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Colour:
    """Colour tags by ffmpeg's names; None where the source has none."""

    primaries: str | None = None
    transfer: str | None = None
    matrix: str | None = None
    range: str | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class VideoInfo:
    """A video by its header.

    Attributes:
        width, height: pixels as shown, after rotation.
        frame_count: by the header, or duration × rate where it has none: for progress, not to be relied on.
        duration: seconds.
        rate: average frames a second.
        time_base: the unit of timestamps in seconds.
        pixel_format: ffmpeg's name.
        bit_depth: of a sample.
        codec: ffmpeg's name.
        rotation: degrees that the source asks players to turn it by.
        sample_aspect_ratio: width : height of a pixel, after rotation.
        colour: the colour tags.
        interlaced: whether the stream says so.
        stream: the index of the video in the file.
        audio: all sound tracks.
        subtitles: all tracks of subtitles.
        chapters: all of them; none after `from_json`: see mayfly.media.video.probe.with_chapters.
        demuxer: "mov", "matroska" or "gif".
        start: seconds on the source's clock that become 0 in the result; 0 but in recordings that were cut out of
            something longer.
    """

    width: int
    height: int
    frame_count: int
    duration: float
    rate: Fraction
    time_base: Fraction
    pixel_format: str
    bit_depth: int = 8
    codec: str
    rotation: int = 0
    sample_aspect_ratio: Fraction = Fraction(1)
    colour: Colour = Colour()
    interlaced: bool = False
    stream: int = 0
    audio: tuple[Track, ...] = ()
    subtitles: tuple[Track, ...] = ()
    chapters: tuple[Chapter, ...] = ()
    demuxer: str = "mov"
    start: Fraction = Fraction(0)

    @property
    def matrix(self) -> str:
        """The matrix between RGB and YCbCr, by the names of ffmpeg's scale filter."""
        match self.colour.matrix:
            case "bt470bg" | "smpte170m" | "fcc" | "smpte240m" | "bt709":
                return self.colour.matrix
            case "bt2020nc" | "bt2020c":
                return "bt2020"
        return "bt709" if min(self.width, self.height) > _HD_HEIGHT else "smpte170m"

    def to_json(self) -> dict[str, Any]:
        """As plain data, for those who get a piece of the video and not the video: nothing of the source's text."""
        bare = dataclasses.replace(self, chapters=())
        found: dict[str, Any] = pydantic.TypeAdapter(VideoInfo).dump_python(bare, mode="json")
        return found

    @classmethod
    def from_json(cls, found: dict[str, Any]) -> VideoInfo:
        """What `to_json` returned."""
        return pydantic.TypeAdapter(VideoInfo).validate_python(found | {"chapters": []})
