"""The embedded set-up: worker, outbox and beat as threads of this process, over the in-process broker."""

from __future__ import annotations

import importlib
import importlib.util
import logging
import os
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

import celery.beat
import celery.worker
import celery.worker.state
import filelock

from db import jobs, segments
from errors import MayflyError
from settings import Settings
from tasks import outbox, runtime
from workers.scratch import Scratch

log = logging.getLogger(__name__)

POLL_SECONDS = 0.05  # how soon a job that another process submitted is seen
START_SECONDS = 30
CONCURRENCY = 3  # a film, a photo beside it, and maintenance


class AlreadyRunning(MayflyError):
    """Another process has the embedded worker of this home."""

    code = "already_running"


class NoWorker(MayflyError):
    """What workers need is not installed."""

    code = "no_worker"


class _Worker(celery.worker.WorkController):  # type: ignore[misc]
    """A Celery worker that says when it is ready."""

    def __init__(self, **options: object) -> None:
        self.ready = threading.Event()
        super().__init__(**options)

    def on_consumer_ready(self, consumer: object) -> None:
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
        self._lock = filelock.FileLock(settings.home / "worker.lock")
        self._scratch = Scratch(settings.home, "scratch")
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start the threads; returns when the worker takes jobs. Raises AlreadyRunning, NoWorker."""
        if importlib.util.find_spec("torch") is None:
            raise NoWorker("this installation can submit but not work; install mayfly[worker]")
        from tasks.app import create

        # Read when torch is first loaded; the supervisor says why.
        os.environ.setdefault("GOMP_SPINCOUNT", "1000")
        self.settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            self._lock.acquire(blocking=False)
        except filelock.Timeout:
            raise AlreadyRunning("a worker of this home is running already; it will take your jobs") from None
        app = create(self.settings)
        app.set_default()
        self._runtime = runtime.start(self.settings, app, scratch=self._scratch.take())
        jobs.adopt(self._runtime.engine)
        segments.adopt(self._runtime.engine)
        self._start_worker(app)
        # Meanwhile, so that the first job need not wait for it so long.
        self._start_thread("warm", lambda: importlib.import_module("torch"))
        self._start_thread("outbox", self._send_unsent)
        # The default scheduler would leave a file in the working folder.
        self._beat = celery.beat.Service(app, scheduler_cls=celery.beat.Scheduler)
        # Not joined: it may sleep for seconds, and sends nothing once it is told to stop.
        threading.Thread(target=self._beat.start, name="beat", daemon=True).start()

    def stop(self) -> None:
        """Stop; a job that is running is taken up by whoever starts next."""
        self._stop.set()
        self._beat.stop()
        celery.worker.state.should_terminate = os.EX_OK
        for thread in self._threads:
            thread.join(timeout=10)
        celery.worker.state.should_terminate = None
        self._runtime.close()
        self._scratch.give_back()
        self._lock.release()

    def interrupt(self) -> None:
        """End `wait`; safe in a signal's handler."""
        self._stop.set()

    def wait(self) -> None:
        """Block until `interrupt` is called."""
        while not self._stop.wait(1):
            pass

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

    def _send_unsent(self) -> None:
        while not self._stop.wait(POLL_SECONDS):
            try:
                outbox.send_unsent(self._runtime)
            except Exception:
                # A thread that ended here would leave every later job standing.
                log.exception("the outbox stumbled; it goes on")
