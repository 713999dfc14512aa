"""The `join` task: makes one video of the parts that a job's segments have left."""

from __future__ import annotations

import uuid

import celery

from db.states import Stage
from tasks import runtime
from tasks.attempts import attempt
from tasks.messages.sender import JOIN
from tasks.stages import video


@celery.shared_task(name=JOIN)
def join(job_id: str) -> None:
    """Join a video's parts. Messages carry the id and nothing else."""
    attempt.run(runtime.current(), uuid.UUID(job_id), Stage.JOIN, video.join)
