"""The command lines of ffmpeg that decode and encode, built by pure functions."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import ffmpeg

from mayfly.media.limits import Limits
from mayfly.media.video import colour, encoders, hardening, muxing
from mayfly.media.video.encoders import Coding

if TYPE_CHECKING:
    from mayfly.media.video.info import VideoInfo


def decode(
    source: Path, info: VideoInfo, limits: Limits, timestamps: int, *, depth: int = 8, threads: int = 0
) -> list[str]:
    """The command that writes upright frames as planes G, B, R of 8 or 16 bits to standard output.

    Each frame's timestamp, in units of the source's time base, goes to the file descriptor `timestamps`, which the
    child inherits, as a line `frame:… pts:… pts_time:…` before the frame itself.
    """
    options = hardening.reading(limits, info.demuxer) | {"copyts": None, "threads": threads}
    if info.rotation % 90:
        options["noautorotate"] = None
    chain = [
        *upright(info, depth),
        f"settb={info.time_base}",
        # The second prints frames that have metadata, the first gives them some.
        "metadata=add:key=mayfly:value=1",
        rf"metadata=print:direct=1:file=pipe\\:{timestamps}",
    ]
    frames = ffmpeg.input(f"file:{source}", **options)[str(info.stream)]
    return muxing.compiled(frames.output("pipe:1", format="rawvideo", vf=",".join(chain), fps_mode="passthrough"))


def encode(
    source: Path,
    target: Path,
    info: VideoInfo,
    limits: Limits,
    *,
    coding: Coding,
    muxer: str,
    subtitles: Mapping[int, str],
    shift: int,
    chapters: int | None = None,
) -> list[str]:
    """The command that reads frames as `mayfly.media.video.matroska` writes them and adds sound and subtitles of the
    source.

    Args:
        source: where the sound is copied from, packet by packet, and the subtitles.
        target: the file to write; an existing one is replaced.
        info: of the source; its colours are the frames'.
        limits: for reading the source.
        coding: the encoder and its options.
        muxer: ffmpeg's name of the container.
        subtitles: the index in the source of each track to keep, and ffmpeg's name of its encoder, or "copy".
        shift: ticks of the source's time base to add to each timestamp.
        chapters: the file descriptor from which the child reads them, by mayfly.media.video.chapters; None: there are
            none.
    """
    frames = ffmpeg.input(
        "pipe:0", nostdin=None, copyts=None, format="matroska", probesize=32, analyzeduration=0, fpsprobesize=0
    )
    chain = colour.from_planes(info, coding.pixels, even=coding.even)
    if moved := shift - round(info.start / info.time_base):
        chain += [f"settb={info.time_base}", f"setpts=PTS{moved:+d}"]
    options = muxing.options(info, muxer, subtitles, chapters, coding.codec) | {
        "vf": ",".join(chain),
        "fps_mode": "passthrough",
        "enc_time_base": info.time_base,
        "c:v": coding.encoder,
        **coding.options,
        "bsf:v": corrected(coding, info),
    }
    streams = [frames["v:0"], *muxing.other_inputs(source, info, limits, subtitles, chapters)]
    return muxing.compiled(ffmpeg.output(*streams, f"file:{target}", **options).overwrite_output())


def corrected(coding: Coding, info: VideoInfo) -> str:
    """The bitstream filters of an encoded stream; without a duration of its last frame, players do not show it."""
    filters = encoders.bitstream_filters(coding.codec, info.rate)
    return ",".join([*filters, f"setts=pts=PTS:dts=DTS:duration={muxing.ticks(info)}"])


def upright(info: VideoInfo, depth: int) -> list[str]:
    """The filters that make whole, upright planes of RGB with 8 or 16 bits out of what was decoded."""
    whole = ["bwdif=mode=send_frame:deint=interlaced"] if info.interlaced else []
    return whole + colour.to_planes(info, depth)
