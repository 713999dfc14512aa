"""Fetches what was made of an upload: the result, and the previews."""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

from mayfly.client.errors import InvalidTarget, JobCancelled, JobFailed
from mayfly.client.job import Job
from mayfly.client.services import Services
from mayfly.db import assets, jobs
from mayfly.db.errors import NotReady, ResultGone
from mayfly.db.rows import AssetRow
from mayfly.db.states import AssetState, Retention, State
from mayfly.effects.contract import Media
from mayfly.errors import MayflyError

NO_TARGET = "the result is written to a path or to a binary stream: give one of them"

Target = str | os.PathLike[str] | BinaryIO


def finished(services: Services, job_id: uuid.UUID) -> Job:
    """A job that is done. Raises UnknownJob, NotReady, JobFailed."""
    found = Job.of(jobs.get(services.engine, job_id))
    if found.state is State.CANCELLED:
        raise JobCancelled
    if found.state is State.FAILED:
        raise JobFailed(found.error or MayflyError.code, found.error_text or "the job failed; submit it again")
    if found.state is not State.DONE:
        raise NotReady("the job is not finished yet; wait for it or ask again later")
    return found


def asset(services: Services, job_id: uuid.UUID) -> AssetRow:
    """A finished job's result. Raises as `finished`, and ResultGone."""
    finished(services, job_id)
    for found in assets.of_job(services.engine, job_id):
        if found.retention is Retention.RESULT and found.state is AssetState.STORED:
            return found
    raise ResultGone("the result was destroyed when its time was over; submit the upload again")


def fetch(services: Services, job_id: uuid.UUID, target: Target) -> None:
    """Write a result to a file, which appears whole or not at all, or to a binary stream."""
    key = asset(services, job_id).key
    assert key is not None
    if isinstance(target, str | os.PathLike):
        _write(services, key, _path(target))
    else:
        services.store.write_to(key, _Checked.wrap(target))


def previews(services: Services, job_id: uuid.UUID, folder: str | os.PathLike[str]) -> list[Path]:
    """Write a job's previews into a folder, under their names."""
    found, place, written = finished(services, job_id), _path(folder), []
    for one in assets.of_job(services.engine, job_id):
        if one.retention is Retention.PREVIEW and one.state is AssetState.STORED and one.key is not None:
            still = one.suffix == ".jpg" and found.media == Media.VIDEO
            path = place / f"{'poster' if still else 'comparison'}{one.suffix}"
            _write(services, one.key, path)
            written.append(path)
    return written


class _Checked:
    """A target whose own errors are not taken for the store's."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def write(self, data: bytes) -> int:
        """As the stream's own. Raises InvalidTarget."""
        try:
            with _checked():
                return self._stream.write(data)
        except (AttributeError, TypeError):
            raise InvalidTarget(NO_TARGET) from None
        except (MayflyError, MemoryError):
            raise
        except Exception as error:
            # A mistake of whoever wrote the stream, who will want to see where.
            raise InvalidTarget("the stream failed when the result was written to it") from error

    @classmethod
    def wrap(cls, stream: BinaryIO) -> BinaryIO:
        """Wrapped, and typed as what stores take; they call nothing but `write`."""
        return cast(BinaryIO, cls(stream))


@contextlib.contextmanager
def _checked() -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else None
        raise InvalidTarget(f"the result cannot be written there{f': {reason}' if reason else ''}") from None


def _path(given: str | os.PathLike[str]) -> Path:
    try:
        return Path(given)
    except TypeError:
        raise InvalidTarget(NO_TARGET) from None


def _write(services: Services, key: str, path: Path) -> None:
    """Write an object to a file, which appears whole or not at all."""
    store = services.store
    with _checked():
        part = path.with_name(f".{uuid.uuid4().hex}.part")
    try:
        with _checked():
            with part.open("wb") as file:
                store.write_to(key, _Checked.wrap(file))
            part.replace(path)
    finally:
        with contextlib.suppress(OSError, ValueError):
            part.unlink()
