"""The producer's interface: submit, watch, fetch and cancel jobs."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self, TypeVar

import sqlalchemy as sa

from mayfly.client import many, results, upload, waiting
from mayfly.client.job import Job
from mayfly.client.notices import Notices, OnNotice
from mayfly.client.request import Wanted, check_references
from mayfly.client.services import Services
from mayfly.client.source import Source, opened
from mayfly.client.waiting import Waiting, end_of
from mayfly.db import assets, history, jobs, room
from mayfly.db.errors import UnknownJob
from mayfly.db.rows import AssetRow, JobRow, ReceiptRow
from mayfly.db.states import State
from mayfly.effects import registry
from mayfly.errors import MayflyError
from mayfly.media.output import Output
from mayfly.media.storage.store import Store
from mayfly.purge import status as purge_status
from mayfly.purge import sweeper
from mayfly.purge.policy import Policy
from mayfly.settings import Settings
from mayfly.tasks import inline, limits

MOST_JOBS = 1000  # of a page

T = TypeVar("T")


class Client:
    """A producer. Opens database, store and broker when it first needs each; usable from several threads.

    The first call of an address that does not answer raises at once. Later on a call goes through an outage: `submit`
    waits for the database for half a minute, `watch`, `wait` and `as_completed` wait for their `timeout`.
    """

    def __init__(self, settings: Settings | None = None, *, on_notice: OnNotice | None = None) -> None:
        """Of these settings, else of the MAYFLY_… variables; without any, the embedded set-up.

        Args:
            settings: where everything is.
            on_notice: gets a sentence, from any thread, when a call waits for something for more than a few seconds.
        """
        if not isinstance(settings, Settings | None):
            raise TypeError("settings are a mayfly.Settings, or None for those of the environment")
        if on_notice is not None and not callable(on_notice):
            raise TypeError("on_notice is a function that takes a sentence, or None")
        self.settings = Settings() if settings is None else settings
        self._on_notice = on_notice
        self._policy = Policy.of(self.settings)
        self._limits = limits.of(self.settings)
        self._services = Services(self.settings)
        registry.load(self.settings.effect_modules)
        inline.use()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close what was opened."""
        self._services.close()

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
        timeout: float | None = None,
    ) -> Job:
        """Upload a picture or video and queue its effect.

        Args:
            source: a path, bytes, or a seekable binary stream.
            effect: an effect's name.
            params: its parameters; what is missing has its default.
            owner: your opaque reference to whom it belongs; never a name or an address.
            consent: your reference to the person's consent.
            idempotency_key: a second submit of the same file and effect with this owner's same key returns the first
                job and uploads nothing, unless that job failed before any worker saw it; then it makes a new one.
            output: codec, quality and more of a video's result; what is not set is the operator's default.
            preview: make before-and-after previews as well; `previews` fetches them.
            timeout: seconds after which a source that gives nothing is waited for no longer.

        Returns:
            The job. A broker that is away does not fail it: the message is sent when the broker is back.

        Raises:
            Overloaded: as much waits as may, of this owner or of all; `retry_after` says in how many seconds to try
                again. Nothing is stored.
            WaitTimeout: the source gave nothing, and `timeout` was over.
            MayflyError: nothing is queued; `code` and text say why.
        """
        end = end_of(timeout)
        wanted = Wanted.check(
            effect, params, owner=owner, consent=consent, key=idempotency_key, output=output, preview=preview
        )
        job, fresh = self._queue(wanted, source, end)
        if fresh:
            self._send([job])
        return Job.of(job)

    def submit_many(
        self,
        sources: Iterable[Source],
        effect: str,
        params: Mapping[str, Any] | None = None,
        *,
        owner: str | None = None,
        consent: str | None = None,
        output: Output | None = None,
        preview: bool = False,
        timeout: float | None = None,
    ) -> list[Job]:
        """Submit several uploads for one effect, a few at a time; `timeout` as of `submit`, for all.

        Returns:
            The jobs in the order of the sources.

        Raises:
            PartlySubmitted: an upload failed when others were queued; it carries their jobs, which go on.
            MayflyError: nothing is queued. All sources are checked before the first is stored, and the text tells the
                position of the one that was refused.
        """
        wanted = Wanted.check(effect, params, owner=owner, consent=consent, output=output, preview=preview)
        end = end_of(timeout)
        if isinstance(sources, str | bytes | os.PathLike) or hasattr(sources, "read"):
            raise TypeError("submit_many takes several sources; for one there is submit")
        sources = _several(sources, "submit_many takes several sources, such as a list of paths")
        with Notices(self._on_notice) as notices:
            for position, source in enumerate(sources, 1):
                notices.on(upload.SOURCE)
                try:
                    with opened(source, end=end) as (stream, size):
                        wanted.check_upload(stream, size, self._limits)
                except MayflyError as error:
                    error.args = (f"{position} of {len(sources)}: {error}",)
                    raise
        rows = many.submit(sources, lambda source: self._queue(wanted, source, end)[0], self._send)
        return [Job.of(row) for row in rows]

    def status(self, job: Job | str | uuid.UUID) -> Job:
        """A job as it is now. Raises UnknownJob."""
        return Job.of(jobs.get(self._engine, _id(job)))

    def jobs(
        self,
        *,
        owner: str | None = None,
        key: str | None = None,
        state: State | str | None = None,
        limit: int = 50,
        after: Job | str | uuid.UUID | None = None,
    ) -> list[Job]:
        """A page of jobs, the newest first. A job loses owner and key when nothing of it is stored any more.

        Args:
            owner: of this owner alone.
            key: the one job of this idempotency key: the owner's, or without an owner the one of nobody.
            state: in this state alone.
            limit: at most so many, up to 1,000; fewer come on the last page.
            after: the last job of the page before; what was submitted meanwhile moves nothing.

        Raises:
            InvalidReference: owner or key is none that a job can have.
            UnknownJob: `after` is the id of no job; a Job serves even when its row is deleted.
            ValueError, TypeError: state or limit cannot be meant.
        """
        check_references(owner=owner, key=key)
        if isinstance(limit, bool) or not isinstance(limit, int):
            raise TypeError("limit is a whole number")
        if not 1 <= limit <= MOST_JOBS:
            raise ValueError(f"limit is at least 1 and at most {MOST_JOBS}")
        if state is not None and state not in list(State):
            raise ValueError(f"state is one of {', '.join(State)}")
        last = None
        if after is not None:
            found = after if isinstance(after, Job) else self.status(after)
            last = found.created_at, _id(found)
        rows = jobs.recent(
            self._engine, limit=limit, owner=owner, key=key, state=None if state is None else State(state), after=last
        )
        return [Job.of(row) for row in rows]

    def watch(self, job: Job | str | uuid.UUID, *, timeout: float | None = None) -> Iterator[Job]:
        """A snapshot now and at every change, the last one in a final state.

        Raises:
            UnknownJob: there is no such job.
            WaitTimeout: it was not finished in `timeout` seconds, or the database was away at their end; it goes on.
        """
        engine, job_id = self._engine, _id(job)
        with Waiting(self._on_notice, timeout) as until:
            yield from waiting.watch(engine, job_id, until)

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
            WaitTimeout: some were not finished in `timeout` seconds, or the database was away at their end; they go on.
        """
        if isinstance(submitted, str | uuid.UUID | Job):
            raise TypeError("as_completed takes several jobs; for one there is wait")
        named = _several(submitted, "as_completed takes several jobs, such as a list of them")
        engine, job_ids = self._engine, {_id(job) for job in named}
        with Waiting(self._on_notice, timeout) as until:
            yield from waiting.completed(engine, job_ids, until)

    def result(self, job: Job | str | uuid.UUID, target: str | os.PathLike[str] | BinaryIO) -> None:
        """Write a job's result to a file, which appears whole or not at all, or to a binary stream.

        Raises:
            UnknownJob, NotReady: there is no such job; it is not finished.
            JobFailed: it failed, `code` is the job's; it was cancelled (JobCancelled).
            ResultGone: its result was destroyed when its time was over.
            InvalidTarget: the file or stream cannot be written.
            StorageError: the store does not answer.
        """
        results.fetch(self._services, _id(job), target)

    def result_suffix(self, job: Job | str | uuid.UUID) -> str:
        """The suffix that suits a job's result, with its dot. Raises as `result`."""
        return results.asset(self._services, _id(job)).suffix

    def previews(self, job: Job | str | uuid.UUID, folder: str | os.PathLike[str]) -> list[Path]:
        """Write a job's previews into a folder: of a picture before and after side by side, of a video a poster and a
        short clip of both.

        Returns:
            The files: `comparison.jpg`, or `poster.jpg` and `comparison.mp4`; none if none were asked for.

        Raises:
            As `result`.
        """
        return results.previews(self._services, _id(job), folder)

    def cancel(self, job: Job | str | uuid.UUID) -> Job:
        """Cancel a job and destroy its assets; a worker that has it stops within seconds.

        Returns:
            The job; one that was finished already is as it was.
        """
        job_id = _id(job)
        self.status(job_id)
        if room.with_reserve(self._engine, lambda: jobs.end(self._engine, job_id, to=State.CANCELLED)):
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
        Wanted.check(effect, params)

    def sweep(self) -> sweeper.Sweep:
        """Destroy now what is due, as beat does every minute; also what was put off since it could not be destroyed."""
        return sweeper.sweep(self._engine, self._store, at_once=True)

    def sweeping(self) -> purge_status.Sweeping:
        """Whether anybody destroys what is due."""
        return purge_status.sweeping(self._engine)

    def held(self) -> dict[str, int]:
        """How many assets of each retention class exist."""
        return assets.held(self._engine)

    def overdue(self) -> dict[str, int]:
        """How many assets of each retention class outlived what was promised."""
        return assets.overdue(self._engine)

    def counted(self) -> dict[history.Counted, int]:
        """What was counted, by day, of jobs and receipts whose rows are gone."""
        return history.counts(self._engine)

    def _queue(self, wanted: Wanted, source: Source, end: float | None) -> tuple[JobRow, bool]:
        """Check and store one input. Returns the job, and False when its idempotency key was known."""
        with Notices(self._on_notice) as notices:
            notices.on(upload.SOURCE)
            with opened(source, end=end) as (stream, size):
                found = wanted.check_upload(stream, size, self._limits)
                self._services.open(notices)
                notices.on(upload.SOURCE)
                request = wanted.request(found, stream, size, self._policy)
                return upload.upload(self._services, request, stream, size, notices)

    def _send(self, queued: Sequence[JobRow]) -> None:
        if queued and self._services.sender is not None:
            self._services.sender.send(queued)

    @property
    def _engine(self) -> sa.Engine:
        return self._services.engine

    @property
    def _store(self) -> Store:
        return self._services.store


def _several(given: Iterable[T], text: str) -> list[T]:
    """What somebody gives, as a list. Raises TypeError with this text when it is not several."""
    if not isinstance(given, Iterable):
        raise TypeError(text)
    return list(given)


def _id(job: Job | str | uuid.UUID) -> uuid.UUID:
    if isinstance(job, uuid.UUID):
        return job
    try:
        return uuid.UUID(job.id if isinstance(job, Job) else job)
    except (ValueError, AttributeError, TypeError):
        raise UnknownJob("this is not a job's id; submit prints it") from None
