"""Whatever a caller passes, what comes out is an error of Mayfly's, or a TypeError or ValueError with our sentence."""

import datetime
import io
import math
import os
import uuid

import pytest

from mayfly import (
    Client,
    InvalidParameters,
    InvalidReference,
    InvalidSource,
    InvalidTarget,
    NoEffectModule,
    Output,
    Settings,
    UnknownEffect,
    UnknownJob,
)
from mayfly.workers.embedded import Embedded

SECRET = "anna-secret"
JPEG = b"\xff\xd8\xff" + bytes(100)


class Failing(io.BytesIO):
    """A stream with a mistake in one of its methods."""

    def __init__(self, name, error):
        super().__init__(JPEG)
        self.name, self.error = name, error

    def fail(self, name):
        if name == self.name:
            raise self.error(SECRET)

    def read(self, size=-1):
        self.fail("read")
        return super().read(size)

    def tell(self):
        self.fail("tell")
        return super().tell()

    def seek(self, *place):
        self.fail("seek")
        return super().seek(*place)


class Answering(io.BytesIO):
    """A stream that answers each method with one thing."""

    def __init__(self, **answers):
        super().__init__(JPEG)
        self.answers = answers

    def read(self, size=-1):
        return self.answers["read"] if "read" in self.answers else super().read(size)

    def tell(self):
        return self.answers["tell"] if "tell" in self.answers else super().tell()

    def seek(self, *place):
        return self.answers["seek"] if "seek" in self.answers else super().seek(*place)


class Generous(io.BytesIO):
    """A stream that gives more than it is asked for; one that never ended would fill any store."""

    left = 50  # reads, so that a test of code without a guard fills no disk

    def read(self, size=-1):
        if size <= 100_000:
            return super().read(size)
        self.left -= 1
        return bytes(size + 1) if self.left else b""


class Named:
    """A path that is none."""

    def __init__(self, name):
        self.name = name

    def __fspath__(self):
        return self.name


def closed():
    stream = io.BytesIO(JPEG)
    stream.close()
    return stream


def open_pipe():
    end, other = os.pipe()
    os.close(other)
    return os.fdopen(end, "rb")


SOURCES = {
    "a StringIO": lambda _: io.StringIO("text"),
    "a closed stream": lambda _: closed(),
    "a file of text": lambda folder: (folder / "text").open("w+"),
    "a file for writing": lambda folder: (folder / "file").open("wb"),
    "a folder": lambda folder: folder,
    "a file that is missing": lambda folder: folder / SECRET,
    "a file that root may not read either": lambda _: "/proc/1/mem",
    "a pipe that is open": lambda _: open_pipe(),
    "an object with the name of no file": lambda _: Named(17),
    "an object with a name in bytes": lambda _: Named(SECRET.encode()),
    "NUL": lambda _: f"{SECRET}\0",
    "no text in Unicode": lambda _: "\udcff",
    "nothing": lambda _: None,
    "a number": lambda _: 17,
    "a list": lambda _: [JPEG],
    "a class": lambda _: io.BytesIO,
    **{
        f"{name} raises {error.__name__}": lambda _, name=name, error=error: Failing(name, error)
        for name in ("read", "tell", "seek")
        for error in (OSError, RuntimeError, KeyError)
    },
    "read gives None": lambda _: Answering(read=None),
    "read gives text": lambda _: Answering(read="text"),
    "read gives too much": lambda _: Answering(read=JPEG * 1000),
    "read gives too much once it is stored": lambda _: Generous(JPEG + bytes(8_000_000)),
    "tell gives text": lambda _: Answering(tell="0"),
    "seek gives None": lambda _: Answering(seek=None),
}

REQUESTS = {
    **{f"effect {value!r}": (UnknownEffect, {"effect": value}) for value in (None, 17, b"sleep", ["sleep"], {})},
    **{
        f"params {value!r}": (InvalidParameters, {"params": value})
        for value in (
            *([], [1], [("seconds", 1)], "seconds=1", 0, 17, {"seconds"}),
            *({1: 2}, {SECRET.encode(): 1}, {None: 1}, {(1, SECRET): 2}),
            *({"seconds": "\udcff"}, {"seconds": math.inf}, {"seconds": [SECRET]}),
        )
    },
    **{
        f"{name} {value!r}": (InvalidReference, {name: value})
        for name in ("owner", "consent", "idempotency_key")
        for value in (17, b"bytes", "", "x" * 256, "a\0", "\udcff", [], uuid.UUID(int=1))
    },
    **{
        f"output {value!r}": (TypeError, {"output": value})
        for value in ({"codec": "hevc"}, "hevc", False, [SECRET], Output)
    },
    **{f"preview {value!r}": (TypeError, {"preview": value}) for value in (None, "no", 1)},
}

