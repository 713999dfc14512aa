"""Previews of a video: one frame of it as a picture, and a short clip that shows source and result side by side."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

from mayfly.media.children import process
from mayfly.media.children.confinement import Access
from mayfly.media.errors import DamagedMedia
from mayfly.media.limits import Limits
from mayfly.media.output import Output
from mayfly.media.video import bounds, encoders, ffmpeg, ffmpeg_errors, hardening
from mayfly.media.video.info import VideoInfo

WIDTH = 1280
"""Of two pictures and what divides them, in pixels, at most."""
HEIGHT = 720
DIVIDER = 4
SECONDS = 120.0
_OUTPUT = Output(codec="h264", quality=23)
_CANDIDATES = 12
_MAX_POSTER_BYTES = 16 * 1024**2
_MAX_BYTES = 256 * 1024**2


def panel(info: VideoInfo) -> tuple[int, int]:
    """Even width and height of one of two pictures side by side: square pixels, never larger than the source's."""
    shown = info.width * info.sample_aspect_ratio
    factor = min(Fraction(1), Fraction(WIDTH - DIVIDER, 2) / shown, Fraction(HEIGHT, info.height))
    return max(2, int(shown * factor) // 2 * 2), max(2, int(info.height * factor) // 2 * 2)


def poster(source: Path, info: VideoInfo, limits: Limits, *, at: float | None = None) -> bytes:
    """A representative frame as JPEG: upright, square pixels, SDR, at most WIDTH × HEIGHT.

    Args:
        source: a local file.
        info: what probe.probe_video says about it.
        limits: for reading it.
        at: seconds after the start. By default, of a dozen frames from a third of the duration on, the one that is
            most like the others.

    Raises:
        DamagedMedia, TooLarge, MediaTimeout, MediaToolError: as video.transform.
    """
    start, candidates = (info.duration / 3, _CANDIDATES) if at is None else (at, 1)
    resources = bounds.decoder(info.width, info.height)
    # A clip may end before its duration says.
    for moment in (start, 0):
        command = poster_command(source, info, limits, at=moment, candidates=candidates)
        found = process.run(
            command,
            timeout=SECONDS,
            max_output=_MAX_POSTER_BYTES,
            resources=resources,
            access=Access(reads=[source]),
        )
        if picture := ffmpeg_errors.check(found):
            return picture
    raise DamagedMedia


def poster_command(source: Path, info: VideoInfo, limits: Limits, *, at: float, candidates: int) -> list[str]:
    """The command that writes the poster, one of so many frames from `at` seconds on, to standard output."""
    shown = info.width * info.sample_aspect_ratio
    factor = min(Fraction(1), WIDTH / shown, Fraction(HEIGHT, info.height))
    width, height = max(1, round(shown * factor)), max(1, round(info.height * factor))
    chain = [
        *ffmpeg.upright(info, 8),
        f"scale={width}:{height}:flags=area",
        *([f"thumbnail={candidates}"] if candidates > 1 else []),
        "setsar=1",
        # JPEG is BT.601 of full range.
        "scale=out_color_matrix=smpte170m:out_range=pc",
        "format=yuvj444p",
    ]
    read = hardening.input_words(source, info, limits, ss=f"{at:.3f}")
    write = ["-map", f"0:{info.stream}", "-vf", ",".join(chain), "-frames:v", "1", "-c:v", "mjpeg", "-q:v", "3"]
    return [*_FFMPEG, *read, *write, *_BARE, "-f", "image2pipe", "pipe:1"]


def side_by_side(
    source: Path,
    result: Path,
    target: Path,
    *,
    info: VideoInfo,
    result_info: VideoInfo,
    limits: Limits,
    seconds: float = 5,
    timeout: float = SECONDS,
) -> None:
    """Write a short clip, MP4 with H.264 and no sound: the source's frames on the left, the result's on the right.

    Args:
        source: the file that was transformed.
        result: what came of it, of the same or a larger size.
        target: the file to write; it exists afterwards only if everything went well.
        info: of the source.
        result_info: of the result, from probe.probe_video within `grown(limits)`.
        limits: for reading the source.
        seconds: from the middle of the video; all of it where it is shorter.
        timeout: seconds for all of it.

    Raises:
        DamagedMedia, TooLarge, MediaTimeout, MediaToolError: as video.transform.
    """
    command = side_by_side_command(
        source, result, target, info=info, result_info=result_info, limits=limits, seconds=seconds
    )
    children = [bounds.decoder(one.width, one.height) for one in (info, result_info)]
    children.append(bounds.encoder(WIDTH, HEIGHT, free=_MAX_BYTES + bounds.RESERVE_BYTES, hardware=False))
    memory = sum(child.memory or 0 for child in children)
    try:
        finished = process.run(
            command,
            timeout=timeout,
            resources=process.Resources(memory=memory, file_bytes=_MAX_BYTES),
            access=Access(reads=[source, result], writes=[target]),
        )
        ffmpeg_errors.check(finished)
    except BaseException:
        target.unlink(missing_ok=True)
        raise


def side_by_side_command(
    source: Path,
    result: Path,
    target: Path,
    *,
    info: VideoInfo,
    result_info: VideoInfo,
    limits: Limits,
    seconds: float,
) -> list[str]:
    """The command that writes the clip, with the arguments of `side_by_side`."""
    width, height = panel(info)
    part = {"ss": f"{max(0.0, (info.duration - seconds) / 2):.3f}", "t": f"{seconds:.3f}"}
    coding = encoders.choose(_OUTPUT, width=2 * width + DIVIDER, height=height, deep=False, works=lambda *_: False)
    left, right = (_half(one, width, height) for one in (info, result_info))
    graph = [
        f"[0:{info.stream}]{left},pad=iw+{DIVIDER}:ih:0:0:white[left]",
        f"[1:{result_info.stream}]{right}[right]",
        "[left][right]hstack,scale=out_color_matrix=bt709:out_range=tv"
        f",format={coding.pixels},setparams=range=tv:color_primaries=bt709:color_trc=bt709:colorspace=bt709,setsar=1",
    ]
    read = hardening.input_words(source, info, limits, **part)
    read += hardening.input_words(result, result_info, grown(limits), **part)
    write = ["-filter_complex", ";".join(graph), "-fps_mode", "passthrough", "-enc_time_base", str(info.time_base)]
    write += ["-video_track_timescale", str(info.time_base.denominator), "-c:v", coding.encoder]
    write += [str(word) for key, value in coding.options.items() for word in (f"-{key}", value)]
    write += ["-bsf:v", ffmpeg.corrected(coding, info), "-metadata:s:v", "encoder=mayfly"]
    return [*_FFMPEG, *read, *write, *_BARE, "-movflags", "+faststart", "-f", "mp4", "-y", f"file:{target}"]


def grown(limits: Limits) -> Limits:
    """Limits for a result, whose frames may have four times the width and height of the largest source's."""
    return dataclasses.replace(
        limits, max_bytes=2**50, max_frame_pixels=16 * limits.max_frame_pixels, max_side=4 * limits.max_side
    )


_FFMPEG: Sequence[str] = ("ffmpeg", "-hide_banner", "-v", "error")
_BARE: Sequence[str] = ("-an", "-sn", "-dn", "-map_metadata", "-1", "-map_chapters", "-1", "-fflags", "+bitexact")


def _half(info: VideoInfo, width: int, height: int) -> str:
    return ",".join([*ffmpeg.upright(info, 8), f"scale={width}:{height}:flags=area", "setsar=1", "setpts=PTS-STARTPTS"])
