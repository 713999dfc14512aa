"""Stops and kills of the embedded worker at random moments of a video: the job goes on, and a stop costs no attempt."""

from __future__ import annotations

import random
import subprocess
import time
import uuid
from pathlib import Path

import pytest

from mayfly.client.client import Client
from mayfly.client.job import Job
from mayfly.db import jobs
from mayfly.db.rows import JobRow
from mayfly.db.states import State
from mayfly.settings import Settings
from mayfly.workers.embedded import Embedded
from tests.conftest import mayfly

STOP_SECONDS = 3.0
BUSY_SECONDS = 7.0  # more on a machine with no core to spare


def row(client: Client, job: Job) -> JobRow:
    """What the table says of a job."""
    return jobs.get(client._engine, uuid.UUID(job.id))


def wait_effect(client: Client, job: Job) -> None:
    """Wait until a job is at its effect, or done."""
    end = time.monotonic() + 60
    while not (found := row(client, job)).state.final and (found.stage != "effect" or found.state != "running"):
        assert time.monotonic() < end, found
        time.sleep(0.02)


def submit(client: Client, film: Path) -> Job:
    """A video that takes ten seconds."""
    return client.submit(film, "sleep", {"seconds": 0.1})


@pytest.mark.parametrize(
    "count", [3, pytest.param(20, marks=[pytest.mark.long, pytest.mark.timeout(1800)])], ids=["few", "many"]
)
def test_stops_in_mid_video(embedded: Settings, film: Path, count: int) -> None:
    with Client(embedded) as client:
        job, times, ended = submit(client, film), [], []
        for _ in range(count):
            worker = Embedded(embedded)
            worker.start()
            wait_effect(client, job)
            time.sleep(random.uniform(0, 1.5))
            begun, slot = time.monotonic(), worker._slot
            clean = worker.stop()
            times.append(time.monotonic() - begun)
            found = row(client, job)
            assert not (clean and slot is not None and slot.path.exists())
            if found.state.final:
                ended.append(found.state)
                job = submit(client, film)
                continue
            assert (found.state, found.tries) == (State.QUEUED, 0), found
        assert max(times) < STOP_SECONDS + BUSY_SECONDS, times
        assert set(ended) <= {State.DONE}
        with Embedded(embedded):
            assert client.wait(job, timeout=120).state is State.DONE
        print(f"seconds of {count} stops: {min(times):.2f} to {max(times):.2f}")


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_kills_in_mid_video(embedded: Settings, film: Path) -> None:
    with Client(embedded) as client:
        ended = []
        for _ in range(10):
            job = submit(client, film)
            # A job that kills its worker three times is taken for the reason; two kills are ours.
            for _ in range(2):
                process = subprocess.Popen([mayfly(), "up"], stderr=subprocess.DEVNULL)
                wait_effect(client, job)
                time.sleep(random.uniform(0, 1.5))
                process.kill()
                process.wait(30)
            with Embedded(embedded):
                ended.append(client.wait(job, timeout=120).state)
        assert ended == [State.DONE] * 10