JOBS = [None, 17, 1.5, b"bytes", [], {"id": SECRET}, SECRET, "", str(uuid.UUID(int=1)), uuid.UUID(int=1)]
CALLS_OF_A_JOB = {
    "status": Client.status,
    "watch": lambda client, job: list(client.watch(job)),
    "wait": Client.wait,
    "as_completed": lambda client, job: list(client.as_completed([job])),
    "result": lambda client, job: client.result(job, io.BytesIO()),
    "result_suffix": Client.result_suffix,
    "previews": lambda client, job: client.previews(job, "."),
    "cancel": Client.cancel,
}

TIMEOUTS = {
    **{f"{value!r}": (TypeError, value) for value in ("1", b"1", True, [1], datetime.timedelta(seconds=1))},
    **{f"{value!r}": (ValueError, value) for value in (-1, -0.001, math.nan, -math.inf)},
}
WAITS = {
    "watch": lambda client, timeout: list(client.watch(uuid.UUID(int=1), timeout=timeout)),
    "submit": lambda client, timeout: client.submit(JPEG, "sleep", timeout=timeout),
    "submit_many": lambda client, timeout: client.submit_many([JPEG], "sleep", timeout=timeout),
    "wait": lambda client, timeout: client.wait(uuid.UUID(int=1), timeout=timeout),
    "as_completed": lambda client, timeout: list(client.as_completed([uuid.UUID(int=1)], timeout=timeout)),
}

TARGETS = {
    "a StringIO": lambda _: io.StringIO(),
    "a closed stream": lambda _: closed(),
    "a file of text": lambda folder: (folder / "text").open("w"),
    "a file for reading": lambda folder: (folder / "there").open("rb"),
    "a folder": lambda folder: folder,
    "a folder that is missing": lambda folder: folder / "none" / f"{SECRET}.jpg",
    "a folder that is a file": lambda folder: folder / "there" / f"{SECRET}.jpg",
    "a folder that takes no file": lambda _: f"/proc/{SECRET}.jpg",
    "a name that is too long": lambda folder: folder / (SECRET * 50),
    "an object with the name of no file": lambda _: Named(17),
    "an object with a name in bytes": lambda _: Named(SECRET.encode()),
    "NUL": lambda folder: folder / f"{SECRET}\0",
    "an empty name": lambda _: "",
    "this folder": lambda _: ".",
    "the root": lambda _: "/",
    "nothing": lambda _: None,
    "a number": lambda _: 17,
    "bytes": lambda _: SECRET.encode(),
    "a list": lambda _: [],
    "a stream with a mistake": lambda _: Broken(),
}
# What names a folder for previews as well.
FOLDERS = [
    *("nothing", "a number", "a list", "an object with the name of no file", "an object with a name in bytes", "NUL"),
    *("a folder that is missing", "a folder that is a file", "a folder that takes no file", "a StringIO"),
]


class Broken:
    def write(self, data):
        raise RuntimeError(SECRET)


def refused(error, call):
    """That a call ends in this very error, with a sentence of ours that repeats nothing."""
    with pytest.raises(error) as raised:
        call()
    text = str(raised.value)
    assert " " in text.strip() and SECRET not in text
    # What Python itself says of a wrong type is about our code, not about what to do.
    assert not any(word in text for word in ("object", "unsupported operand", "unhashable", "argument"))
    return text


@pytest.fixture
def made(tmp_path):
    """Make what a table describes; what was opened for it is closed."""
    given = []

    def make(table, what):
        (tmp_path / "there").write_bytes(b"")
        given.append(table[what](tmp_path))
        return given[0]

    yield make
    if isinstance(given[0], io.IOBase):
        given[0].close()


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    with Client(Settings(home=tmp_path_factory.mktemp("home"))) as client:
        yield client


@pytest.fixture(scope="module")
def finished(opened, photo):
    """A job with a result and previews."""
    with Embedded(opened.settings):
        return opened.wait(opened.submit(photo, "pass-through", preview=True), timeout=60)


