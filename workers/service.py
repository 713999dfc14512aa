"""The process of one service: `python -m workers.service` becomes a Celery worker with spawned children.

The parent imports no torch; a child starts its runtime and warms its effects when Celery has spawned it.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import signal
import sys
from pathlib import Path

from celery import signals

from effects import registry
from effects.contract import Locality, Media
from settings import Settings
from tasks import queues, runtime
from workers import logs, scratch

# What a child inherits from its service.
NAME, QUEUES, DEVICE, SCRATCH, THREADS = (
    f"MAYFLY_SERVICE_{part}" for part in ("NAME", "QUEUES", "DEVICE", "SCRATCH", "THREADS")
)


def main() -> None:
    """Run a service until it is told to stop."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name")
    parser.add_argument("--queues", required=True, help="separated by commas")
    parser.add_argument("--concurrency", type=int, required=True)
    parser.add_argument("--device", required=True)
    parser.add_argument("--threads", type=int, required=True)
    arguments = parser.parse_args()
    settings = Settings()
    logs.configure()
    stop_with_parent()
    folder = scratch.Scratch(settings.scratch, arguments.name)
    os.environ |= {
        NAME: arguments.name,
        QUEUES: arguments.queues,
        DEVICE: arguments.device,
        SCRATCH: str(folder.take()),
        THREADS: str(arguments.threads),
    }

    from tasks.app import app

    options = ["--without-gossip", "--without-mingle", "--loglevel=INFO"]
    try:
        app.worker_main(
            [
                "worker",
                f"--queues={arguments.queues}",
                f"--concurrency={arguments.concurrency}",
                f"--hostname={arguments.name}@%h",
                *options,
            ]
        )
    finally:
        folder.give_back()


@signals.worker_process_init.connect  # type: ignore[untyped-decorator]
def boot_child(**_: object) -> None:
    """Open a spawned child's runtime and warm the effects of its queues."""
    from tasks.app import app

    logs.configure()
    settings = Settings()
    served = os.environ[QUEUES].split(",")
    own = scratch.of_child(Path(os.environ[SCRATCH]))
    opened = runtime.start(settings, app, scratch=own, device=os.environ[DEVICE])
    if any(name not in (queues.MEDIA, queues.MAINTENANCE) for name in served):
        warm(opened, served, threads=int(os.environ[THREADS]))


@signals.worker_process_shutdown.connect  # type: ignore[untyped-decorator]
def close_child(**_: object) -> None:
    """Let a child that ends or is replaced finish what goes on beside its tasks."""
    runtime.current().close()


def stop_with_parent() -> None:
    """Ask Linux for SIGTERM when the supervisor dies, so that no service outlives it unseen."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGTERM)


def warm(opened: runtime.Runtime, served: list[str], *, threads: int) -> None:
    """Set up every effect whose queue is served and run it once, so that no job pays for it."""
    import torch

    torch.set_num_threads(threads)
    for name, effect in registry.load().items():
        declared = effect.declaration
        if declared.locality is Locality.SERVER and any(
            queues.effect_queue(declared.tag, media) in served for media in Media
        ):
            runner = opened.runners.get(name)
            # Nobody is in an empty picture.
            params = declared.parameters(
                **({"missing": "ignore"} if "missing" in declared.parameters.model_fields else {})
            )
            runner(torch.zeros(1, 3, 64, 64, dtype=torch.uint8), params)


if __name__ == "__main__":
    main()
