"""The command lines of ffprobe, and how its numbers are read."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from mayfly.media.children.process import Resources
from mayfly.media.limits import Limits
from mayfly.media.video import hardening

if TYPE_CHECKING:
    from mayfly.media.video.info import VideoInfo

PROBE_RESOURCES = Resources(memory=2 * 1024**3, cpu_seconds=20, file_bytes=0)
_PROBE_ENTRIES = (
    "format=format_name,duration,start_time"
    ":stream=index,codec_type,codec_name,width,height,pix_fmt,bits_per_raw_sample,sample_aspect_ratio,field_order,"
    "color_range,color_space,color_transfer,color_primaries,r_frame_rate,avg_frame_rate,time_base,start_time,duration,"
    "nb_frames"
    ":stream_disposition=attached_pic:stream_tags=language:stream_side_data=rotation"
    ":chapter=time_base,start,end:chapter_tags=title"
)


def probe(source: Path, limits: Limits) -> list[str]:
    """The ffprobe command that prints what the headers say, as JSON."""
    return [*_asked("json", _PROBE_ENTRIES, limits, "mov,matroska"), f"file:{source}"]


def packets(source: Path, info: VideoInfo, limits: Limits) -> list[str]:
    """The ffprobe command that prints timestamp and flags of each packet of the video, in the order of decoding."""
    asked = _asked("csv=p=0", "packet=pts,flags", limits, info.demuxer)
    return [*asked, "-select_streams", str(info.stream), f"file:{source}"]


def _asked(form: str, entries: str, limits: Limits, demuxer: str) -> list[str]:
    options = {"v": "error", "of": form, "show_entries": entries, **hardening.reading(limits, demuxer)}
    # What only ffmpeg knows.
    del options["nostdin"], options["xerror"]
    return ["ffprobe", *(word for key, value in options.items() for word in (f"-{key}", str(value)))]


def rational(text: str | None, default: Fraction) -> Fraction:
    """Read ffprobe's `30000/1001` or `16:9`; the default where it is missing or 0."""
    match = re.fullmatch(r"(\d+)[/:](\d+)", text or "")
    if match is None or 0 in (int(match[1]), int(match[2])):
        return default
    return Fraction(int(match[1]), int(match[2]))
