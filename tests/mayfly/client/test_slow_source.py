"""A source that gives nothing: whoever waits is told what for, and waits no longer than they wish."""

import io
import json
import os
import subprocess
import threading
import time
from pathlib import Path

import pytest

from mayfly import Client
from mayfly.cli.console import Exit
from mayfly.client import notices
from mayfly.client.errors import InvalidSource, PartlySubmitted, WaitTimeout
from mayfly.client.upload import SOURCE
from mayfly.db.states import State
from mayfly.media.sniff import HEAD_BYTES
from tests.conftest import mayfly

SECONDS = 60.0  # that anything may take on a busy machine
WAITING = f"waiting for {SOURCE} …"


class Slow(io.BytesIO):
    """A picture that stands still before a moment of its reading, until a test lets it go on."""

    def __init__(self, content, when):
        super().__init__(content)
        self.when, self.go_on = when, threading.Event()

    def read(self, size=-1):
        if self.when(self, size):
            assert self.go_on.wait(SECONDS)
        return super().read(size)

    def seek(self, offset, whence=io.SEEK_SET):
        if whence == io.SEEK_END and self.when(self, None):
            assert self.go_on.wait(SECONDS)
        return super().seek(offset, whence)


STILL = {
    "before its size is known": lambda stream, size: size is None,
    "at its first bytes": lambda stream, size: size == HEAD_BYTES,
    "in its header": lambda stream, size: size == 1,
    "in its content": lambda stream, size: size is not None and size > HEAD_BYTES and stream.tell() == 0,
}


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    monkeypatch.setattr(notices, "AFTER_SECONDS", 0.1)
    monkeypatch.setattr(notices, "LOOK_SECONDS", 0.02)


@pytest.fixture
def source(photo, request):
    made = Slow(photo.read_bytes(), STILL[request.param])
    yield made
    made.go_on.set()


ANYWHERE = pytest.mark.parametrize("source", STILL, indirect=True)


@ANYWHERE
@pytest.mark.parametrize("many", [False, True])
def test_whoever_waits_for_one_is_told(embedded, source, many):
    told = []

    def tell(text):
        if SOURCE in text:
            told.append(text)
            source.go_on.set()

    with Client(embedded, on_notice=tell) as client:
        job = client.submit_many([source], "sleep")[0] if many else client.submit(source, "sleep")
    assert (job.state, told) == (State.QUEUED, [WAITING])


@ANYWHERE
@pytest.mark.parametrize("many", [False, True])
def test_nobody_waits_for_longer_than_they_wish(embedded, source, many):
    with Client(embedded) as client:
        with pytest.raises(WaitTimeout):
            if many:
                client.submit_many([source], "sleep", timeout=0.1)
            else:
                client.submit(source, "sleep", timeout=0.1)
        assert [job.state for job in client.jobs()] in ([], [State.FAILED])
        assert list(client._store.objects()) == []


def test_what_comes_at_once_is_taken_whatever_the_time(embedded, photo, monkeypatch):
    files = Path("/proc/self/fd")
    with Client(embedded) as client:
        client.submit(photo, "sleep", timeout=0)
        with pytest.raises(InvalidSource):
            client.submit(photo.with_name("nowhere"), "sleep", timeout=0)
        with photo.open("rb") as stream:
            client.submit_many([photo, stream, photo.read_bytes()], "sleep", timeout=0)
            assert not stream.closed
        assert [job.state for job in client.jobs()] == [State.QUEUED] * 4
        content = [client._store.read(entry.key) for entry in client._store.objects()]
        assert content == [photo.read_bytes()] * 4
    end = time.monotonic() + SECONDS
    while str(photo) in [str(path.readlink()) for path in files.iterdir() if path.is_symlink()]:
        assert time.monotonic() < end


def test_of_several_the_others_are_told(embedded, photo, monkeypatch):
    monkeypatch.setattr("mayfly.client.many.UPLOADS", 1)
    slow = Slow(photo.read_bytes(), STILL["in its content"])
    with Client(embedded) as client, pytest.raises(PartlySubmitted) as raised:
        client.submit_many([photo, slow, photo], "sleep", timeout=0.1)
    slow.go_on.set()
    assert (raised.value.code, raised.value.position, len(raised.value.submitted)) == ("wait_timeout", 2, 1)


def test_a_pipe_is_waited_for_with_a_word_and_then_refused(embedded, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    told = []

    def write(text):
        told.append(text)
        os.close(os.open(pipe, os.O_WRONLY))

    with Client(embedded, on_notice=write) as client, pytest.raises(InvalidSource, match="pipe"):
        client.submit(pipe, "sleep")
    assert told[0] == WAITING


def test_a_pipe_that_is_there_too_late_is_closed(embedded, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with Client(embedded) as client, pytest.raises(WaitTimeout):
        client.submit(pipe, "sleep", timeout=0.1)
    os.close(os.open(pipe, os.O_WRONLY))
    end = time.monotonic() + SECONDS
    with pytest.raises(OSError, match="No such device"):
        while time.monotonic() < end:
            os.close(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))


def test_the_command_waits_for_a_pipe_until_its_timeout_and_goes_on(embedded, photo, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    command = [mayfly(), "submit", "sleep", pipe, photo, "--timeout", "1", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    first, second = (json.loads(line) for line in done.stdout.splitlines())
    assert (first["job"], first["error"]) == (None, "wait_timeout")
    assert (second["state"], second["error"]) == ("queued", None)
    assert done.returncode == Exit.TIMEOUT
    assert done.stderr.startswith("wait_timeout: pipe: the source could not be read")
