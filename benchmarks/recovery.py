"""How long a unit stands still after the process that worked on it was killed: a child, or a whole machine's worker.

Two workers share the lane of photos. A "machine" is a worker with a host name of its own, so that the other cannot see
that its processes are gone and has to wait for the lease; where that cannot be had, the worker is killed beside it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import statistics
import subprocess
import time
import uuid
from typing import TYPE_CHECKING, Any

import psutil
import sqlalchemy as sa

from benchmarks import pipeline, servers
from mayfly.db.tables import ATTEMPTS

if TYPE_CHECKING:
    from mayfly import Client

LEASE = 15.0
SECONDS = 3.0  # of work in a job
CHILDREN, WORKERS = 6, 3  # that are killed


def main() -> dict[str, float]:
    """Seconds from SIGKILL to the beginning of the next attempt."""
    found = servers.settings()
    os.environ["MAYFLY_LEASE"] = str(LEASE)
    from mayfly import Client

    client, content = Client(found), pipeline.picture()
    apart = subprocess.run(["unshare", "--uts", "true"], capture_output=True, check=False).returncode == 0
    with contextlib.ExitStack() as stack:
        stack.enter_context(servers.worker(found, photos=1, videos=0))
        stack.enter_context(servers.worker(found, photos=1, videos=0))
        children = [_killed(client, content, whole=False) for _ in range(CHILDREN)]
    workers = []
    for _ in range(WORKERS):
        with contextlib.ExitStack() as stack:
            stack.enter_context(servers.worker(found, photos=1, videos=0, host="first" if apart else None))
            stack.enter_context(servers.worker(found, photos=1, videos=0, host="second" if apart else None))
            workers.append(_killed(client, content, whole=True))
    return {
        "lease, s": LEASE,
        "killed child, s to the next attempt, median": statistics.median(children),
        "killed child, s to the next attempt, worst (at most 5)": max(children),
        "killed worker of another machine, s to the next attempt, median": statistics.median(workers),
        f"killed worker of another machine, worst (at most lease + 10 = {LEASE + 10:.0f})": max(workers),
        "hosts apart": float(apart),
    }


def _killed(client: Client, content: bytes, *, whole: bool) -> float:
    """Kill who works at a job; the seconds until its next attempt begins."""
    job = client.submit(content, "sleep", {"seconds": SECONDS})
    while (held := _attempt(client, job.id, after=0)) is None:
        time.sleep(0.02)
    child = psutil.Process(int(str(held.holder).split(":")[-3]))
    family = _worker_of(child) if whole else [child]
    killed = time.time()
    for process in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGKILL)
    client.wait(job, timeout=300)
    second = _attempt(client, job.id, after=held.number)
    assert second is not None, "the job was done although its process was killed"
    return float(second.started_at.timestamp()) - killed


def _worker_of(child: psutil.Process) -> list[psutil.Process]:
    """The supervisor of a child with all that it has started, the supervisor first."""
    supervisor = next(
        parent for parent in child.parents() if "worker" in parent.cmdline() and "mayfly" in parent.cmdline()
    )
    return [supervisor, *supervisor.children(recursive=True)]


def _attempt(client: Client, job_id: str, *, after: int) -> Any:
    """The first attempt after this number, once it has begun; a unit that lost its worker passes over a number."""
    query = (
        sa.select(ATTEMPTS.c.number, ATTEMPTS.c.holder, ATTEMPTS.c.started_at)
        .where(ATTEMPTS.c.job_id == uuid.UUID(job_id), ATTEMPTS.c.number > after)
        .order_by(ATTEMPTS.c.number)
        .limit(1)
    )
    with client._engine.connect() as connection:
        return connection.execute(query).one_or_none()
