"""A video's way through a worker: whole when it is short, else cut into segments that any worker takes."""

from __future__ import annotations

import concurrent.futures
import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from mayfly.db import segments
from mayfly.db.claims import Claim
from mayfly.db.segments import SegmentClaim
from mayfly.db.states import Retention
from mayfly.effects.contract import Parameters
from mayfly.media import sniff
from mayfly.media.errors import DamagedMedia
from mayfly.media.output import Output
from mayfly.media.video import containers, probe
from mayfly.media.video import segments as pieces
from mayfly.media.video.info import VideoInfo
from mayfly.tasks.attempts import previews, result
from mayfly.tasks.attempts.attempt import Attempt
from mayfly.tasks.attempts.pace import NeedsSplitting, Paced
from mayfly.tasks.attempts.result import Artifact
from mayfly.tasks.errors import ClaimLost, Stopped

if TYPE_CHECKING:
    import torch

    from mayfly.effects.runner import Runner
    from mayfly.media.video.video import VideoResult

LONG = 2  # a video is cut when it takes so many times the seconds that a segment may take
SHARES = 12  # a shorter long one is cut into about so many, for several workers to share it evenly
CUTS = 4  # pieces that are cut and stored at the same time, while all other workers wait
LEAST_SECONDS = 2.5  # of work in a segment; starting one costs some tenths of a second
CONTEXTS = 10  # a segment is at least so many times as long as what its effect must see before it
DEINTERLACING_FRAMES = 2  # that the filter looks at on either side


def apply(attempt: Attempt[Claim], runner: Runner, params: Parameters) -> None:
    """Apply the effect to a whole video and finish the job; or turn the job into segments, if that takes long."""
    rt, facts = attempt.runtime, attempt.job.video
    assert facts is not None
    path, target = attempt.fetch(attempt.input(), "input", room=2), attempt.scratch / "result"
    info, scale = _with_chapters(attempt, VideoInfo.from_json(facts["source"]), path), runner.scale(params)
    # Of an installed model, ingest does not know it.
    rt.limits.check_result(sniff.MP4, info.width * scale, info.height * scale)
    most = LONG * rt.settings.segment_seconds
    try:
        paced = Paced(
            runner.video(params),
            frames=info.frame_count,
            most=most,
            plan=lambda pace: _plan(attempt, runner, path, info, pace),
        )
        made = _transform(
            attempt,
            runner,
            paced,
            path,
            target,
            info,
            on_progress=lambda done: attempt.progress(done if paced.decided else 0),
        )
    except NeedsSplitting as needed:
        _split(attempt, runner, path, info, needed.segments)
        return
    result.store(attempt, Artifact(target, made.suffix), previews.of_video(attempt, path, target, info))


def apply_to_segment(attempt: Attempt[SegmentClaim], runner: Runner, params: Parameters) -> None:
    """Apply the effect to one segment; if it is the last to end, queue the join."""
    rt, facts = attempt.runtime, attempt.job.video
    assert facts is not None
    path, target = attempt.fetch(attempt.input(), "piece", room=2), attempt.scratch / "part"
    info, window = VideoInfo.from_json(facts["source"]), pieces.Window(**attempt.claim.segment.window)
    made = _transform(attempt, runner, runner.video(params), path, target, info, window)
    if made.first != window.shown_from:
        # Its place in the whole is known by its first frame.
        raise DamagedMedia
    part = attempt.reserve(Retention.INTERMEDIATE, made.suffix)
    size = attempt.put(part, target)
    ended = attempt.conclude(
        lambda: segments.finish(rt.engine, attempt.claim, part_id=part.id, size=size, units=made.frames)
    )
    if ended is None:
        raise ClaimLost("the job ended while a part of it was stored")
    rt.destroyer.destroy(ended.due)
    if ended.joinable is not None:
        rt.sender.send([ended.joinable])
    elif rt.settings.embedded:
        rt.sender.send_segments(segments.unsent(rt.engine, limit=1, one_a_job=True))


