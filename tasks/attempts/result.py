"""The end of a job: result and previews are stored under the attempt's key, and the rest of it is destroyed."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Sequence
from pathlib import Path

from mayfly.db import claims
from mayfly.db.claims import Claim
from mayfly.db.states import Retention
from mayfly.tasks.attempts.attempt import Attempt
from mayfly.tasks.errors import ClaimLost


@dataclasses.dataclass(frozen=True)
class Artifact:
    """What an attempt has made: bytes or a file, and the suffix of its name."""

    content: bytes | Path
    suffix: str


def store(attempt: Attempt[Claim], made: Artifact, previews: Sequence[Artifact] = ()) -> None:
    """Store result and previews and finish the job. Raises ClaimLost, StorageError."""
    rt = attempt.runtime
    extra = dict(_store(attempt, Retention.PREVIEW, preview) for preview in previews)
    result_id, size = _store(attempt, Retention.RESULT, made)
    due = attempt.conclude(
        lambda: claims.finish(rt.engine, attempt.claim, result_id=result_id, size=size, previews=extra)
    )
    if due is None:
        raise ClaimLost("the job ended while its result was stored")
    rt.destroyer.destroy(due)


def _store(attempt: Attempt[Claim], retention: Retention, made: Artifact) -> tuple[uuid.UUID, int]:
    asset = attempt.reserve(retention, made.suffix)
    return asset.id, attempt.put(asset, made.content)
