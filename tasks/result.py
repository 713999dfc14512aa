"""The end of a job: its result is stored under the attempt's key, and the rest of it is destroyed."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

from db import claims
from db.claims import Claim
from db.states import Retention
from tasks.attempt import Attempt
from tasks.errors import ClaimLost


def store_file(attempt: Attempt[Claim], path: Path, *, suffix: str) -> None:
    """As `store`, from a file."""
    with path.open("rb") as file:
        store(attempt, file, path.stat().st_size, suffix=suffix)


def store(attempt: Attempt[Claim], stream: BinaryIO, size: int, *, suffix: str) -> None:
    """Store the result and finish the job; take it back when the claim was lost. Raises ClaimLost, StorageError."""
    rt = attempt.runtime
    asset = attempt.reserve(Retention.RESULT, suffix)
    assert asset.key is not None
    rt.store.put(asset.key, stream, size)
    due = claims.finish(rt.engine, attempt.claim, result_id=asset.id, size=size)
    if due is None:
        raise ClaimLost("the job ended while its result was stored")
    attempt.keep()
    rt.destroyer.destroy(due)