def join(attempt: Attempt[Claim]) -> None:
    """Join the parts of all segments, with the sound and subtitles of the source, and finish the job."""
    rt, facts = attempt.runtime, attempt.job.video
    assert facts is not None
    path, target = attempt.fetch(attempt.input(), "input"), attempt.scratch / "result"
    parts = []
    for segment, part in attempt.patiently(lambda: segments.parts(rt.engine, attempt.job.id)):
        attempt.progress(attempt.job.units_done)
        # Twice: the join needs as much again.
        parts.append(
            (attempt.fetch(part, f"part-{segment.number}", room=2), pieces.Window(**segment.window).shown_from)
        )
    container = sniff.NAMED[facts["container"]]
    info = _with_chapters(attempt, VideoInfo.from_json(facts["source"]), path)
    pieces.join(
        parts,
        path,
        target,
        info=info,
        frames=attempt.job.units_done,
        limits=rt.limits,
        container=container,
        output=_chosen_output(attempt),
        depth=facts["depth"],
        on_wait=lambda: attempt.progress(attempt.job.units_done),
        timeout=rt.settings.video_time_limit,
    )
    result.store(attempt, Artifact(target, container.suffix), previews.of_video(attempt, path, target, info))


def _with_chapters(attempt: Attempt[Claim], info: VideoInfo, path: Path) -> VideoInfo:
    """The source's facts with its chapters, if they are wanted: no table holds them."""
    return probe.with_chapters(info, path, attempt.runtime.limits) if _chosen_output(attempt).chapters else info


def _chosen_output(attempt: Attempt[Claim] | Attempt[SegmentClaim]) -> Output:
    """What the producer chose for the result, and for the rest the operator's defaults."""
    settings, chosen = attempt.runtime.settings, attempt.job.output or {}
    return Output(**{"quality": settings.video_crf, "preset": settings.video_preset} | chosen.get("video", {}))


def _plan(attempt: Attempt[Claim], runner: Runner, path: Path, info: VideoInfo, pace: float) -> list[pieces.Segment]:
    """Where to cut a video of which a frame takes `pace` seconds; fewer than two segments where it cannot be cut."""
    rt = attempt.runtime
    packets = pieces.index(path, info, rt.limits) or []
    seconds = rt.settings.segment_seconds
    if not rt.settings.embedded:
        # One worker needs no more borders than a crash makes worth while.
        seconds = min(seconds, max(LEAST_SECONDS, len(packets) * pace / SHARES))
    context = runner.effect.declaration.temporal_context
    return pieces.plan(
        packets,
        frames=max(1, round(seconds / pace), CONTEXTS * context),
        before=context,
        hidden=DEINTERLACING_FRAMES if info.interlaced else 0,
    )


def _split(attempt: Attempt[Claim], runner: Runner, path: Path, info: VideoInfo, planned: list[pieces.Segment]) -> None:
    """Cut the video and queue its segments."""
    rt = attempt.runtime

    def cut(numbered: tuple[int, pieces.Segment]) -> segments.Plan:
        number, one = numbered
        attempt.check()
        piece = attempt.scratch / f"piece-{number}{path.suffix}"
        pieces.cut(path, piece, info, rt.limits, one, timeout=rt.settings.video_time_limit)
        asset = attempt.reserve(Retention.INTERMEDIATE, path.suffix)
        size = attempt.put(asset, piece)
        piece.unlink()
        return segments.Plan(piece_id=asset.id, size=size, window=dataclasses.asdict(one.window))

    rows = []
    with concurrent.futures.ThreadPoolExecutor(CUTS) as pool:
        for row in pool.map(cut, enumerate(planned)):
            rows.append(row)
            attempt.progress(0)
    facts = dict(attempt.job.video or {}) | {"container": containers.container_for(info).name, "depth": runner.depth}
    units = sum(one.frames for one in planned)
    if not attempt.conclude(lambda: segments.plan(rt.engine, attempt.claim, rows, video=facts, units_total=units)):
        raise ClaimLost("the job ended while it was cut")
    rt.sender.send_segments(segments.unsent(rt.engine, limit=len(rows), one_a_job=rt.settings.embedded))


def _transform(
    attempt: Attempt[Claim] | Attempt[SegmentClaim],
    runner: Runner,
    apply: Callable[[torch.Tensor], torch.Tensor],
    path: Path,
    target: Path,
    info: VideoInfo,
    window: pieces.Window | None = None,
    on_progress: Callable[[int], None] | None = None,
) -> VideoResult:
    from mayfly.media.video import video

    rt = attempt.runtime
    try:
        return video.transform(
            path,
            target,
            apply,
            info=info,
            batch=runner.effect.declaration.batch,
            limits=rt.limits,
            on_progress=on_progress or attempt.progress,
            container=None if window is None else sniff.MP4,
            window=window,
            output=_chosen_output(attempt),
            depth=runner.depth,
            pinned=runner.pinned,
            timeout=rt.settings.video_time_limit,
        )
    except (ClaimLost, Stopped):
        runner.release()
        raise
