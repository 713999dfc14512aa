"""The `ingest` task: looks at a video with suspicion, refuses it with a reason, or queues its effect.

A picture needs no such stage: it is one unit, and whoever decodes it probes it first.
"""

from __future__ import annotations

import uuid

import celery

from mayfly.db import claims
from mayfly.db.claims import Claim
from mayfly.db.states import Stage
from mayfly.effects import registry
from mayfly.media import sniff
from mayfly.media.video import probe
from mayfly.tasks import runtime
from mayfly.tasks.attempts import execute
from mayfly.tasks.attempts.attempt import Attempt
from mayfly.tasks.errors import ClaimLost
from mayfly.tasks.messages.sender import INGEST


@celery.shared_task(name=INGEST)
def ingest(job_id: str) -> None:
    """Probe a video and queue its effect. Messages carry the id and nothing else."""
    execute.stage(runtime.current(), uuid.UUID(job_id), Stage.INGEST, _ingest)


def _ingest(attempt: Attempt[Claim]) -> None:
    rt = attempt.runtime
    path = attempt.fetch(attempt.input(), "input")
    info = probe.probe_video(path, rt.limits)
    params = registry.parameters(attempt.job.effect, attempt.job.parameters or {})
    if (size := params.result_size(info.width, info.height)) is not None:
        rt.limits.check_result(sniff.MP4, *size)
    facts = {"source": info.to_json()}
    queued = attempt.conclude(
        lambda: claims.advance(rt.engine, attempt.claim, to=Stage.EFFECT, units_total=info.frame_count, video=facts)
    )
    if queued is None:
        raise ClaimLost("cancelled while it was probed")
    rt.sender.send([queued])
