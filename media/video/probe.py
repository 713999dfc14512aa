"""What an upload's headers say, read within bounds of time and memory; later stages check it again."""

from __future__ import annotations

import dataclasses
import io
import json
import re
from fractions import Fraction
from pathlib import Path
from typing import Any

from mayfly.media import sniff
from mayfly.media.children import process
from mayfly.media.children.confinement import Access
from mayfly.media.errors import DamagedMedia, UnsupportedMedia, WrongKind
from mayfly.media.image import sizes
from mayfly.media.limits import Limits
from mayfly.media.video import ffmpeg_errors, ffprobe
from mayfly.media.video.info import Chapter, Colour, Track, VideoInfo

PROBE_SECONDS = 30
_LATE_SECONDS = 1.0  # a file that starts later is a cut of something longer, and is shown from its start
_TITLE_LENGTH = 200  # characters of a chapter's


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageInfo:
    """A picture by its header.

    Attributes:
        width, height: pixels as stored, before the orientation is applied.
        format: what the file is.
    """

    width: int
    height: int
    format: sniff.Format


def probe_image(source: Path | bytes, limits: Limits) -> ImageInfo:
    """Read a picture's header.

    Raises:
        EmptyFile, UnsupportedMedia, WrongKind: by its first bytes.
        TooLarge: over a limit in bytes or pixels.
        DamagedMedia: the header cannot be read.
    """
    found, size = look(source, limits)
    if size is None:
        raise DamagedMedia
    return ImageInfo(width=size[0], height=size[1], format=found)


def look(source: Path | bytes, limits: Limits) -> tuple[sniff.Format, tuple[int, int] | None]:
    """What a picture is, and its stored width and height where its header says so; raises else as `probe_image`."""
    head, length = _start(source)
    found = sniff.sniff(head)
    if found.kind != "image":
        raise WrongKind("a picture is wanted: send JPEG, PNG or WebP")
    limits.check_bytes("image", length)
    with io.BytesIO(source) if isinstance(source, bytes) else source.open("rb") as stream:
        size = sizes.read(stream, found)
    if size is not None:
        limits.check_picture(*size)
    return found, size


def probe_video(source: Path, limits: Limits) -> VideoInfo:
    """Read a video's header with ffprobe, in a child of bounded time and memory.

    Raises:
        EmptyFile, UnsupportedMedia, WrongKind: by its first bytes, or it holds no video.
        TooLarge: over a limit in bytes, pixels, frames or seconds.
        DamagedMedia: the header cannot be read.
        MediaTimeout, MediaToolError: ffprobe took too long, or failed for a reason of the machine's.
    """
    head, size = _start(source)
    if sniff.sniff(head).kind != "video":
        raise WrongKind("a video is wanted: send MP4, MOV, MKV, WebM or GIF")
    limits.check_bytes("video", size)
    finished = process.run(
        ffprobe.probe(source, limits),
        timeout=PROBE_SECONDS,
        resources=ffprobe.PROBE_RESOURCES,
        access=Access(reads=[source]),
    )
    output = ffmpeg_errors.check(finished)
    try:
        info = _video_info(json.loads(output))
    except (ValueError, KeyError, TypeError, AttributeError, ZeroDivisionError):
        raise DamagedMedia from None
    limits.check_frame(info.width, info.height)
    limits.check_length(info.frame_count, info.duration)
    return info


def with_chapters(info: VideoInfo, source: Path, limits: Limits) -> VideoInfo:
    """What `from_json` gave, with its chapters, which the source alone has. Raises as `probe_video`."""
    return dataclasses.replace(info, chapters=probe_video(source, limits).chapters)


def _start(source: Path | bytes) -> tuple[bytes, int]:
    if isinstance(source, bytes):
        return source[: sniff.HEAD_BYTES], len(source)
    with source.open("rb") as stream:
        return stream.read(sniff.HEAD_BYTES), source.stat().st_size


