"""Cuts a long video at keyframes into pieces that can be decoded each by itself, and joins what was made of them."""

from __future__ import annotations

import bisect
import dataclasses
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from mayfly.media import sniff
from mayfly.media.children import process
from mayfly.media.children.confinement import Access
from mayfly.media.children.process import Resources
from mayfly.media.errors import MachineFault, MediaToolError
from mayfly.media.limits import Limits
from mayfly.media.output import Output
from mayfly.media.video import bounds, chapters, containers, encoders, ffmpeg_errors, ffprobe, remux
from mayfly.media.video.info import VideoInfo

INDEX_SECONDS = 120.0
JOIN_SECONDS = 1500.0
DEFAULT_OUTPUT = Output()
_INDEX_BYTES = 16 * 1024**2
_LEAST_SHARE = 0.5  # of the wanted length
_LAST_SHARE = 0.4  # a last segment that would be shorter is left with the one before


@dataclasses.dataclass(frozen=True)
class Packet:
    """When a frame is shown, in ticks of the time base, and whether decoding can begin with it."""

    shown_at: int
    key: bool


@dataclasses.dataclass(frozen=True, kw_only=True)
class Window:
    """Which frames of a piece count, in ticks of the source's time base; None is the end.

    Attributes:
        apply_from: the first frame that the effect gets; those before only make it decodable.
        shown_from: the first frame of the segment; those before only warm the effect up.
        shown_to: the first frame of the next segment.
    """

    apply_from: int
    shown_from: int
    shown_to: int | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Segment:
    """One piece to cut: from the keyframe that is shown at `start` to what is shown before `stop`.

    Attributes:
        start: None for the beginning.
        stop: None for the end.
        window: which of the piece's frames count.
        frames: that are shown of it.
    """

    start: int | None
    stop: int | None
    window: Window
    frames: int


def index(source: Path, info: VideoInfo, limits: Limits) -> list[Packet] | None:
    """The packets of the video that are shown, in the order of decoding; None when some have no timestamp.

    Raises:
        DamagedMedia, MediaTimeout, MediaToolError: as probe.probe_video.
    """
    finished = process.run(
        ffprobe.packets(source, info, limits),
        timeout=INDEX_SECONDS,
        max_output=_INDEX_BYTES,
        resources=bounds.decoder(info.width, info.height),
        access=Access(reads=[source]),
    )
    found = []
    for line in ffmpeg_errors.check(finished).decode("ascii", "replace").splitlines():
        shown_at, _, flags = line.partition(",")
        if not shown_at.lstrip("-").isdigit():
            return None
        # An edit list hides what is before its beginning.
        if "D" not in flags:
            found.append(Packet(int(shown_at), "K" in flags))
    return found


def plan(packets: Sequence[Packet], *, frames: int, before: int = 0, hidden: int = 0) -> list[Segment]:
    """Borders at keyframes.

    Args:
        packets: of the whole video, in the order of decoding.
        frames: wanted in a segment.
        before: frames before a segment that the effect needs to have seen.
        hidden: frames on either side that the decoder's filters need to have seen.

    Returns:
        Segments that cover every frame once; fewer than two when there is no place to cut, or no use.
    """
    times = sorted(packet.shown_at for packet in packets)
    if len(set(times)) < len(times) or len(times) < 2 * frames:
        return []
    keys = sorted(packet.shown_at for packet in packets if packet.key)
    borders = _borders([bisect.bisect_left(times, key) for key in keys], len(times), frames)
    segments = []
    for number, place in enumerate(borders):
        end = borders[number + 1] if number + 1 < len(borders) else len(times)
        apply_from = times[max(0, place - before)]
        decoded_from = times[max(0, place - before - hidden)]
        decodable = bisect.bisect_right(keys, decoded_from)
        segments.append(
            Segment(
                start=keys[decodable - 1] if number and decodable else None,
                stop=times[end + hidden] if end + hidden < len(times) else None,
                window=Window(
                    apply_from=apply_from,
                    shown_from=times[place],
                    shown_to=times[end] if end < len(times) else None,
                ),
                frames=end - place,
            )
        )
    return segments


