"""The `effects.<name>` tasks, one for each effect, so that routing, limits and figures are per effect."""

from __future__ import annotations

import io
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import celery

from db import claims
from db.rows import AssetRow
from db.states import Retention, Stage
from effects import registry
from effects.contract import Media, Parameters
from media import probe
from media.output import Output
from tasks import attempt, runtime
from tasks.attempt import Attempt
from tasks.errors import ClaimLost

if TYPE_CHECKING:
    from effects.runner import Runner


def _apply(job_id: str) -> None:
    """Apply a job's effect to its input. Messages carry the id and nothing else."""
    attempt.run(runtime.current(), uuid.UUID(job_id), Stage.EFFECT, _work)


for _name in registry.load():
    celery.shared_task(name=f"effects.{_name}")(_apply)


def _work(attempt: Attempt) -> None:
    rt = attempt.runtime
    source = attempt.input()
    params = registry.parameters(attempt.job.effect, attempt.job.parameters or {})
    runner = rt.runners.get(attempt.job.effect)
    if attempt.job.media == Media.IMAGE:
        _apply_to_image(attempt, source, runner, params)
    else:
        _apply_to_video(attempt, source, runner, params)


def _apply_to_image(attempt: Attempt, source: AssetRow, runner: Runner, params: Parameters) -> None:
    # Pictures stay in memory from store to store.
    from media import image

    rt = attempt.runtime
    assert source.key is not None
    picture = image.decode(rt.store.read(source.key), rt.limits)
    result = runner(picture.rgb[None], params)[0].cpu()
    encoded = image.encode(picture.replaced(result), quality=rt.settings.image_quality)
    attempt.check()
    _store(attempt, io.BytesIO(encoded), len(encoded), suffix=source.suffix)


def _apply_to_video(attempt: Attempt, source: AssetRow, runner: Runner, params: Parameters) -> None:
    from media import video

    rt = attempt.runtime
    assert source.key is not None
    path, target = attempt.scratch / f"input{source.suffix}", attempt.scratch / "result"
    rt.store.fetch(source.key, path)
    info = probe.probe_video(path, rt.limits)

    def on_progress(done: int) -> None:
        attempt.progress(done, info.frame_count)

    result = video.transform(
        path,
        target,
        runner.video(params),
        info=info,
        batch=runner.effect.declaration.batch,
        limits=rt.limits,
        on_progress=on_progress,
        output=Output(quality=rt.settings.video_crf, preset=rt.settings.video_preset),
        depth=runner.depth,
        timeout=rt.settings.video_time_limit,
    )
    _store_file(attempt, target, suffix=result.suffix)


def _store_file(attempt: Attempt, path: Path, *, suffix: str) -> None:
    with path.open("rb") as file:
        _store(attempt, file, path.stat().st_size, suffix=suffix)


def _store(attempt: Attempt, stream: BinaryIO, size: int, *, suffix: str) -> None:
    """Store the result under this attempt's key and finish the job; take it back when the claim was lost."""
    rt = attempt.runtime
    asset = attempt.reserve(Retention.RESULT, suffix)
    assert asset.key is not None
    rt.store.put(asset.key, stream, size)
    due = claims.finish(rt.engine, attempt.claim, result_id=asset.id, size=size)
    if due is None:
        # Whoever ended the job may have destroyed this asset before its bytes came.
        rt.store.destroy(asset.key)
        raise ClaimLost("the job ended while its result was stored")
    rt.destroyer.destroy(due)
