"""The `ingest` task: looks at an upload with suspicion, refuses it with a reason, or queues its effect."""

from __future__ import annotations

import uuid

import celery

from db import claims
from db.states import Stage
from effects.contract import Media
from media import probe
from tasks import attempt, runtime
from tasks.attempt import Attempt
from tasks.errors import ClaimLost
from tasks.sender import INGEST


@celery.shared_task(name=INGEST)
def ingest(job_id: str) -> None:
    """Probe a job's input and queue its effect. Messages carry the id and nothing else."""
    attempt.run(runtime.current(), uuid.UUID(job_id), Stage.INGEST, _ingest)


def _ingest(attempt: Attempt) -> None:
    rt = attempt.runtime
    asset = attempt.input()
    assert asset.key is not None
    if attempt.job.media == Media.IMAGE:
        probe.probe_image(rt.store.read(asset.key), rt.limits)
        units = 1
    else:
        path = attempt.scratch / f"input{asset.suffix}"
        rt.store.fetch(asset.key, path)
        units = probe.probe_video(path, rt.limits).frame_count
    queued = claims.advance(rt.engine, attempt.claim, to=Stage.EFFECT, units_total=units)
    if queued is None:
        raise ClaimLost("cancelled while it was probed")
    rt.sender.send([queued])
