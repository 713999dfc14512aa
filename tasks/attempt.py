"""Runs one stage of a job, or one segment: claim, heartbeat, the work, and what follows from how it ended."""

from __future__ import annotations

import contextlib
import datetime
import logging
import shutil
import threading
import time
import traceback
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import sqlalchemy as sa

from db import assets, claims, clock, jobs, segments
from db import engine as engines
from db.claims import Claim
from db.rows import AssetRow
from db.segments import SegmentClaim
from db.states import Retention, Stage
from media import bounds
from purge import sweeper
from tasks import holder, retry
from tasks.errors import ClaimLost, InputGone, TimeOver
from tasks.runtime import Runtime

log = logging.getLogger(__name__)

PROGRESS_SECONDS = 1.0  # at most one write of progress in this time; also how soon a cancellation is seen


C = TypeVar("C", bound=Claim | SegmentClaim)


class Rows(Protocol):
    """What an attempt asks of db.claims or of db.segments, by what is claimed."""

    def extend(self, engine: sa.Engine, claim: Any, *, done: int | None = None) -> bool: ...
    def wait(self, engine: sa.Engine, claim: Any, *, retry_at: datetime.datetime, outcome: str) -> bool: ...
    def fail(self, engine: sa.Engine, claim: Any, *, error: str, error_text: str) -> bool: ...


class Attempt(Generic[C]):
    """What the work of one attempt may ask for."""

    def __init__(self, runtime: Runtime, rows: Rows, claim: C) -> None:
        self.runtime = runtime
        self.rows = rows
        self.claim = claim
        self.job = claim.job
        self.lost = threading.Event()
        self._reserved: list[AssetRow] = []
        self._written = time.monotonic()
        settings = runtime.settings
        limit = settings.image_time_limit if self.job.media == "image" else settings.video_time_limit
        self._end = time.monotonic() + limit

    @property
    def scratch(self) -> Path:
        """A private folder of this attempt, gone when it ends."""
        folder = self.runtime.scratch / self.claim.name
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return folder

    def input(self) -> AssetRow:
        """The row of the input, of a segment its piece. Raises InputGone."""
        if self.claim.input is not None:
            return self.claim.input
        raise InputGone("the upload was deleted before the effect was done; submit it again")

    def fetch(self, asset: AssetRow, name: str, *, room: int = 1) -> Path:
        """Fetch an asset into scratch, where there is room for `room` times its size. Raises DiskFull, StorageError."""
        assert asset.key is not None
        bounds.check_room(self.scratch, room * (asset.size or 0))
        path = self.scratch / f"{name}{asset.suffix}"
        self.runtime.store.fetch(asset.key, path)
        return path

    def reserve(self, retention: Retention, suffix: str) -> AssetRow:
        """The row of an asset that this attempt is about to store; destroyed with the attempt until `keep`."""
        term = self.runtime.policy.term(retention, clock.now())
        with engines.writing(self.runtime.engine) as connection:
            asset = assets.reserve(
                connection,
                self.job.id,
                retention=retention,
                suffix=suffix,
                attempt=self.claim.fence,
                due_at=term.due_at,
                deadline_at=term.deadline_at,
            )
        self._reserved.append(asset)
        return asset

    def keep(self) -> None:
        """Say that what was reserved so far has found its place in the tables."""
        self._reserved.clear()

    def discard(self) -> None:
        """Destroy what was reserved for nothing, even if the job and its assets ended before the bytes came."""
        for asset in self._reserved:
            with engines.writing(self.runtime.engine) as connection:
                assets.make_one_due(connection, asset.id)
        sweeper.destroy_all(self.runtime.engine, self.runtime.store, self._reserved)

    def progress(self, done: int) -> None:
        """Note how far the work is. Raises ClaimLost when it is not wanted any more, TimeOver when it took too long."""
        now = time.monotonic()
        if now > self._end:
            raise TimeOver("the effect took longer than a job may; send a smaller or shorter upload")
        if now - self._written >= PROGRESS_SECONDS:
            self._written = now
            if not self.rows.extend(self.runtime.engine, self.claim, done=done):
                self.lost.set()
        self.check()

    def check(self) -> None:
        """Raise ClaimLost when the claim is known to be lost."""
        if self.lost.is_set():
            raise ClaimLost("another attempt has this job, or it was cancelled")


