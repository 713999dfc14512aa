"""The process of one service: `python -m mayfly.workers.service` becomes a Celery worker with forked children.

The parent loads what every child needs and uses none of it: whatever torch, OpenCV or CUDA begin to do in a process
does not survive a fork. A child starts its runtime and warms its effects once Celery has forked it.
"""

from __future__ import annotations

import argparse
import atexit
import logging
import os
import signal
import sys
from pathlib import Path

from mayfly.errors import MayflyError
from mayfly.settings import Settings
from mayfly.tasks.app import create
from mayfly.workers import child, drain, logs, parents, scratch

log = logging.getLogger(__name__)


def main() -> None:
    """Run a service until it is told to stop."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name")
    parser.add_argument("--worker", required=True, help="what tells this worker's node names from those of others")
    parser.add_argument("--supervisor", type=int, required=True, help="the process with which this one ends")
    parser.add_argument("--slot", type=Path, required=True, help="the worker's folder of scratch")
    parser.add_argument("--queues", required=True, help="separated by commas")
    parser.add_argument("--concurrency", type=int, required=True)
    parser.add_argument("--device", required=True)
    parser.add_argument("--threads", type=int, required=True)
    arguments = parser.parse_args()
    logs.configure()
    parents.follow(arguments.supervisor, signal.SIGTERM)
    try:
        code = run(arguments)
    except MayflyError as error:
        log.error("service %s: %s: %s", arguments.name, error.code, error)
        code = parents.EXPLAINED
    # Taking all modules apart would take longer than stopping did.
    atexit._run_exitfuncs()
    sys.stdout.flush()
    os._exit(code)


def run(arguments: argparse.Namespace) -> int:
    """The service itself; returns its exit code."""
    slot = scratch.Slot.share(arguments.slot)
    settings = Settings()
    app = create(settings)
    app.loader.import_default_modules()
    child.assign(
        child.Assignment(
            settings=settings,
            app=app,
            served=arguments.queues.split(","),
            device=arguments.device,
            threads=arguments.threads,
            scratch=slot.path / arguments.name,
        )
    )
    app.steps["worker"].add(drain.Drain)
    options = ["--without-gossip", "--without-mingle", "--loglevel=INFO"]
    try:
        app.worker_main(
            [
                "worker",
                f"--queues={arguments.queues}",
                f"--concurrency={arguments.concurrency}",
                f"--hostname={arguments.name}-{arguments.worker}@%h",
                *options,
            ]
        )
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else os.EX_OK
    finally:
        slot.give_back()
    return os.EX_OK


if __name__ == "__main__":
    main()
