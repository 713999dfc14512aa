"""The `join` task: makes one video of the parts that a job's segments have left."""

from __future__ import annotations

import uuid

import celery

from mayfly.db.states import Stage
from mayfly.tasks import runtime
from mayfly.tasks.attempts import execute
from mayfly.tasks.messages.sender import JOIN
from mayfly.tasks.stages import video


@celery.shared_task(name=JOIN)
def join(job_id: str) -> None:
    """Join a video's parts. Messages carry the id and nothing else."""
    execute.stage(runtime.current(), uuid.UUID(job_id), Stage.JOIN, video.join)
