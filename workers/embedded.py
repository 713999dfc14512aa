"""The embedded set-up: worker, outbox and maintenance as threads of this process, over the in-process broker."""

from __future__ import annotations

import importlib
import importlib.util
import logging
import os
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

import celery.worker
import celery.worker.consumer
import celery.worker.state
import filelock
from celery.exceptions import WorkerTerminate

from mayfly import folders
from mayfly.db import changes, jobs, room, segments
from mayfly.db.changes import Changes
from mayfly.db.errors import DatabaseFull, DatabaseMissing
from mayfly.effects import registry
from mayfly.errors import MayflyError
from mayfly.settings import Settings
from mayfly.tasks import runtime
from mayfly.tasks.messages import outbox
from mayfly.tasks.rounds import Rounds
from mayfly.tasks.runtime import Runtime
from mayfly.workers import scratch
from mayfly.workers.scratch import Slot

log = logging.getLogger(__name__)

POLL_SECONDS = 0.05  # between two looks into the tables while much is written
CHANGE_SECONDS = 0.25  # how soon a job that another process submitted is seen; this process's own is seen at once
TROUBLE_SECONDS = 1.0  # between two tries of the outbox that failed
START_SECONDS = 30
# What is being worked at is handed back after 1.5 seconds at most; only a machine without a core to spare needs more,
# and an attempt is worth more than a second.
HAND_BACK_SECONDS = 5.0
END_SECONDS = 0.5  # for the threads, once nothing is worked at
LOOK_SECONDS = 0.2  # how soon the worker's thread sees that it is to stop
BUSY_SECONDS = 0.5  # after the last task, in which the worker looks for messages as often as its broker is polled
CONCURRENCY = 3  # a film, a photo beside it, and the probe or join of another film


class AlreadyRunning(MayflyError):
    """Another process has the embedded worker of this home."""

    code = "already_running"
    remedy = "Use the worker that runs, or set another MAYFLY_HOME."


class NoWorker(MayflyError):
    """What workers need is not installed."""

    code = "no_worker"
    remedy = "Install `mayfly[worker]`, or submit to a Mayfly that has workers."


def is_running(settings: Settings) -> bool:
    """Whether a process has the embedded worker of this home."""
    if not settings.home.is_dir():
        return False  # and asking for the lock would make it, open to others
    lock = _lock_of(settings)
    try:
        lock.acquire(blocking=False)
    except filelock.Timeout:
        return True
    except OSError:
        return False  # there is no such home
    lock.release()
    return False


def _lock_of(settings: Settings) -> filelock.BaseFileLock:
    # Whoever waits for the lock in a thread gives it back from another.
    return filelock.FileLock(settings.home / "worker.lock", thread_local=False)


class _Worker(celery.worker.WorkController):  # type: ignore[misc]
    """A Celery worker that says when it is ready, takes nothing before it may, and ends soon.

    Its pool's threads are left to what they are at.
    """

    def __init__(self, **options: object) -> None:
        self.ready, self.taking, self.ending = threading.Event(), threading.Event(), threading.Event()
        super().__init__(**options)

    def on_consumer_ready(self, consumer: celery.worker.consumer.Consumer) -> None:
        drain, written = consumer.connection.drain_events, changes.subscribe()
        busy_until = 0.0

        def drain_or_end(timeout: float) -> None:
            nonlocal busy_until
            if self.ending.is_set():
                raise WorkerTerminate(os.EX_OK)
            if celery.worker.state.reserved_requests:
                busy_until = time.monotonic() + BUSY_SECONDS
            # Celery would wait two seconds for a message.
            timeout = min(timeout, LOOK_SECONDS)
            if not self.taking.wait(timeout):
                raise TimeoutError
            if time.monotonic() < busy_until:
                # A thread that becomes free tells nobody.
                drain(timeout=timeout)
                return
            written.clear()
            try:
                drain(timeout=0)
            except TimeoutError:
                # Whoever sends a message notes in the table that it is sent.
                if not written.wait(timeout):
                    raise

        consumer.connection.drain_events = drain_or_end
        self.ready.set()


