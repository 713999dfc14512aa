"""What every task of a process shares: settings, database, store, broker, effects. Nothing about any job."""

from __future__ import annotations

import dataclasses
import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import celery
import sqlalchemy as sa

from mayfly.db import engine as engines
from mayfly.db import migrate
from mayfly.effects import registry
from mayfly.media import storage
from mayfly.media.limits import Limits
from mayfly.media.storage.store import Store
from mayfly.purge.destroyer import Destroyer
from mayfly.purge.policy import Policy
from mayfly.settings import Settings
from mayfly.tasks import inline, limits, models
from mayfly.tasks.attempts import outage
from mayfly.tasks.attempts.working import Working
from mayfly.tasks.messages.sender import Sender

if TYPE_CHECKING:
    from mayfly.effects.runner import Runner


CONNECTIONS = 6
"""To the database, of each child: its task, its watch, what is destroyed beside it, and a store's progress at most."""

log = logging.getLogger(__name__)


class Runners:
    """The effects of this process, each set up when it is first wanted and then kept."""

    def __init__(self, device: str) -> None:
        self.device = device
        self._runners: dict[str, Runner] = {}
        self._lock = threading.Lock()

    def get(self, name: str) -> Runner:
        """The runner of an effect. Raises mayfly.effects.errors.UnknownEffect or WeightsError."""
        from mayfly.effects.runner import Runner

        with self._lock:
            if name not in self._runners:
                self._runners[name] = Runner(registry.find(name)(), self.device)
            return self._runners[name]


@dataclasses.dataclass(frozen=True)
class Runtime:
    """The parts, opened once a process."""

    settings: Settings
    engine: sa.Engine
    store: Store
    policy: Policy
    limits: Limits
    destroyer: Destroyer
    sender: Sender
    runners: Runners
    scratch: Path
    stopping: threading.Event = dataclasses.field(default_factory=threading.Event)
    """Set when this process is to stop: videos are handed back at their next frame, and nothing more is taken."""
    working: Working = dataclasses.field(default_factory=Working)
    store_away: threading.Event = dataclasses.field(default_factory=threading.Event)
    """Set when a unit was given back because of the store; the next is taken once it answers."""
    outages: outage.Seen = dataclasses.field(default_factory=outage.Seen)
    end_process: Callable[[], None] | None = None
    """Ends this process at once, for work that does not end by itself; None where other work shares the process."""

    def close(self) -> None:
        """Finish what goes on beside the tasks."""
        self.destroyer.close()


_current: Runtime | None = None


def start(
    settings: Settings,
    app: celery.Celery,
    *,
    scratch: Path,
    device: str = "cpu",
    runners: Runners | None = None,
    end_process: Callable[[], None] | None = None,
    effects: bool = True,
) -> Runtime:
    """Open the parts and make them this process's runtime, with effects that were set up before if there are any.

    A process that applies no `effects` fetches no models. Raises DatabaseMissing, StorageError, FolderRefused.
    """
    global _current
    if effects:
        models.use(settings)
        inline.use()
    # Before the database, whose connections would be left open where the store is away.
    store = storage.connect(settings.resolved_storage_url)
    store.prepare()
    for line in store.protect().wrong:
        log.warning("the object store: %s", line)
    engine = engines.connect(settings.resolved_database_url, part="worker", connections=CONNECTIONS)
    migrate.ensure(engine)
    _current = Runtime(
        settings=settings,
        engine=engine,
        store=store,
        policy=Policy.of(settings),
        limits=limits.of(settings),
        destroyer=Destroyer(engine, store),
        sender=Sender(app, engine, settings),
        runners=runners or Runners(device),
        scratch=scratch,
        end_process=end_process,
    )
    return _current


def move(scratch: Path) -> Runtime:
    """Give this process's runtime another folder to work in from now on."""
    global _current
    _current = dataclasses.replace(current(), scratch=scratch)
    return _current


def current() -> Runtime:
    """The runtime of this process; workers start it before the first task."""
    if _current is None:
        raise RuntimeError("no runtime: this process was not started by `mayfly worker`, `mayfly up` or a client")
    return _current
