"""The `effects.<name>` tasks, one for each effect, so that routing, limits and figures are per effect."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import celery

from mayfly.db.claims import Claim
from mayfly.db.segments import SegmentClaim
from mayfly.db.states import Stage
from mayfly.effects import registry
from mayfly.effects.contract import Media, Parameters
from mayfly.effects.interruption import interruptible
from mayfly.tasks import runtime
from mayfly.tasks.attempts import execute, previews, result
from mayfly.tasks.attempts.attempt import Attempt
from mayfly.tasks.attempts.result import Artifact
from mayfly.tasks.stages import video

if TYPE_CHECKING:
    from mayfly.effects.runner import Runner


def _apply(job_id: str, segment: int | None = None) -> None:
    """Apply a job's effect to its input, or to one segment of it. Messages carry ids and nothing else."""
    if segment is None:
        execute.stage(runtime.current(), uuid.UUID(job_id), Stage.EFFECT, _work)
    else:
        execute.segment(runtime.current(), uuid.UUID(job_id), segment, _work_on_segment)


def make_tasks() -> None:
    """Make the task of each effect that is registered by now; what was made before stays as it is."""
    for name in registry.load():
        celery.shared_task(name=f"effects.{name}")(_apply)


make_tasks()


def _work(attempt: Attempt[Claim]) -> None:
    runner, params = _chosen(attempt)
    if attempt.job.media == Media.IMAGE:
        _apply_to_image(attempt, runner, params)
    else:
        video.apply(attempt, runner, params)


def _work_on_segment(attempt: Attempt[SegmentClaim]) -> None:
    video.apply_to_segment(attempt, *_chosen(attempt))


def _chosen(attempt: Attempt[Claim] | Attempt[SegmentClaim]) -> tuple[Runner, Parameters]:
    effect = attempt.job.effect
    params = registry.parameters(effect, attempt.job.parameters or {})
    return attempt.runtime.runners.get(effect), params


def _apply_to_image(attempt: Attempt[Claim], runner: Runner, params: Parameters) -> None:
    # Pictures stay in memory from store to store.
    from mayfly.media.image import codec
    from mayfly.media.video import probe

    rt, source = attempt.runtime, attempt.input()
    data, scale = attempt.read(source), runner.scale(params)
    found, size = probe.look(data, rt.limits)
    if size is not None:
        # Before any work; and where the header hides it, before the effect's.
        rt.limits.check_result(found, size[0] * scale, size[1] * scale)
    picture = codec.decode(data, rt.limits)
    height, width = picture.rgb.shape[-2:]
    rt.limits.check_result(found, width * scale, height * scale)
    with interruptible(attempt.check_work):
        made = picture.replaced(runner(picture.rgb[None], params)[0].cpu())
    encoded = codec.encode(made, quality=rt.settings.image_quality)
    attempt.check()
    result.store(attempt, Artifact(encoded, source.suffix), previews.of_picture(attempt, picture, made))
