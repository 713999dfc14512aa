"""The end of a job: result and previews are stored under the attempt's key, and the rest of it is destroyed."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from db import claims
from db.claims import Claim
from db.states import Retention
from tasks.attempt import Attempt
from tasks.errors import ClaimLost


@dataclasses.dataclass(frozen=True)
class Made:
    """What an attempt has made: bytes or a file, and the suffix of its name."""

    content: bytes | Path
    suffix: str


def store(attempt: Attempt[Claim], made: Made, previews: Sequence[Made] = ()) -> None:
    """Store result and previews and finish the job. Raises ClaimLost, StorageError."""
    rt = attempt.runtime
    extra = dict(_put(attempt, Retention.PREVIEW, preview) for preview in previews)
    result_id, size = _put(attempt, Retention.RESULT, made)
    due = claims.finish(rt.engine, attempt.claim, result_id=result_id, size=size, previews=extra)
    if due is None:
        raise ClaimLost("the job ended while its result was stored")
    attempt.keep()
    rt.destroyer.destroy(due)


def _put(attempt: Attempt[Claim], retention: Retention, made: Made) -> tuple[uuid.UUID, int]:
    asset = attempt.reserve(retention, made.suffix)
    assert asset.key is not None
    with _opened(made.content) as (stream, size):
        attempt.runtime.store.put(asset.key, stream, size)
    return asset.id, size


@contextlib.contextmanager
def _opened(content: bytes | Path) -> Iterator[tuple[BinaryIO, int]]:
    if isinstance(content, bytes):
        yield io.BytesIO(content), len(content)
        return
    with content.open("rb") as file:
        yield file, content.stat().st_size