class Embedded:
    """Runs everything of one home while it is entered; at most one process a home.

    >>> with Embedded(settings):  # doctest: +SKIP
    ...     job = Client(settings).submit("me.jpg", "anime")
    """

    def __init__(self, settings: Settings) -> None:
        if not settings.embedded:
            raise ValueError("the embedded set-up is for settings without URLs")
        self.settings = settings
        self._lock = _lock_of(settings)
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._runtime: Runtime | None = None
        self._slot: Slot | None = None
        self._worker: _Worker | None = None
        self._rounds: Rounds | None = None
        self._changes: Changes | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start the threads; returns when the worker takes jobs, or where the disk is full and it will.

        Raises AlreadyRunning, NoWorker, DatabaseMissing, FolderRefused.
        """
        folders.private(self.settings.home, what="the folder of MAYFLY_HOME")
        try:
            self._lock.acquire(blocking=False)
        except filelock.Timeout:
            raise AlreadyRunning("a worker of this home is running already; it will take your jobs") from None
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> bool:
        """Stop within some five seconds; what is worked at is handed back. Harmless when there is nothing to stop.

        Returns:
            False when a thread is still in a call that cannot be ended. What it makes is not wanted any more, but
            Python waits for it before the process ends.
        """
        self._stop.set()
        rt = self._runtime
        if rt is not None:
            rt.stopping.set()
        if self._rounds is not None:
            self._rounds.stop(0)
        if self._changes is not None:
            self._changes.wake()
        if self._worker is not None:
            self._worker.ending.set()
        if rt is not None:
            rt.working.wait_idle(HAND_BACK_SECONDS)
        ended = self._end_threads(time.monotonic() + END_SECONDS)
        if rt is not None:
            self._runtime = None
            rt.close()
        if ended and self._slot is not None:
            # Else a thread still works in it, and this process has it until it ends.
            self._slot.give_back()
            self._slot = None
        self._lock.release()
        return ended

    def interrupt(self) -> None:
        """End `wait`; safe in a signal's handler."""
        self._stop.set()

    def wait(self) -> None:
        """Block until `interrupt` is called."""
        while not self._stop.wait(1):
            pass

    def _start(self) -> None:
        if importlib.util.find_spec("torch") is None:
            raise NoWorker("this installation can submit but not work; install mayfly[worker]")
        from mayfly.tasks.app import create
        from mayfly.tasks.stages import effect

        # This process may have made its tasks before it knew these effects.
        registry.load(self.settings.effect_modules)
        effect.make_tasks()
        # Read when torch is first loaded; the supervisor says why.
        os.environ.setdefault("GOMP_SPINCOUNT", "1000")
        app = create(self.settings)
        app.set_default()
        self._runtime = runtime.start(self.settings, app, scratch=scratch.place(self.settings))
        self._start_worker(app)
        try:
            self._begin()
        except DatabaseFull as error:
            self._runtime.outages.note(error.code)
            log.warning("%s: %s; jobs go on once there is room", error.code, error)
        # Meanwhile, so that the first job need not wait for it so long.
        self._start_thread("warm", lambda: importlib.import_module("torch"))
        self._changes = Changes(self._runtime.engine)
        self._start_thread("outbox", self._send_unsent)
        # No beat and no message: of the worker's threads all may be at films.
        self._rounds = Rounds(self._runtime, patience=1)
        self._rounds.start()
        self._start_thread("scratch", self._sweep_scratch)

    def _begin(self) -> None:
        """Take a folder to work in, and up what an earlier worker has left; not before that may this one take jobs.

        Raises DatabaseFull.
        """
        assert self._runtime is not None and self._worker is not None
        if self._worker.taking.is_set():
            return
        if self._slot is None:
            try:
                self._slot = Slot.take(scratch.place(self.settings))
            except OSError as error:
                if error.errno in room.FULL:
                    raise DatabaseFull(room.FULL_TEXT) from None
                raise
            self._runtime = runtime.move(self._slot.path)
        jobs.adopt(self._runtime.engine)
        segments.adopt(self._runtime.engine)
        self._worker.taking.set()

    def _start_worker(self, app: celery.Celery) -> None:
        self._worker = _Worker(
            app=app,
            hostname="embedded",
            pool="threads",
            concurrency=CONCURRENCY,
            without_heartbeat=True,
            without_mingle=True,
            without_gossip=True,
        )
        self._start_thread("worker", self._worker.start)
        if not self._worker.ready.wait(START_SECONDS):
            raise MayflyError("the embedded worker did not start")

    def _start_thread(self, name: str, target: Callable[[], object]) -> None:
        thread = threading.Thread(target=target, name=name, daemon=True)
        thread.start()
        self._threads.append(thread)

    def _end_threads(self, end: float) -> bool:
        """Wait for all threads until a time of the monotonic clock. Whether they have ended."""
        threads = list(self._threads)
        for thread in threads:
            thread.join(max(0.0, end - time.monotonic()))
        if self._worker is not None:
            # After the worker's own thread, which hands tasks to it.
            executor = self._worker.pool.executor
            executor.shutdown(wait=False, cancel_futures=True)
            threads += executor._threads
        for thread in threads:
            thread.join(max(0.0, end - time.monotonic()))
        swept = self._rounds is None or self._rounds.stop(max(0.0, end - time.monotonic()))
        return swept and not any(thread.is_alive() for thread in threads)

    def _send_unsent(self) -> None:
        assert self._runtime is not None and self._changes is not None
        rt, written, told = self._runtime, self._changes, False
        pause = 0.0
        while not self._stop.wait(pause):
            try:
                self._begin()
                # What is unsent becomes so by a write, and by nothing else.
                if changed := written.wait(CHANGE_SECONDS):
                    outbox.send_unsent(rt)
            except Exception as error:  # noqa: BLE001 - a thread that ended here would leave every later job standing
                if not (told or isinstance(error, DatabaseFull)):
                    what = error.code if isinstance(error, DatabaseMissing) else type(error).__name__
                    log.warning("%s: the outbox goes on trying", what)
                told, pause = True, TROUBLE_SECONDS
                # So that what it has not seen is seen again.
                written.close()
            else:
                told, pause = False, POLL_SECONDS if changed else 0.0
        written.close()

    def _sweep_scratch(self) -> None:
        while True:
            # Its own, where a thread of an earlier worker or a killed process left something; and this machine's.
            for place in (scratch.place(self.settings), self.settings.scratch):
                scratch.sweep(scratch.own(place))
            if self._stop.wait(scratch.SWEEP_SECONDS):
                return