def _video_info(found: dict[str, Any]) -> VideoInfo:
    streams = found.get("streams", [])
    pictures = [s for s in streams if s.get("codec_type") == "video" and not s["disposition"]["attached_pic"]]
    if not pictures:
        raise UnsupportedMedia("the file holds no video: send one that does")
    video = pictures[0]
    width, height = int(video["width"]), int(video["height"])
    if width < 1 or height < 1 or not video.get("pix_fmt"):
        raise DamagedMedia
    rotation = round(next((float(s["rotation"]) for s in video.get("side_data_list", ()) if "rotation" in s), 0)) % 360
    aspect = ffprobe.rational(video.get("sample_aspect_ratio"), Fraction(1))
    if rotation in (90, 270):
        width, height, aspect = height, width, 1 / aspect
    time_base = ffprobe.rational(video.get("time_base"), Fraction(1, 90_000))
    duration = float(video.get("duration") or _file_duration(found.get("format", {})))
    real_rate = ffprobe.rational(video.get("r_frame_rate"), Fraction(25))
    rate = ffprobe.rational(video.get("avg_frame_rate"), min(real_rate, Fraction(240)))
    return VideoInfo(
        width=width,
        height=height,
        frame_count=int(video.get("nb_frames") or 0) or round(duration * rate),
        duration=duration,
        rate=rate,
        time_base=time_base,
        pixel_format=video["pix_fmt"],
        bit_depth=_bit_depth(video["pix_fmt"]) or int(video.get("bits_per_raw_sample") or 8),
        codec=video["codec_name"],
        rotation=rotation,
        sample_aspect_ratio=aspect,
        colour=Colour(
            primaries=_tag(video, "color_primaries"),
            transfer=_tag(video, "color_transfer"),
            matrix=_tag(video, "color_space"),
            range=_tag(video, "color_range"),
        ),
        interlaced=video.get("field_order", "progressive") in ("tt", "bb", "tb", "bt"),
        stream=int(video["index"]),
        audio=_tracks(streams, "audio"),
        subtitles=_tracks(streams, "subtitle"),
        chapters=tuple(_chapter(c) for c in found.get("chapters", ())),
        demuxer=next(name for name in ("mov", "matroska", "gif") if name in found["format"]["format_name"]),
        start=_start_of(found["format"], time_base),
    )


def _file_duration(found: dict[str, Any]) -> float:
    """In seconds. Matroska's counts from 0, which may be long before the first frame."""
    duration, start = float(found.get("duration") or 0), float(found.get("start_time") or 0)
    return duration - start if 0 < start < duration else duration


def _start_of(found: dict[str, Any], time_base: Fraction) -> Fraction:
    start = Fraction(found.get("start_time") or 0)
    return round(start / time_base) * time_base if start > _LATE_SECONDS else Fraction(0)


def _bit_depth(pixels: str) -> int:
    """By the name of the format, such as yuv420p10le or p010le; 0 where it says nothing, as yuv420p and rgb24."""
    match = re.search(r"(?:p|gray|p0|p2|p4)(9|10|12|14|16)(?:le|be)?$", pixels)
    return int(match[1]) if match else 0


def _tracks(streams: list[dict[str, Any]], kind: str) -> tuple[Track, ...]:
    return tuple(
        Track(index=int(s["index"]), codec=s.get("codec_name", "unknown"), language=_language(s))
        for s in streams
        if s.get("codec_type") == kind
    )


def _chapter(found: dict[str, Any]) -> Chapter:
    return Chapter(
        start=int(found["start"]),
        end=max(int(found["start"]), int(found["end"])),
        time_base=ffprobe.rational(found.get("time_base"), Fraction(1, 1000)),
        title=found.get("tags", {}).get("title", "")[:_TITLE_LENGTH],
    )


def _tag(stream: dict[str, Any], key: str) -> str | None:
    value = stream.get(key)
    return value if isinstance(value, str) and value not in ("unknown", "reserved", "gbr") else None


def _language(stream: dict[str, Any]) -> str:
    language = stream.get("tags", {}).get("language", "")
    return language if re.fullmatch("[a-z]{3}", language) else "und"
