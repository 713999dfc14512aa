"""Processes that a benchmark starts on the real servers: our workers, and a bare Celery worker beside them."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pika
import pika.exceptions
import sqlalchemy as sa

from mayfly.db import engine as engines
from mayfly.db import migrate
from mayfly.settings import Settings
from mayfly.tasks.messages import broker

START_SECONDS = 180
MODULES = "benchmarks.effects"
ROOT = Path(__file__).parents[1]


def settings() -> Settings:
    """Settings of the real servers; ends with a sentence when there are none."""
    os.environ["MAYFLY_EFFECT_MODULES"] = MODULES
    found = Settings()
    if found.embedded:
        sys.exit('this benchmark needs the real servers: make bench, or eval "$(scripts/services up)"')
    return found


@contextlib.contextmanager
def database(url: str) -> Iterator[sa.Engine]:
    """A migrated database of this run alone on that server: the servers' own may hold what others try."""
    name = f"bench-{uuid.uuid4().hex[:12]}"
    server = sa.create_engine(url, isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execute(sa.text(f'create database "{name}"'))
    engine = engines.connect(server.url.set(database=name).render_as_string(hide_password=False), part="benchmark")
    try:
        migrate.ensure(engine)
        yield engine
    finally:
        engine.dispose()
        with server.connect() as connection:
            connection.execute(sa.text(f'drop database "{name}" with (force)'))
        server.dispose()


@contextlib.contextmanager
def worker(
    found: Settings, *, photos: int, videos: int, allow_cpu: bool = False, host: str | None = None
) -> Iterator[None]:
    """`mayfly worker` and `mayfly beat`, ready for work.

    With `allow_cpu` for effects that want a GPU as well; with `host` on a machine of that name, which takes root.
    """
    queues = [*(["cpu.photo"] if photos else []), *(["cpu.video"] if videos else []), "media"]
    work = [sys.executable, "-m", "mayfly", "worker", f"--photos={photos}", f"--videos={videos}"]
    work += ["--allow-cpu"] if allow_cpu else []
    if host is not None:
        work = ["unshare", "--uts", "sh", "-c", 'hostname "$0" && exec "$@"', host, *work]
    with _process(work), _process([sys.executable, "-m", "mayfly", "beat"]):
        _wait_for_consumers(found, queues)
        yield


@contextlib.contextmanager
def bare_worker(found: Settings, *, concurrency: int) -> Iterator[None]:
    """A Celery worker with Celery's own defaults, for benchmarks.bare."""
    command = [sys.executable, "-m", "celery", "-A", "benchmarks.bare", "worker", "-Q", "bare", "-c", str(concurrency)]
    with _process([*command, "--without-gossip", "--without-mingle", "--hostname=bare@%h"]):
        _wait_for_consumers(found, ["bare"])
        yield


@contextlib.contextmanager
def _process(command: list[str]) -> Iterator[None]:
    # A worker's services do not look into the folder that it is started in.
    own = {"MAYFLY_SCRATCH": tempfile.mkdtemp(prefix="mayfly-bench-"), "PYTHONPATH": str(ROOT)}
    with tempfile.TemporaryFile() as log:
        child = subprocess.Popen(command, env=os.environ | own, stdout=log, stderr=log, cwd=ROOT)
        try:
            yield
        finally:
            child.terminate()
            try:
                child.wait(90)
            except subprocess.TimeoutExpired:
                child.kill()


def _wait_for_consumers(found: Settings, queues: list[str]) -> None:
    end = time.monotonic() + START_SECONDS
    waiting = set(queues)
    while waiting:
        if time.monotonic() > end:
            sys.exit(f"no worker consumes {', '.join(sorted(waiting))}")
        for name in list(waiting):
            with contextlib.suppress(pika.exceptions.ChannelClosedByBroker), broker.channel(found) as channel:
                if channel.queue_declare(name, passive=True).method.consumer_count:
                    waiting.discard(name)
        time.sleep(0.5)
    # Children warm up after their parent consumes.
    time.sleep(8)
