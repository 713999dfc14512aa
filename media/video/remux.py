"""The command lines of ffmpeg that copy packets: a piece is cut out of a video, and parts become a whole."""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ffmpeg

from mayfly.media.limits import Limits
from mayfly.media.video import hardening, muxing

if TYPE_CHECKING:
    from mayfly.media.video.info import VideoInfo


def cut(
    source: Path, target: Path, info: VideoInfo, limits: Limits, *, start: Fraction | None, stop: Fraction | None
) -> list[str]:
    """The command that copies a piece of the video, packet by packet, with the timestamps and tags of the source.

    Args:
        source: the video.
        target: the file to write, of the source's family of containers.
        info: of the source.
        limits: for reading the source.
        start: seconds; the copy begins with the keyframe that is shown then, or with one before. None: the beginning.
        stop: seconds; everything that is shown before it is copied, and some that is not. None: the end.
    """
    options = hardening.reading(limits, info.demuxer) | {"copyts": None}
    if start is not None:
        options |= {"seek_timestamp": 1, "ss": f"{math.ceil(start * 1_000_000)}us"}
    copied: dict[str, Any] = {"c": "copy", "map_metadata": -1, "map_chapters": -1}
    if stop is not None:
        copied["to"] = f"{math.ceil(stop * 1_000_000)}us"
    if info.demuxer == "mov":
        # Both clocks at the track's rate: an edit list in milliseconds would move the first frame.
        ticks = info.time_base.denominator
        copied |= {"format": "mov", "video_track_timescale": ticks, "movie_timescale": ticks}
    else:
        # Matroska has no decoding times, and the guess after a seek may go backwards; any order does.
        copied |= {"format": "matroska", "bsf:v": "setts=pts=PTS:dts=N-1e9", "avoid_negative_ts": "disabled"}
    frames = ffmpeg.input(f"file:{source}", **options)[str(info.stream)]
    return muxing.compiled(frames.output(f"file:{target}", **copied).overwrite_output())


def join(
    parts: Path,
    source: Path,
    target: Path,
    info: VideoInfo,
    limits: Limits,
    *,
    muxer: str,
    subtitles: Mapping[int, str],
    chapters: int | None,
    codec: str,
    first: int,
) -> list[str]:
    """The command that joins encoded parts, packet by packet, and adds sound and subtitles of the source.

    Args:
        parts: a script of ffmpeg's concat demuxer; its first file begins at 0.
        source: where sound and subtitles are.
        target: the file to write; an existing one is replaced.
        info: of the source.
        limits: for reading the source.
        muxer: ffmpeg's name of the container.
        subtitles: as `encode`.
        chapters: as `encode`.
        codec: of the parts.
        first: the first frame's timestamp in ticks of the source's time base.
    """
    begin = first - round(info.start / info.time_base)
    frames = ffmpeg.input(
        f"file:{parts}", nostdin=None, xerror=None, copyts=None, format="concat", safe=0, protocol_whitelist="file"
    )
    # An encoder's first packets have decoding times before their first frame's, which may cross the last of the part
    # before when the distance of frames varies.
    decoding = f"max(DTS+{begin}\\,PREV_OUTDTS+1)"
    options = muxing.options(info, muxer, subtitles, chapters, codec) | {
        "c:v": "copy",
        "bsf:v": f"setts=pts=PTS+{begin}:dts={decoding}:duration={muxing.ticks(info)}",
    }
    streams = [frames["v:0"], *muxing.other_inputs(source, info, limits, subtitles, chapters)]
    return muxing.compiled(ffmpeg.output(*streams, f"file:{target}", **options).overwrite_output())
