"""The producer's interface: submit, watch, fetch and cancel jobs."""

from __future__ import annotations

import concurrent.futures
import functools
import os
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import sqlalchemy as sa

from db import assets, jobs, migrate
from db import engine as engines
from db.errors import DatabaseMissing, NotReady, ResultGone, UnknownJob
from db.rows import AssetRow, JobRow, ReceiptRow
from db.states import AssetState, Retention, Stage, State
from effects import registry
from effects.contract import Declaration, Locality, Media, Parameters
from errors import MayflyError
from mayfly.errors import DeviceEffect, InvalidReference, JobFailed, UploadRefused, WaitTimeout
from mayfly.job import Job
from mayfly.source import Source, Watched, opened
from media import storage
from media.errors import StorageError, WrongKind
from media.output import Output
from media.sniff import HEAD_BYTES, Format, sniff
from media.storage import Store
from purge import sweeper
from purge.policy import Policy
from settings import Settings
from tasks import limits
from tasks.sender import Sender

MAX_REFERENCE = 255  # characters; as the table has them
UPLOADS = 4  # parallel uploads of submit_many
SEND_COUNT, SEND_SECONDS = 8, 0.2  # submit_many notes so many messages as sent at once, if they come so fast
POLL_SHARE = 0.1  # of the time for which nothing has changed
POLL_FIRST_SECONDS = 0.008
POLL_LAST_SECONDS = 0.5


