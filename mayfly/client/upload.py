"""Stores a job's input: the row before the bytes, a sign of life while they are on their way, then the queue.

Whatever ends it early leaves neither bytes nor a row that looks alive; what cannot be removed now, the purge removes.
"""

from __future__ import annotations

import threading
import time
import uuid
from types import TracebackType
from typing import BinaryIO, Self

import sqlalchemy as sa

from mayfly.client.errors import UploadRefused
from mayfly.client.notices import Notices
from mayfly.client.patience import DATABASE, patiently
from mayfly.client.services import Services
from mayfly.client.source import Watched
from mayfly.db import backlog, jobs
from mayfly.db.errors import DatabaseMissing, UploadAbandoned
from mayfly.db.rows import AssetRow, JobRow
from mayfly.db.states import State
from mayfly.errors import MayflyError
from mayfly.media.errors import StorageError
from mayfly.purge import sweeper

PATIENCE_SECONDS = 30.0  # for a database that goes away in mid-submit
AGAIN_SECONDS = 1.0  # until the next sign of life, while the database is away
LAST_BEAT_SECONDS = 2.0  # for a sign of life that is on its way when the upload ends
SOURCE = "the source to be read"
STORING = "the object store to take the upload"
DELETING = "the object store to delete what it has of the upload"


def upload(
    services: Services, request: jobs.Request, stream: BinaryIO, size: int, notices: Notices
) -> tuple[JobRow, bool]:
    """Store an input and queue its job.

    Returns:
        The job; False with a job that its idempotency key has named already, of which nothing was stored here.

    Raises:
        MayflyError: nothing is queued. Where the database went away so late that this is not known, the text says so.
    """
    lease = services.settings.upload_lease
    job, asset = _begin(services, request, lease, notices)
    if asset is None:
        return job, False
    assert asset.key is not None
    stored = False
    try:
        with Heartbeat(services.engine, job.id, asset.id, lease=lease) as heartbeat:

            def before_reading() -> None:
                heartbeat.check()
                notices.on(SOURCE)

            watched = Watched.wrap(stream, size, before=before_reading, after=lambda: notices.on(STORING))
            notices.on(STORING)
            services.store.put(asset.key, watched, size)
            stored = True
            return _complete(services.engine, job.id, asset.id, size, lease, notices), True
    except BaseException as error:
        ended = _give_up(services, job.id, asset, error, notices)
        if stored and not ended and isinstance(error, DatabaseMissing):
            raise DatabaseMissing(
                f"the database went away just when job {job.id} was to be queued; ask for its status later"
            ) from None
        raise


class Heartbeat:
    """Renews an upload's lease while this process lives, wherever the time goes; learns when its job has ended."""

    def __init__(self, engine: sa.Engine, job_id: uuid.UUID, asset_id: uuid.UUID, *, lease: float) -> None:
        self._engine, self._job_id, self._asset_id, self._lease = engine, job_id, asset_id, lease
        self._done = threading.Event()
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="upload", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._done.set()
        # A database that hangs holds nobody up: a beat that comes late renews nothing.
        self._thread.join(LAST_BEAT_SECONDS)

    def check(self) -> None:
        """Raise UploadRefused once the job has ended."""
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            self._beat()
        except Exception as error:  # noqa: BLE001 - the upload itself raises it, at its next read
            self._error = error

    def _beat(self) -> None:
        pause = self._lease / 3
        while not self._done.wait(pause):
            try:
                if not jobs.extend_upload(self._engine, self._job_id, self._asset_id, lease=self._lease):
                    self._error = _refusal(jobs.get(self._engine, self._job_id), self._lease)
                    return
                pause = self._lease / 3
            except DatabaseMissing:
                pause = min(AGAIN_SECONDS, self._lease / 3)


def _begin(services: Services, request: jobs.Request, lease: float, notices: Notices) -> tuple[JobRow, AssetRow | None]:
    """Make the rows. A repetition finds what a call has made whose answer was lost."""
    job_id = uuid.uuid4()
    bounds = backlog.Bounds(
        owner_jobs=services.settings.owner_waiting_jobs,
        owner_bytes=services.settings.owner_waiting_bytes,
        jobs=services.settings.waiting_jobs,
        bytes=services.settings.waiting_bytes,
    )
    job, asset = patiently(
        lambda: jobs.create(services.engine, request, lease=lease, job_id=job_id, bounds=bounds),
        what=DATABASE,
        notices=notices,
        end=time.monotonic() + PATIENCE_SECONDS,
    )
    if job.id == job_id and job.state is not State.UPLOADING:
        raise _refusal(job, lease)
    return job, asset


def _complete(
    engine: sa.Engine, job_id: uuid.UUID, asset_id: uuid.UUID, size: int, lease: float, notices: Notices
) -> JobRow:
    """Queue the job."""

    def mark() -> tuple[JobRow, bool]:
        queued = jobs.mark_uploaded(engine, job_id, asset_id, size=size)
        return (queued, True) if queued is not None else (jobs.get(engine, job_id), False)

    job, queued = patiently(mark, what=DATABASE, notices=notices, end=time.monotonic() + PATIENCE_SECONDS)
    if not queued:
        raise _refusal(job, lease)
    return job


def _refusal(job: JobRow, lease: float) -> UploadRefused:
    """Why there is no more use in an upload, from the row of its job."""
    if job.state is State.CANCELLED:
        return UploadRefused("the job was cancelled while its input was being stored")
    if job.error == UploadAbandoned.code:
        return UploadRefused(
            f"the upload was given up, for nothing was heard from this process for {lease:g} s; submit it again"
        )
    return UploadRefused(f"the job has ended while its input was being stored ({job.error}); submit it again")


def _give_up(services: Services, job_id: uuid.UUID, asset: AssetRow, error: BaseException, notices: Notices) -> bool:
    """Leave no trace of an upload that failed; what cannot be destroyed now, the purge destroys. Whether its job is
    known to have ended.
    """
    code = error.code if isinstance(error, MayflyError) else UploadAbandoned.code
    text = "the upload failed; submit it again"
    notices.on(DELETING)
    ended = False
    try:
        jobs.end(services.engine, job_id, to=State.FAILED, error=code, error_text=text)
        ended = True
        sweeper.destroy(services.engine, services.store, asset)
    except (StorageError, DatabaseMissing):
        pass
    return ended
