"""What encoding and joining say alike of a result: its container, sound, subtitles, languages and chapters."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ffmpeg

from mayfly.media.limits import Limits
from mayfly.media.video import hardening

if TYPE_CHECKING:
    from mayfly.media.video.info import VideoInfo

# QuickTime numbers some languages by their bibliographic codes; ffmpeg's muxer knows no others.
_QUICKTIME_LANGUAGES = {"deu": "ger", "nld": "dut", "ell": "gre", "isl": "ice", "zho": "chi", "swe": "sve"}


def ticks(info: VideoInfo) -> int:
    """The usual length of a frame, in units of the time base."""
    return max(1, round(1 / info.rate / info.time_base))


def other_inputs(
    source: Path, info: VideoInfo, limits: Limits, subtitles: Mapping[int, str], chapters: int | None
) -> list[Any]:
    """What is taken of sound and subtitles of the source, and of its chapters, by the clock of the result."""
    clock = {"itsoffset": f"{-float(info.start):.6f}"} if info.start else {}
    taken = []
    if info.audio or subtitles:
        others = ffmpeg.input(f"file:{source}", **hardening.reading(limits, info.demuxer), **clock)
        taken = [others[str(index)] for index in [stream.index for stream in info.audio] + [*subtitles]]
    if chapters is not None:
        kept = ffmpeg.input(f"pipe:{chapters}", format="ffmetadata", protocol_whitelist="pipe", **clock)
        # An input is one only if something is taken from it; the question mark allows that there is nothing.
        taken.append(kept["v:99?"])
    return taken


def options(
    info: VideoInfo, muxer: str, subtitles: Mapping[int, str], chapters: int | None, codec: str
) -> dict[str, Any]:
    """The options of a result's container, and of all tracks but the video's."""
    found: dict[str, Any] = {
        "format": muxer,
        # Else ffmpeg names the encoder.
        "metadata:s:v": "encoder=mayfly",
        "c:a": "copy",
        "map_metadata:g": -1,
        "map_metadata:s": -1,
        # The last of the inputs.
        "map_chapters": -1 if chapters is None else 1 + bool(info.audio or subtitles),
        "fflags": "+bitexact",
        "max_muxing_queue_size": 4096,
    }
    languages = {stream.index: stream.language for stream in (*info.audio, *info.subtitles)}
    if muxer == "mov":
        languages = {index: _QUICKTIME_LANGUAGES.get(name, name) for index, name in languages.items()}
    found |= {f"metadata:s:a:{n}": f"language={languages[stream.index]}" for n, stream in enumerate(info.audio)}
    found |= {f"metadata:s:s:{n}": f"language={languages[index]}" for n, index in enumerate(subtitles)}
    found |= {f"c:s:{n}": encoder for n, encoder in enumerate(subtitles.values())}
    if codec == "hevc" and muxer != "matroska":
        # Apple's players take HEVC under no other tag.
        found["tag:v"] = "hvc1"
    if muxer != "matroska":
        found |= {"video_track_timescale": info.time_base.denominator, "movflags": "+faststart"}
    return found


def compiled(output: Any) -> list[str]:
    """The words of a command that ffmpeg-python has been told."""
    # ffmpeg-python writes a path's percent signs as they are, which is right after `file:`, but not in a pattern muxer.
    command: list[str] = ffmpeg.compile(output, cmd=["ffmpeg", "-hide_banner", "-v", "error"])
    return command