@pytest.mark.parametrize("timeout", [None, 60])
@pytest.mark.parametrize("what", SOURCES)
def test_sources(opened, made, what, timeout):
    begun, source = {job.id for job in opened.jobs()}, made(SOURCES, what)
    refused(InvalidSource, lambda: opened.submit(source, "sleep", timeout=timeout))
    # One that fails when it is stored already has a row, and nothing else is left of it.
    left = [job for job in opened.jobs() if job.id not in begun]
    assert [job.error for job in left] == (["invalid_source"] if "stored" in what else [])
    assert list(opened._store.objects("input/")) == []


def test_what_a_callers_own_stream_raised_is_shown_to_the_caller(opened):
    with pytest.raises(InvalidSource) as raised:
        opened.submit(Failing("read", RuntimeError), "sleep")
    assert isinstance(raised.value.__cause__, RuntimeError)


@pytest.mark.parametrize("what", REQUESTS)
def test_requests(opened, photo, what):
    error, given = REQUESTS[what]
    given = {"effect": "sleep"} | given
    for call in (lambda: opened.submit(photo, **given), lambda: opened.submit_many([photo], **given)):
        if "idempotency_key" not in given or call.__code__.co_names[0] == "submit":
            refused(error, call)


@pytest.mark.parametrize("what", [None, 17, "photo.jpg", b"bytes", io.BytesIO], ids=repr)
def test_several(opened, what):
    what = what(JPEG) if isinstance(what, type) else what
    refused(TypeError, lambda: opened.submit_many(what, "sleep"))


@pytest.mark.parametrize("what", [None, 17, SECRET, uuid.UUID(int=1)], ids=repr)
def test_several_jobs(opened, what):
    refused(TypeError, lambda: list(opened.as_completed(what)))


@pytest.mark.parametrize("job", JOBS, ids=repr)
@pytest.mark.parametrize("name", CALLS_OF_A_JOB)
def test_jobs(opened, name, job):
    refused(UnknownJob, lambda: CALLS_OF_A_JOB[name](opened, job))


@pytest.mark.parametrize("what", TIMEOUTS)
@pytest.mark.parametrize("name", WAITS)
def test_timeouts(opened, name, what):
    error, timeout = TIMEOUTS[what]
    refused(error, lambda: WAITS[name](opened, timeout))


@pytest.mark.parametrize("timeout", [math.inf, 1e308, 0])
def test_timeouts_may_be_long(opened, finished, timeout):
    assert opened.wait(finished, timeout=timeout) == opened.status(finished)


@pytest.mark.parametrize("what", TARGETS)
def test_targets(opened, finished, made, tmp_path, what):
    target = made(TARGETS, what)
    refused(InvalidTarget, lambda: opened.result(finished, target))
    assert {path.name for path in tmp_path.iterdir()} <= {"there", "text"}


@pytest.mark.parametrize("what", FOLDERS)
def test_folders(opened, finished, made, what):
    target = made(TARGETS, what)
    refused(InvalidTarget, lambda: opened.previews(finished, target))


@pytest.mark.parametrize("given", [{"settings": {}}, {"settings": "home"}, {"on_notice": 17}], ids=repr)
def test_clients(given):
    refused(TypeError, lambda: Client(**given))


@pytest.mark.parametrize("module", ["no_such_module", "benchmarks.no_such_module", f"{SECRET} {SECRET}"])
def test_modules_of_effects(tmp_path, module):
    refused(NoEffectModule, lambda: Client(Settings(home=tmp_path, effect_modules=(module,))))


@pytest.mark.parametrize(
    ("error", "given"),
    [
        *((TypeError, {"limit": value}) for value in (None, "3", 1.5, True)),
        *((ValueError, {"limit": value}) for value in (0, -1, 1001, 10**30)),
        *((ValueError, {"state": value}) for value in (SECRET, "", 17, b"done", [])),
        *((InvalidReference, {name: value}) for name in ("owner", "key") for value in (17, b"x", "", "\0")),
        *((UnknownJob, {"after": value}) for value in (17, b"x", SECRET, uuid.UUID(int=1))),
    ],
    ids=repr,
)
def test_pages(opened, error, given):
    refused(error, lambda: opened.jobs(**given))
