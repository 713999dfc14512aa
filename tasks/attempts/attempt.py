"""What the work of one claim may ask for, and what follows from how it ended.

Longer than other files: work, watch and end decide about one claim together, under one lock.
"""

from __future__ import annotations

import errno
import io
import logging
import shutil
import threading
import time
import traceback
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import sqlalchemy as sa

from mayfly.db import assets
from mayfly.db import engine as engines
from mayfly.db.claims import Claim
from mayfly.db.errors import DatabaseMissing
from mayfly.db.rows import AssetRow, JobRow, SegmentRow
from mayfly.db.segments import SegmentClaim
from mayfly.db.states import Retention
from mayfly.media.errors import DiskFull, MachineFault, MediaError
from mayfly.media.video import bounds
from mayfly.purge import sweeper
from mayfly.tasks.attempts import outage, retry, watch
from mayfly.tasks.errors import ClaimLost, InputGone, ScratchGone, StillAway, Stopped, TimeOver
from mayfly.tasks.runtime import Runtime

log = logging.getLogger(__name__)

PROGRESS_SECONDS = 1.0  # at most one write of progress in this time
HOLD_SECONDS = 1560.0  # for which a message may be held, outages included; under Celery's and RabbitMQ's own limits

T = TypeVar("T")
C = TypeVar("C", bound=Claim | SegmentClaim)


class Rows(Protocol):
    """What an attempt asks of mayfly.db.claims or of mayfly.db.segments, by what is claimed."""

    def extend(self, engine: sa.Engine, claim: Any, *, done: int | None = None) -> bool: ...
    def holds(self, engine: sa.Engine, claim: Any) -> bool: ...
    def wait(self, engine: sa.Engine, claim: Any, *, delay: float, outcome: str, counted: bool = True) -> bool: ...
    def hand_back(self, engine: sa.Engine, claim: Any, *, outcome: str) -> JobRow | SegmentRow | None: ...
    def fail(self, engine: sa.Engine, claim: Any, *, error: str, error_text: str) -> bool: ...


