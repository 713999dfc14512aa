"""The process of maintenance: `python -m mayfly.workers.maintenance` destroys what is due and sends what stands still.

It shares nothing with the work of jobs, so that no film holds up a deletion. It is a single process that loads neither
torch nor media; its messages come by a Celery worker without children, and it works as well while none comes.
"""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import signal
import sys
import threading
import time

import celery
from celery import signals

from mayfly.settings import Settings
from mayfly.tasks import runtime
from mayfly.tasks.app import create
from mayfly.tasks.messages import queues
from mayfly.tasks.rounds import Rounds
from mayfly.tasks.runtime import Runtime
from mayfly.workers import logs, opening, parents

log = logging.getLogger(__name__)

STOP_SECONDS = 2.0  # for what is being destroyed or sent; the next one does it again
ALONE_SECONDS = 60.0  # without messages, which could not be had, before everything is started anew


def main() -> None:
    """Run the process until it is told to stop."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name")
    parser.add_argument("--worker", required=True, help="what tells this worker's node names from those of others")
    parser.add_argument("--supervisor", type=int, required=True, help="the process with which this one ends")
    arguments = parser.parse_args()
    logs.configure()
    parents.follow(arguments.supervisor, signal.SIGTERM)
    settings = Settings()
    learn_effects(settings)
    app = application(settings)
    rounds = Rounds(opened(settings, app))
    rounds.start()
    signals.worker_shutting_down.connect(lambda **_: threading.Thread(target=end, args=(rounds,)).start(), weak=False)
    consume(app, f"{arguments.name}-{arguments.worker}@%h")
    log.error("no messages come; what is due goes by the clock, and this process starts anew in %d s", ALONE_SECONDS)
    time.sleep(ALONE_SECONDS)
    end(rounds)


def application(settings: Settings) -> celery.Celery:
    """The application of this process, which knows no other tasks than those of maintenance."""
    app = create(settings)
    app.conf.imports = ("mayfly.tasks.maintenance",)
    return app


def learn_effects(settings: Settings) -> None:
    """Load the operator's effects, by which messages find their queue; one that is broken must not hold up the rest."""
    for name in settings.effect_modules:
        try:
            importlib.import_module(name)
        except Exception as error:  # noqa: BLE001 - it may be anybody's
            log.error("a module of MAYFLY_EFFECT_MODULES cannot be loaded (%s); going on without", type(error).__name__)


def opened(settings: Settings, app: celery.Celery) -> Runtime:
    """The runtime, once database and store answer; without them nothing can be destroyed."""
    return opening.patiently(
        # It has no use for scratch, and makes none.
        lambda: runtime.start(settings, app, scratch=settings.scratch, effects=False),
        log,
        waiting="maintenance begins once it is back",
        back="maintenance begins",
    )


def consume(app: celery.Celery, node: str) -> None:
    """Take messages, which only ask; waits for a broker that is away. Returns when that cannot go on."""
    options = ["--pool=solo", "--without-gossip", "--without-mingle", "--loglevel=INFO"]
    try:
        app.worker_main(["worker", f"--queues={queues.MAINTENANCE}", f"--hostname={node}", *options])
    except SystemExit:
        return
    except Exception as error:  # noqa: BLE001 - whatever the broker says, what is due must go
        log.error("the broker's messages cannot be taken (%s)", type(error).__name__)


def end(rounds: Rounds) -> None:
    """End this process; nothing that it does needs an end of its own."""
    rounds.stop(STOP_SECONDS)
    sys.stdout.flush()
    os._exit(os.EX_OK)


if __name__ == "__main__":
    main()