class Client:
    """A producer. Opens database, store and broker when it first needs each; usable from several threads."""

    def __init__(self, settings: Settings | None = None) -> None:
        """Of these settings, else of the MAYFLY_… variables; without any, the embedded set-up."""
        self.settings = settings or Settings()
        self._policy = Policy.of(self.settings)
        self._limits = limits.of(self.settings)
        registry.load(self.settings.effect_modules)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close what was opened."""
        if "_engine" in self.__dict__:
            self._engine.dispose()

    def submit(
        self,
        source: Source,
        effect: str,
        params: Mapping[str, Any] | None = None,
        *,
        owner: str | None = None,
        consent: str | None = None,
        idempotency_key: str | None = None,
        output: Output | None = None,
        preview: bool = False,
    ) -> Job:
        """Upload a picture or video and queue its effect.

        Args:
            source: a path, bytes, or a seekable binary stream.
            effect: an effect's name.
            params: its parameters; what is missing has its default.
            owner: your opaque reference to whom it belongs; never a name or an address.
            consent: your reference to the person's consent.
            idempotency_key: a second submit with the same key returns the first job and uploads nothing.
            output: codec, quality and more of a video's result; what is not set is the operator's default.
            preview: make before-and-after previews as well; `previews` fetches them.

        Returns:
            The job. A broker that is away does not fail it: the message is sent when the broker is back.

        Raises:
            MayflyError: nothing is stored or queued; `code` and text say why.
        """
        wishes = _wishes(output, preview=preview)
        job, fresh = self._queue(
            source, effect, params, owner=owner, consent=consent, idempotency_key=idempotency_key, wishes=wishes
        )
        if fresh:
            self._send([job])
        return Job.of(job)

    def submit_many(
        self,
        sources: Sequence[Source],
        effect: str,
        params: Mapping[str, Any] | None = None,
        *,
        owner: str | None = None,
        consent: str | None = None,
        output: Output | None = None,
        preview: bool = False,
    ) -> list[Job]:
        """Submit several uploads for one effect, a few at a time.

        Returns:
            The jobs in the order of the sources.

        Raises:
            MayflyError: all sources are checked before the first is stored, and the text tells the position of the
                one that was refused. When the store fails in between, the jobs submitted so far go on.
        """
        declared, validated = self._check_request(effect, params)
        _check_references(owner=owner, consent=consent)
        for position, source in enumerate(sources, 1):
            try:
                with opened(source) as (stream, size):
                    self._check_upload(declared, validated, stream, size)
            except MayflyError as error:
                error.args = (f"{position} of {len(sources)}: {error}",)
                raise
        wishes = _wishes(output, preview=preview)
        queue = functools.partial(
            self._queue, effect=effect, params=params, owner=owner, consent=consent, wishes=wishes
        )
        queued: list[JobRow] = []
        sent, last = 0, time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(UPLOADS) as pool:
            try:
                for job, _ in pool.map(queue, sources):
                    queued.append(job)
                    if len(queued) - sent >= SEND_COUNT or time.monotonic() - last >= SEND_SECONDS:
                        self._send(queued[sent:])
                        sent, last = len(queued), time.monotonic()
            finally:
                self._send(queued[sent:])
        return [Job.of(job) for job in queued]

    def status(self, job: Job | str | uuid.UUID) -> Job:
        """A job as it is now. Raises UnknownJob."""
        return Job.of(jobs.get(self._engine, _id(job)))

    def jobs(self, *, limit: int = 50) -> list[Job]:
        """The newest jobs, newest first."""
        return [Job.of(row) for row in jobs.recent(self._engine, limit=limit)]

    def watch(self, job: Job | str | uuid.UUID, *, timeout: float | None = None) -> Iterator[Job]:
        """A snapshot now and at every change, the last one in a final state.

        Raises:
            UnknownJob: there is no such job.
            WaitTimeout: it was not finished in `timeout` seconds; it goes on.
        """
        end = None if timeout is None else time.monotonic() + timeout
        last: Job | None = None
        changed = time.monotonic()
        while True:
            found = self.status(job)
            if found != last:
                yield found
                last, changed = found, time.monotonic()
            if found.state.final:
                return
            if end is not None and time.monotonic() >= end:
                raise WaitTimeout("the job is not finished yet; it goes on, ask again later")
            # A job that has stood still for long is asked for less often.
            quiet = time.monotonic() - changed
            time.sleep(min(max(quiet * POLL_SHARE, POLL_FIRST_SECONDS), POLL_LAST_SECONDS))

    def wait(self, job: Job | str | uuid.UUID, *, timeout: float | None = None) -> Job:
        """Wait for a job's final state. Raises UnknownJob, WaitTimeout."""
        *_, last = self.watch(job, timeout=timeout)
        return last

    def as_completed(
        self, submitted: Iterable[Job | str | uuid.UUID], *, timeout: float | None = None
    ) -> Iterator[Job]:
        """Several jobs in their final states, in the order in which they come to them; one query asks for all.

        Raises:
            UnknownJob: one of them does not exist.
            WaitTimeout: some were not finished in `timeout` seconds; they go on.
        """
        end = None if timeout is None else time.monotonic() + timeout
        pending = {_id(job) for job in submitted}
        for job_id in pending:
            jobs.get(self._engine, job_id)
        while pending:
            for row in jobs.finished(self._engine, pending):
                pending.discard(row.id)
                yield Job.of(row)
            if end is not None and pending and time.monotonic() >= end:
                raise WaitTimeout("some jobs are not finished yet; they go on, ask again later")
            # Of many, one ends soon; asking for each at once would keep the database from the workers.
            time.sleep(min(POLL_FIRST_SECONDS * len(pending), POLL_LAST_SECONDS / 5))

    def result(self, job: Job | str | uuid.UUID, target: str | os.PathLike[str] | BinaryIO) -> None:
        """Write a job's result to a file, which appears whole or not at all, or to a binary stream.

        Raises:
            UnknownJob, NotReady: there is no such job; it is not finished.
            JobFailed: it failed or was cancelled; `code` is the job's.
            ResultGone: its result was destroyed when its time was over.
            StorageError: the store does not answer.
        """
        key = self._result_asset(job).key
        assert key is not None
        if not isinstance(target, str | os.PathLike):
            self._store.write_to(key, target)
            return
        self._write(key, Path(target))

    def result_suffix(self, job: Job | str | uuid.UUID) -> str:
        """The suffix that suits a job's result, with its dot. Raises as `result`."""
        return self._result_asset(job).suffix

    def previews(self, job: Job | str | uuid.UUID, folder: str | os.PathLike[str]) -> list[Path]:
        """Write a job's previews into a folder: of a picture before and after side by side, of a video a poster and a
        short clip of both.

        Returns:
            The files: `comparison.jpg`, or `poster.jpg` and `comparison.mp4`; none if none were asked for.

        Raises:
            As `result`.
        """
        found = self._finished(job)
        written = []
        for asset in self.assets(job):
            if asset.retention is Retention.PREVIEW and asset.state is AssetState.STORED and asset.key is not None:
                still = asset.suffix == ".jpg" and found.media == Media.VIDEO
                path = Path(folder) / f"{'poster' if still else 'comparison'}{asset.suffix}"
                self._write(asset.key, path)
                written.append(path)
        return written

    def cancel(self, job: Job | str | uuid.UUID) -> Job:
        """Cancel a job and destroy its assets; a worker that has it stops within seconds.

        Returns:
            The job; one that was finished already is as it was.
        """
        job_id = _id(job)
        self.status(job_id)
        if jobs.end(self._engine, job_id, to=State.CANCELLED):
            sweeper.destroy_due(self._engine, self._store, job_id)
        return self.status(job_id)

    def assets(self, job: Job | str | uuid.UUID) -> list[AssetRow]:
        """A job's assets: class, state, when each is due and what was promised at most."""
        return assets.of_job(self._engine, _id(job))

    def receipts(self, job: Job | str | uuid.UUID) -> list[ReceiptRow]:
        """The receipts of what was destroyed of a job."""
        return assets.receipts(self._engine, [_id(job)])

    def check(self, effect: str, params: Mapping[str, Any] | None = None) -> None:
        """Raise what `submit` would raise for this effect and these parameters."""
        self._check_request(effect, params)

    def sweep(self) -> sweeper.Sweep:
        """Destroy now what is due, as beat does every minute."""
        return sweeper.sweep(self._engine, self._store)

    def held(self) -> dict[str, int]:
        """How many assets of each retention class exist."""
        return assets.held(self._engine)

    def overdue(self) -> dict[str, int]:
        """How many assets of each retention class outlived what was promised."""
        return assets.overdue(self._engine)

    def _queue(
        self,
        source: Source,
        effect: str,
        params: Mapping[str, Any] | None,
        *,
        owner: str | None = None,
        consent: str | None = None,
        idempotency_key: str | None = None,
        wishes: dict[str, Any] | None = None,
    ) -> tuple[JobRow, bool]:
        """Check and store one input. Returns the job, and False when its idempotency key was known."""
        declared, validated = self._check_request(effect, params)
        _check_references(owner=owner, consent=consent, idempotency_key=idempotency_key)
        with opened(source) as (stream, size):
            found = self._check_upload(declared, validated, stream, size)
            return self._upload(
                declared,
                validated,
                found,
                stream,
                size,
                owner=owner,
                consent=consent,
                key=idempotency_key,
                wishes=wishes,
            )

    def _send(self, queued: Sequence[JobRow]) -> None:
        # Embedded, the message would die with this process; the running worker reads the table.
        if queued and not self.settings.embedded:
            self._sender.send(queued)

    def _check_request(self, effect: str, params: Mapping[str, Any] | None) -> tuple[Declaration, Parameters]:
        declared = registry.declaration(effect)
        if declared.locality is Locality.DEVICE:
            raise DeviceEffect("this effect runs where the photo is; nothing is uploaded for it")
        return declared, registry.parameters(effect, params or {})

    def _check_upload(self, declared: Declaration, validated: Parameters, stream: BinaryIO, size: int) -> Format:
        start = stream.tell()
        found = sniff(stream.read(HEAD_BYTES))
        stream.seek(start)
        if found.kind not in declared.media:
            wanted = " or ".join(sorted(declared.media))
            raise WrongKind(f"this effect takes no {found.kind}: send it {wanted}")
        validated.check_media(Media(found.kind))
        self._limits.check_bytes(found.kind, size)
        return found

    def _upload(
        self,
        declared: Declaration,
        validated: Parameters,
        found: Format,
        stream: BinaryIO,
        size: int,
        *,
        owner: str | None,
        consent: str | None,
        key: str | None,
        wishes: dict[str, Any] | None,
    ) -> tuple[JobRow, bool]:
        """Store the input. Returns the job, and False when the idempotency key was known."""
        retention = Retention.FACE_INPUT if declared.face else Retention.INPUT
        term = self._policy.term(retention)
        lease = self.settings.upload_lease
        request = jobs.Request(
            effect=declared.name,
            media=found.kind,
            # A picture is probed by whoever decodes it; only a video is planned first.
            stage=Stage.EFFECT if Media(found.kind) is Media.IMAGE else Stage.INGEST,
            units_total=1 if Media(found.kind) is Media.IMAGE else None,
            suffix=found.suffix,
            parameters=validated.model_dump(mode="json"),
            output=wishes,
            owner=owner,
            consent=consent,
            idempotency_key=key,
            retention=retention,
            due_after=term.due_after,
            deadline_after=term.deadline_after,
        )
        job, asset = jobs.create(self._engine, request, lease=lease)
        if asset is None:
            return job, False
        assert asset.key is not None
        asset_id = asset.id
        renewed = time.monotonic()

        def renew() -> None:
            nonlocal renewed
            if time.monotonic() - renewed > lease / 3:
                renewed = time.monotonic()
                if not jobs.extend_upload(self._engine, job.id, asset_id, lease=lease):
                    raise UploadRefused("the job was cancelled while its input was being stored")

        try:
            self._store.put(asset.key, Watched.wrap(stream, renew), size)
            queued = jobs.mark_uploaded(self._engine, job.id, asset.id, size=size)
            if queued is None:
                raise UploadRefused("the job was cancelled while its input was being stored")
        except BaseException as error:
            self._give_up(job.id, asset, error)
            raise
        return queued, True

    def _give_up(self, job_id: uuid.UUID, asset: AssetRow, error: BaseException) -> None:
        """Leave no trace of an upload that failed; what cannot be destroyed now, the purge destroys."""
        code = error.code if isinstance(error, MayflyError) else "upload_abandoned"
        try:
            jobs.end(self._engine, job_id, to=State.FAILED, error=code, error_text="the upload failed; submit it again")
            sweeper.destroy(self._engine, self._store, asset)
        except (StorageError, DatabaseMissing):
            return

    def _write(self, key: str, path: Path) -> None:
        """Write an object to a file, which appears whole or not at all."""
        part = path.with_name(f".{uuid.uuid4().hex}.part")
        try:
            with part.open("wb") as file:
                self._store.write_to(key, file)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)

    def _finished(self, job: Job | str | uuid.UUID) -> Job:
        found = self.status(job)
        if found.state in (State.FAILED, State.CANCELLED):
            raise JobFailed(found.error or found.state.value, found.error_text or "the job was cancelled")
        if found.state is not State.DONE:
            raise NotReady("the job is not finished yet; wait for it or ask again later")
        return found

    def _result_asset(self, job: Job | str | uuid.UUID) -> AssetRow:
        self._finished(job)
        for asset in self.assets(job):
            if asset.retention is Retention.RESULT and asset.state is AssetState.STORED:
                return asset
        raise ResultGone("the result was destroyed when its time was over; submit the upload again")

    @functools.cached_property
    def _engine(self) -> sa.Engine:
        engine = engines.connect(self.settings.resolved_database_url)
        migrate.ensure(engine)
        return engine

    @functools.cached_property
    def _store(self) -> Store:
        store = storage.connect(self.settings.resolved_storage_url)
        store.prepare()
        return store

    @functools.cached_property
    def _sender(self) -> Sender:
        from tasks.app import create

        return Sender(create(self.settings), self._engine, self.settings)


def _check_references(**references: str | None) -> None:
    for name, value in references.items():
        if value is not None and not (0 < len(value) <= MAX_REFERENCE and value.isprintable()):
            raise InvalidReference(f"{name} is printable text of 1 to {MAX_REFERENCE} characters")


def _wishes(output: Output | None, *, preview: bool) -> dict[str, Any] | None:
    """What is kept of a producer's choices: those that were made."""
    chosen = output.model_dump(mode="json", exclude_unset=True) if output else {}
    wishes = ({"video": chosen} if chosen else {}) | ({"preview": True} if preview else {})
    return wishes or None


def _id(job: Job | str | uuid.UUID) -> uuid.UUID:
    if isinstance(job, uuid.UUID):
        return job
    try:
        return uuid.UUID(job.id if isinstance(job, Job) else job)
    except ValueError:
        raise UnknownJob("this is not a job's id; submit prints it") from None