class Attempt(Generic[C]):
    """What the work of one attempt may ask for."""

    def __init__(self, runtime: Runtime, rows: Rows, claim: C) -> None:
        self.runtime = runtime
        self.rows = rows
        self.claim = claim
        self.job = claim.job
        self.lease = claim.lease
        self.stopping = runtime.stopping
        self.reason: Exception | None = None
        self._reserved: list[AssetRow] = []
        self._fetched: list[Path] = []
        self._settling, self._settled = threading.Lock(), False
        self._concluded = False
        settings = runtime.settings
        self._limit = settings.image_time_limit if self.job.media == "image" else settings.video_time_limit
        self._written = self._begun = time.monotonic()
        # Time in which servers were waited for is not the effect's.
        self._held, self._waiting_since = 0.0, 0.0

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

    def read(self, asset: AssetRow) -> bytes:
        """A whole asset, however long its store is away. Raises StorageError, ClaimLost, Stopped."""
        assert asset.key is not None
        key = asset.key
        return self.patiently(lambda: self.runtime.store.read(key))

    def fetch(self, asset: AssetRow, name: str, *, room: int = 1) -> Path:
        """Fetch an asset into scratch, where there is room for `room` times its size.

        Raises DiskFull, StorageError, ClaimLost, Stopped.
        """
        assert asset.key is not None
        key = asset.key
        bounds.check_room(self.scratch, room * (asset.size or 0))
        path = self.scratch / f"{name}{asset.suffix}"
        self.patiently(lambda: self.runtime.store.fetch(key, path))
        self._fetched.append(path)
        return path

    def reserve(self, retention: Retention, suffix: str) -> AssetRow:
        """The row of an asset that this attempt is about to store; destroyed with the attempt unless it is taken over.

        What a transaction of the attempt's end has marked as stored is out of `discard`'s reach.
        """
        if self._settled:
            raise ClaimLost("this attempt was given up")
        term = self.runtime.policy.term(retention)

        asset_id, repeated = uuid.uuid4(), False

        def reserve() -> AssetRow:
            nonlocal repeated
            with engines.writing(self.runtime.engine) as connection:
                if repeated and (known := assets.find(connection, asset_id)) is not None:
                    return known
                repeated = True
                return assets.reserve(
                    connection,
                    self.job.id,
                    asset_id=asset_id,
                    retention=retention,
                    suffix=suffix,
                    attempt=self.claim.fence,
                    due_after=term.due_after,
                    deadline_after=term.deadline_after,
                    lease=self.lease,
                )

        asset = self.patiently(reserve)
        self._reserved.append(asset)
        return asset

    def put(self, asset: AssetRow, content: bytes | Path) -> int:
        """Store bytes or a file, from the beginning whenever the store is back; returns the size in bytes.

        Raises StorageError, ClaimLost, Stopped.
        """
        assert asset.key is not None
        key = asset.key
        size = len(content) if isinstance(content, bytes) else content.stat().st_size

        def put() -> None:
            with io.BytesIO(content) if isinstance(content, bytes) else content.open("rb") as stream:
                self.runtime.store.put(key, stream, size)

        self.patiently(put)
        return size

    def discard(self) -> None:
        """Destroy what was reserved for nothing, even if the job and its assets ended before the bytes came."""
        if not self._reserved:
            return
        ids = [asset.id for asset in self._reserved]
        abandoned = self.patiently(lambda: assets.abandon(self.runtime.engine, ids))
        self._reserved.clear()
        sweeper.destroy_all(self.runtime.engine, self.runtime.store, abandoned)

    def patiently(self, call: Callable[[], T]) -> T:
        """Call what needs a server, and wait for it where it is away; the call must be safe to repeat.

        Raises ClaimLost, Stopped, StillAway.
        """
        self._waiting_since = begun = time.monotonic()
        try:
            return outage.patiently(call, watch=self._check_waiting)
        finally:
            self._waiting_since = 0.0
            self._held += time.monotonic() - begun

    def conclude(self, call: Callable[[], T]) -> T:
        """As `patiently`, for the transaction that ends the claim; what the work does after it is nobody's to end."""
        found = self.patiently(call)
        self._concluded = bool(found) or found == []
        return found

    def progress(self, done: int) -> None:
        """Note how far the work is.

        Raises:
            ClaimLost: it is not wanted any more.
            TimeOver: it took too long.
            Stopped: the worker stops, and somebody else goes on.
        """
        now = time.monotonic()
        if now - self._written >= PROGRESS_SECONDS:
            self._written = now
            try:
                if not self.rows.extend(self.runtime.engine, self.claim, done=done):
                    self.end(ClaimLost("another attempt has this job, or it was cancelled"))
            except DatabaseMissing:
                # The watch renews the lease as soon as it can.
                log.debug("job %s: no progress could be written", self.claim.name)
        if self.stopping.is_set():
            self.end(Stopped(watch.STOPPED))
        if self.over():
            self.end(TimeOver(watch.TIME_OVER))
        if self.reason is not None:
            raise self.reason

    def check_work(self) -> None:
        """As `check`, and raise Stopped when the time that a stop leaves is over: somebody else begins anew."""
        if self._settled:
            raise ClaimLost("this attempt was given up")
        self.check()

    def check(self) -> None:
        """Raise ClaimLost or TimeOver when the work is in vain; a stop leaves time for what is nearly done."""
        if self.reason is not None and not isinstance(self.reason, Stopped):
            raise self.reason

    # What the watch asks.

    def extend(self) -> bool:
        """Renew the lease, and that of what is being written."""
        if not self.rows.extend(self.runtime.engine, self.claim):
            return False
        if self._reserved:
            with self.runtime.engine.begin() as connection:
                assets.extend(connection, [asset.id for asset in self._reserved], lease=self.lease)
        return True

    def holds(self) -> bool:
        """Whether the claim is the newest."""
        return self.rows.holds(self.runtime.engine, self.claim)

    def over(self) -> bool:
        """Whether the work, without the waiting for servers, took longer than it may."""
        now = time.monotonic()
        waiting = now - self._waiting_since if self._waiting_since else 0.0
        return now - self._begun - self._held - waiting > self._limit

    def end(self, reason: Exception) -> None:
        """Tell the work why it is to end."""
        self.reason = self.reason or reason

    def give_up(self, reason: Exception) -> None:
        """Settle what the work does not end by itself, and end the process if that can be done."""
        if self._concluded:
            return
        log.warning("job %s: given up in mid-work (%s)", self.claim.name, type(reason).__name__)
        self.settle(reason)
        self.runtime.working.leave(self)
        if self.runtime.end_process is not None:
            shutil.rmtree(self.runtime.scratch / self.claim.name, ignore_errors=True)
            self.runtime.end_process()

    # How it ends.

    def settle(self, error: BaseException) -> None:
        """Write what follows from an attempt's error, once: whoever comes second has nothing to say."""
        with self._settling:
            if self._settled:
                # What a thread that could not be ended has made since then.
                self.discard()
                return
            self._settled = True
            try:
                self._settle(self._cause(error))
            except (DatabaseMissing, StillAway, Stopped):
                # The lease, or whoever sees that this process has died, brings the unit back.
                log.warning("job %s: how it ended could not be written", self.claim.name)

    def _cause(self, error: BaseException) -> BaseException:
        """What an error really says: after the claim is lost, nothing that fails is anybody's fault."""
        if self.reason is not None and not isinstance(self.reason, Stopped):
            return self.reason
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return DiskFull()
        if isinstance(error, OSError) and error.errno in (errno.EIO, errno.EROFS):
            return MachineFault()
        if isinstance(error, MediaError | OSError) and not all(path.exists() for path in self._fetched):
            # What is missing here was never wrong there.
            return ScratchGone("files of this worker were removed while it worked")
        return error

    def _settle(self, error: BaseException) -> None:
        rt, claim = self.runtime, self.claim
        if isinstance(error, ClaimLost):
            log.info("job %s: this attempt is not wanted any more", claim.name)
            self.discard()
            sweeper.destroy_due(rt.engine, rt.store, self.job.id)
            return
        if isinstance(error, Stopped):
            # First, for the process may be killed while a slow store destroys.
            self._hand_back()
            self.discard()
            return
        self.discard()
        settings = rt.settings
        returns = claim.segment.returns if isinstance(claim, SegmentClaim) else self.job.returns
        verdict = retry.verdict(
            error, tries=claim.tries, max_tries=settings.max_attempts, delay=settings.retry_delay, returns=returns
        )
        # Where, but not what: a foreign exception's text may repeat what it was given.
        frames = "".join(traceback.format_tb(error.__traceback__)) if not hasattr(error, "code") else ""
        log.warning("job %s: %s: %s\n%s", claim.name, type(error).__name__, verdict, frames)
        if isinstance(verdict, retry.Retry):
            delay, code, counted = verdict.delay, verdict.code, verdict.counted
            self.patiently(lambda: self.rows.wait(rt.engine, claim, delay=delay, outcome=code, counted=counted))
            if isinstance(error, StillAway):
                rt.store_away.set()
            sweeper.destroy_due(rt.engine, rt.store, self.job.id)
        else:
            self.fail(verdict)

    def _hand_back(self) -> None:
        rt = self.runtime
        # A stop waits for nobody: where the database is away, the unit comes back by its lease.
        back = self.rows.hand_back(rt.engine, self.claim, outcome="stopped")
        log.info("job %s: handed back, the worker stops", self.claim.name)
        if back is None or rt.settings.embedded:
            return
        if isinstance(back, SegmentRow):
            rt.sender.send_segments([(self.job, back)])
        else:
            rt.sender.send([back])

    def fail(self, failure: retry.Failure) -> None:
        """Fail the job for good, and destroy what is stored of it."""
        rt = self.runtime
        self.patiently(lambda: self.rows.fail(rt.engine, self.claim, error=failure.code, error_text=failure.text))
        sweeper.destroy_due(rt.engine, rt.store, self.job.id)

    def _check_waiting(self) -> None:
        """Raise what ends the waiting for a server."""
        if self.reason is not None:
            raise self.reason
        if self.stopping.is_set():
            raise Stopped(watch.STOPPED)
        if time.monotonic() - self._begun > HOLD_SECONDS:
            raise StillAway("a server has been away for longer than a message may be held")
