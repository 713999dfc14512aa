"""A worker's child, which Celery has forked: how it becomes whole before it takes anything, and how it ends."""

from __future__ import annotations

import dataclasses
import importlib
import logging
import os
import signal
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import billiard.util
import celery
from celery import signals

from mayfly.effects import registry
from mayfly.effects.contract import Locality, Media
from mayfly.errors import MayflyError
from mayfly.settings import Settings
from mayfly.tasks import models, runtime
from mayfly.tasks.messages import queues
from mayfly.tasks.runtime import Runners
from mayfly.workers import logs, opening, parents, scratch

log = logging.getLogger(__name__)

STOP = signal.SIGUSR2
"""Tells a child to hand back what it has. Caught by a thread, for the main one may be in a long native call."""

BROKEN_SECONDS = 1.0  # before a child that cannot boot ends
ORPHAN_SECONDS = 4.0  # at most, for what a child has in hand when its service has died


@dataclasses.dataclass(frozen=True, kw_only=True)
class Assignment:
    """What the children of a service are for; they inherit it.

    Attributes:
        settings: the worker's.
        app: for their broker.
        served: the queues whose messages they get.
        device: torch's name of the device of their effects.
        threads: of torch, for each child.
        scratch: the service's folder of scratch.
        service: the number of the service's process.
    """

    settings: Settings
    app: celery.Celery
    served: Sequence[str]
    device: str
    threads: int
    scratch: Path
    service: int = dataclasses.field(default_factory=os.getpid)


def assign(assignment: Assignment) -> None:
    """Say, in the service, what its children are for, and load what they need; before Celery forks the first."""
    if serves_effects(assignment.served):
        load()
    signals.worker_process_init.connect(lambda **_: boot(assignment), weak=False)
    signals.worker_process_shutdown.connect(close, weak=False)


def boot(assignment: Assignment) -> None:
    """Make this child whole; until it returns, Celery gives the child nothing.

    While a server is away it waits. Celery swallows what is raised here and would let the child take messages; so a
    child that cannot boot ends instead, and its service with it, which gives back what it has and is started again.
    """
    # First, for every thread inherits it.
    signal.pthread_sigmask(signal.SIG_BLOCK, {STOP})
    threading.Thread(target=_await_stop, args=(assignment.service,), name="stop", daemon=True).start()
    parents.follow(assignment.service, STOP)
    logs.configure()
    try:
        runners = Runners(assignment.device)
        if serves_effects(assignment.served):
            # First, for it takes seconds, which are better spent while a server is away than when it is back.
            _try_device(assignment)
            if not _in_place_of_another.is_set():
                models.use(assignment.settings)
                warm(runners, assignment.served)
        _open(assignment, runners)
    except Exception as error:  # noqa: BLE001 - whatever it is, this child must not work
        log.error("this child cannot work (%s); its service is started again", describe(error))
        time.sleep(BROKEN_SECONDS)
        os.kill(assignment.service, signal.SIGTERM)
        end()
    # From now on it has something to hand back.
    _whole.set()


def close(**_: object) -> None:
    """Let a child that ends or is replaced finish what goes on beside its tasks."""
    rt = runtime.current()
    rt.close()
    if rt.stopping.is_set():
        # Billiard would wait for a second until its parent, which is stopping as well, has noticed.
        end()


def end() -> None:
    """End this process at once, and whatever it has started."""
    parents.kill_descendants()
    os._exit(os.EX_OK)


def serves_effects(served: Sequence[str]) -> bool:
    """Whether any of these queues carries effects."""
    return any(name not in (queues.MEDIA, queues.MAINTENANCE) for name in served)


def describe(error: BaseException) -> str:
    """What may be said of an error in a log: our own sentence, of others the type."""
    return f"{error.code}: {error}" if isinstance(error, MayflyError) else type(error).__name__


def load() -> None:
    """Import, in the service, what children need to apply effects, and use none of it: not even torch's threads.

    What fails here fails again in a child, which says it.
    """
    try:
        importlib.import_module("torch")
        importlib.import_module("mayfly.effects.runner")
        registry.load()
    except Exception as error:  # noqa: BLE001 - an effect may be anybody's
        log.debug("effects cannot be loaded (%s)", describe(error))


def warm(runners: Runners, served: Sequence[str]) -> None:
    """Set up every effect whose queue is served and run it once, so that no job pays for it.

    An effect that cannot be set up does not keep the child from the others. Raises what the last one raised if none
    can be.
    """
    import torch

    worked, failed = False, None
    for name, effect in registry.load().items():
        declared = effect.declaration
        if declared.locality is not Locality.SERVER or not any(
            queues.effect_queue(declared.tag, media) in served for media in Media
        ):
            continue
        try:
            runner = runners.get(name)
            # Nobody is in an empty picture.
            params = declared.parameters(
                **({"missing": "ignore"} if "missing" in declared.parameters.model_fields else {})
            )
            runner(torch.zeros(1, 3, 64, 64, dtype=torch.uint8), params)
            worked = True
        except Exception as error:  # noqa: BLE001 - an effect may be anybody's
            log.error("the effect %s cannot be warmed (%s); going on without", name, describe(error))
            failed = error
    if failed is not None and not worked:
        raise failed


def _try_device(assignment: Assignment) -> None:
    """Load torch and use the device once: a child whose GPU is gone must not take jobs."""
    import torch

    torch.set_num_threads(assignment.threads)
    torch.zeros(1, device=assignment.device)


def _open(assignment: Assignment, runners: Runners) -> None:
    """Open the runtime, however long a server is away."""
    settings, app, own = assignment.settings, assignment.app, scratch.of_child(assignment.scratch)
    opening.patiently(
        lambda: runtime.start(settings, app, scratch=own, runners=runners, end_process=end),
        log,
        waiting="this child takes nothing until it is back",
        back="this child is whole",
    )


_whole = threading.Event()
_in_place_of_another = threading.Event()


def skip_warming() -> None:
    """Say, in the service, that its children have all begun: one that takes another's place goes on at once."""
    _in_place_of_another.set()


def _await_stop(service: int) -> None:
    """Hand everything back when the service says so, or when it has died."""
    signal.sigwait({STOP})
    if not _whole.is_set():
        end()
    rt = runtime.current()
    rt.stopping.set()
    if os.getppid() != service:
        # Billiard would say at length that its pipe to the service is broken.
        billiard.util.get_logger().setLevel(logging.CRITICAL)
        rt.working.wait_idle(ORPHAN_SECONDS)
        end()