def run(runtime: Runtime, job_id: uuid.UUID, stage: Stage, work: Callable[[Attempt[Claim]], None]) -> None:
    """Claim a job's stage and do its work, which ends the claim itself when it succeeds.

    Whatever this function decides is in the table when it returns, so the caller acknowledges the message. A claim
    that somebody else holds is no reason to keep the message: if they die, `jobs.resend` sends another.
    """
    ours, lease = holder.own(), runtime.settings.lease
    claim = claims.take(runtime.engine, job_id, stage=stage, holder=ours, lease=lease)
    if claim is None and _died(known := jobs.get(runtime.engine, job_id).holder):
        # The broker gave us a dead colleague's message; its lease need not run out.
        claim = claims.take(runtime.engine, job_id, stage=stage, holder=ours, lease=lease, dead_holder=known)
    if claim is not None:
        _work(Attempt(runtime, claims, claim), work)


def run_segment(
    runtime: Runtime, job_id: uuid.UUID, number: int, work: Callable[[Attempt[SegmentClaim]], None]
) -> None:
    """Claim a segment and do its work; as `run`."""
    ours, lease = holder.own(), runtime.settings.lease
    claim = segments.take(runtime.engine, job_id, number, holder=ours, lease=lease)
    if claim is None and _died(known := segments.holder(runtime.engine, job_id, number)):
        claim = segments.take(runtime.engine, job_id, number, holder=ours, lease=lease, dead_holder=known)
    if claim is not None:
        _work(Attempt(runtime, segments, claim), work)


def _died(known: str | None) -> bool:
    return known is not None and holder.died(known)


def _work(attempt: Attempt[C], work: Callable[[Attempt[C]], None]) -> None:
    runtime, name = attempt.runtime, attempt.claim.name
    if attempt.claim.tries > runtime.settings.max_attempts:
        log.error("job %s: %d workers died at stage %s", name, attempt.claim.tries - 1, attempt.job.stage)
        _fail(attempt, retry.Failure("worker_lost", "the workers that ran this job died; send another upload"))
        return
    try:
        with _heartbeat(attempt):
            work(attempt)
        log.info("job %s: %s done", name, attempt.job.stage)
    except ClaimLost:
        log.info("job %s: this attempt is not wanted any more", name)
        attempt.discard()
        sweeper.destroy_due(runtime.engine, runtime.store, attempt.job.id)
    except Exception as error:  # noqa: BLE001 - the one place that turns every error into a state
        attempt.discard()
        _settle(attempt, error)
    finally:
        shutil.rmtree(runtime.scratch / name, ignore_errors=True)


def _settle(attempt: Attempt[C], error: Exception) -> None:
    settings = attempt.runtime.settings
    verdict = retry.verdict(
        error, tries=attempt.claim.tries, max_tries=settings.max_attempts, delay=settings.retry_delay
    )
    # Where, but not what: a foreign exception's text may repeat what it was given.
    frames = "".join(traceback.format_tb(error.__traceback__)) if not hasattr(error, "code") else ""
    log.warning("job %s: %s: %s\n%s", attempt.claim.name, type(error).__name__, verdict, frames)
    if isinstance(verdict, retry.Retry):
        retry_at = clock.now() + datetime.timedelta(seconds=verdict.delay)
        attempt.rows.wait(attempt.runtime.engine, attempt.claim, retry_at=retry_at, outcome=verdict.code)
        sweeper.destroy_due(attempt.runtime.engine, attempt.runtime.store, attempt.job.id)
    else:
        _fail(attempt, verdict)


def _fail(attempt: Attempt[C], failure: retry.Failure) -> None:
    attempt.rows.fail(attempt.runtime.engine, attempt.claim, error=failure.code, error_text=failure.text)
    sweeper.destroy_due(attempt.runtime.engine, attempt.runtime.store, attempt.job.id)


@contextlib.contextmanager
def _heartbeat(attempt: Attempt[C]) -> Iterator[None]:
    """Renew the lease from a thread while the work runs."""
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(attempt.claim.lease / 3):
            try:
                if not attempt.rows.extend(attempt.runtime.engine, attempt.claim):
                    attempt.lost.set()
                    return
            except sa.exc.OperationalError:
                # The next beat may reach the database before the lease is over.
                log.warning("job %s: the lease could not be renewed", attempt.claim.name)

    thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
