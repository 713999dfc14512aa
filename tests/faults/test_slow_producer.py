"""A slow upload whose producer lives is not given up, wherever its time goes; what ends one is told as it was."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from mayfly.client.errors import UploadRefused
from mayfly.db.states import State
from mayfly.tasks.messages import outbox
from tests.faults.conftest import Lines, behind_proxies
from tests.faults.producers import Source, later, producer
from tests.integration.stage import wait_for

LEASE = 1.5
LONG = 2.5 * LEASE  # seconds; more than a lease, and more than a notice takes


@pytest.fixture(scope="module")
def short(servers: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lines]:
    """A stage where uploads have short leases."""
    with behind_proxies(servers, tmp_path_factory.mktemp("short"), upload_lease=str(LEASE)) as lines:
        yield lines


@pytest.fixture
def watched(short: Lines) -> Iterator[Lines]:
    """The same, where somebody looks for abandoned uploads all the time."""
    done = threading.Event()

    def look() -> None:
        while not done.wait(0.1):
            outbox.resend(short.stage.runtime)

    looking = threading.Thread(target=look)
    looking.start()
    yield short
    for proxy in short.proxies.values():
        proxy.resume()
        proxy.back()
    done.set()
    looking.join()


def test_a_source_that_is_slow_to_read(watched: Lines, photo: Path):
    told: list[str] = []
    with producer(watched, told, upload_lease=LEASE) as client:
        job = client.submit(Source(photo.read_bytes(), lambda: time.sleep(LONG)), "pass-through")
    assert job.state is State.QUEUED
    assert [line for line in told if "source" in line] == ["waiting for the source to be read …"]


def test_a_store_that_stalls(watched: Lines, photo: Path):
    told: list[str] = []
    store = watched.proxies["store"]
    with producer(watched, told, upload_lease=LEASE) as client:
        client.submit(photo, "pass-through")
        told.clear()
        store.stall()
        with later(LONG, store.resume):
            job = client.submit(photo, "pass-through")
    assert job.state is State.QUEUED
    assert told == ["waiting for the object store to take the upload …"]


def test_a_database_that_goes_away_for_a_moment(watched: Lines, photo: Path):
    database = watched.proxies["database"]

    def cut() -> None:
        database.cut()
        time.sleep(LONG)

    with producer(watched, upload_lease=LEASE) as client:
        assert client.submit(Source(photo.read_bytes(), cut), "pass-through").state is State.QUEUED


def test_a_cancelled_upload_stops_at_its_next_read_and_says_so(watched: Lines, photo: Path):
    direct = watched.stage.client
    owner = str(uuid.uuid4())
    reads = []

    def cancel() -> None:
        (job,) = [one for one in direct.jobs() if one.state is State.UPLOADING]
        direct.cancel(job)
        time.sleep(LEASE)

    class Counted(Source):
        def read(self, size: int | None = -1) -> bytes:
            reads.append(self.tell())
            return super().read(size)

    content = photo.read_bytes() + bytes(40_000_000)
    with producer(watched, upload_lease=LEASE) as client, pytest.raises(UploadRefused, match="cancelled"):
        client.submit(Counted(content, cancel), "pass-through", owner=owner)
    assert max(reads) < len(content) / 2
    job = direct.jobs()[0]
    assert (job.state, watched.stage.objects(job.id)) == (State.CANCELLED, [])


def test_a_producer_that_could_not_be_heard_is_told_that_and_not_that_somebody_cancelled(watched: Lines, photo: Path):
    database, direct = watched.proxies["database"], watched.stage.client

    def vanish() -> None:
        job = direct.jobs()[0]
        database.stall()
        wait_for("the upload's end", lambda: direct.status(job).state is State.FAILED)
        database.resume()
        time.sleep(LEASE)

    with (
        producer(watched, upload_lease=LEASE) as client,
        pytest.raises(UploadRefused, match=r"nothing was heard from this process for 1.5 s") as raised,
    ):
        client.submit(Source(photo.read_bytes() + bytes(40_000_000), vanish), "pass-through")
    assert "cancel" not in str(raised.value)
    job = direct.jobs()[0]
    assert (job.state, job.error) == (State.FAILED, "upload_abandoned")
    assert watched.stage.objects(job.id) == []