def _borders(places: Sequence[int], count: int, frames: int) -> list[int]:
    """The frames at which segments begin: of the places where that is possible, those nearest to the wanted length."""
    borders = [0]
    for place, following in zip(places, [*places[1:], count], strict=True):
        length = place - borders[-1]
        nearest = length >= frames or following - borders[-1] - frames > frames - length
        if length >= frames * _LEAST_SHARE and nearest and count - place >= max(1, frames * _LAST_SHARE):
            borders.append(place)
    return borders


def cut(source: Path, target: Path, info: VideoInfo, limits: Limits, segment: Segment, *, timeout: float) -> None:
    """Copy one piece of the video to a file. Raises DamagedMedia, MediaTimeout, MediaToolError: no target is left."""
    start, stop = (None if at is None else at * info.time_base for at in (segment.start, segment.stop))
    command = remux.cut(source, target, info, limits, start=start, stop=stop)
    try:
        resources, access = _copier(info, target), Access(reads=[source], writes=[target])
        ffmpeg_errors.check(process.run(command, timeout=timeout, resources=resources, access=access))
    except BaseException:
        target.unlink(missing_ok=True)
        raise


def join(
    parts: Sequence[tuple[Path, int]],
    source: Path,
    target: Path,
    *,
    info: VideoInfo,
    frames: int,
    limits: Limits,
    container: sniff.Format,
    output: Output = DEFAULT_OUTPUT,
    depth: int = 8,
    on_wait: Callable[[], None] = lambda: None,
    timeout: float = JOIN_SECONDS,
) -> None:
    """Join what video.transform has made of segments, and add sound and subtitles once, from the source.

    Args:
        parts: files in their order, each with the source's timestamp of its first frame, in ticks of the time base.
        source: the whole video.
        target: the file to write; beside it, and only meanwhile, the list of the parts.
        info: of the source.
        frames: how many the parts hold together.
        limits: for reading the source.
        container: MP4, MOV or MKV.
        output: as the parts were made with.
        depth: likewise.
        on_wait: called about once a second; an exception from it ends the work and is passed on.
        timeout: seconds.

    Raises:
        DamagedMedia, MediaTimeout, MediaToolError: no target is left.
    """
    deep = depth > 8 and info.bit_depth > 8 and encoders.takes_ten_bits(output)
    coding = encoders.choose(output, width=info.width, height=info.height, deep=deep, works=lambda *_: False)
    muxer, script = containers.MUXERS[container], target.with_suffix(".parts")
    try:
        script.write_text(_script(parts, info))
        with chapters.handed_over(info, wanted=output.chapters) as kept:
            command = remux.join(
                script,
                source,
                target,
                info,
                limits,
                muxer=muxer,
                subtitles=containers.subtitles(container, info),
                chapters=kept,
                codec=coding.codec,
                first=parts[0][1],
            )
            finished = process.run(
                command,
                timeout=timeout,
                pass_fds=[] if kept is None else [kept],
                resources=_copier(info, target),
                access=Access(reads=[script, source, *(path for path, _ in parts)], writes=[target]),
                on_wait=on_wait,
            )
        if finished.code:
            raise ffmpeg_errors.encoder_failure(finished.code, finished.last_lines)
        written = dataclasses.replace(info, stream=0, demuxer="matroska" if muxer == "matroska" else "mov")
        if len(index(target, written, limits) or []) != frames:
            raise MediaToolError("a part of the video was lost while it was joined: try again")
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    finally:
        script.unlink(missing_ok=True)


def _copier(info: VideoInfo, target: Path) -> Resources:
    """The kernel's limits for a child that copies packets: a decoder's, and a file as large as the disk allows."""
    try:
        free = shutil.disk_usage(target.parent).free
    except OSError:
        raise MachineFault from None
    return bounds.copier(info.width, info.height, free=free)


def _script(parts: Sequence[tuple[Path, int]], info: VideoInfo) -> str:
    """The list of the parts for ffmpeg's concat demuxer, each with the distance to the next."""
    begin = parts[0][1]
    # Whole microseconds of the distance from the beginning, so that no rounding adds up.
    starts = [round((first - begin) * info.time_base * 1_000_000) for _, first in parts]
    lines = ["ffconcat version 1.0"]
    for number, (path, _) in enumerate(parts):
        lines.append("file '{}'".format(str(path).replace("'", r"'\''")))
        if number + 1 < len(parts):
            lines.append(f"duration {starts[number + 1] - starts[number]}us")
    return "\n".join(lines) + "\n"
