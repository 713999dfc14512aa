"""A message that is none of ours goes to the dead letters at once, and the lane that met it notices nothing."""

from __future__ import annotations

import datetime
import gzip
import json
import uuid
from collections.abc import Iterator
from pathlib import Path

import pika
import psutil
import pytest

from mayfly import Client
from mayfly.db.states import State
from mayfly.settings import Settings
from mayfly.tasks.app import create
from mayfly.tasks.messages import broker, queues
from mayfly.workers.embedded import Embedded
from tests.integration.stage import Process, Stage, opened, wait_for

PHOTOS = "cpu.photo"
MARK = "content-of-a-stranger"  # nothing that holds it may be logged
EMBED = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}


@pytest.fixture(scope="module")
def stage(servers: dict[str, str], tmp_path_factory: pytest.TempPathFactory, photo: Path) -> Iterator[Stage]:
    """A stage with a warm worker and without beat, so that dead letters stay."""
    with opened(servers, tmp_path_factory.mktemp("foreign")) as stage:
        stage.start_worker()
        assert stage.wait_final(stage.queue("pass-through", photo), seconds=120).state is State.DONE
        yield stage


@pytest.fixture(scope="module")
def worker(stage: Stage) -> Process:
    return stage.processes[0]


def message(task="effects.pass-through", arguments=(MARK,), keywords=None, **headers):
    """A message of Celery's second protocol: properties and body."""
    job_id = str(uuid.uuid4())
    common = {"lang": "py", "task": task, "id": job_id, "argsrepr": "-", "kwargsrepr": "-", "retries": 0}
    properties = pika.BasicProperties(
        content_type="application/json", content_encoding="utf-8", headers=common | headers, delivery_mode=2
    )
    return properties, json.dumps([list(arguments), keywords or {}, EMBED])


def plain(body, **properties):
    """A message of another kind."""
    given = {"content_type": "application/json", "content_encoding": "utf-8", "delivery_mode": 2}
    return pika.BasicProperties(**given | properties), body


LATER = (datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=30)).isoformat()
SOME = str(uuid.uuid4())

FOREIGN = {
    "a number": plain("42"),
    "nothing": plain(""),
    "null": plain("null"),
    "text": plain(json.dumps(MARK)),
    "a list": plain(json.dumps([MARK])),
    "no JSON": plain(MARK),
    "no UTF-8": plain(b"\xff\xfe\x00"),
    "deep": plain("[" * 100_000),
    "huge": plain(json.dumps([[MARK * 500_000], {}, EMBED])),
    "no properties": (pika.BasicProperties(), MARK),
    "pickle": plain(b"\x80\x04N.", content_type="application/x-python-serialize", content_encoding="binary"),
    "yaml": plain(MARK, content_type="application/x-yaml"),
    "no charset": plain(MARK, content_encoding="no-such-charset"),
    "first protocol": plain(json.dumps({"task": "effects.pass-through", "id": SOME, "args": [SOME], "kwargs": {}})),
    "unpackable": plain(
        MARK, headers={"task": "effects.pass-through", "id": SOME, "compression": "application/x-gzip"}
    ),
    "packed": plain(
        gzip.compress(b"42"), headers={"task": "effects.pass-through", "id": SOME, "compression": "application/x-gzip"}
    ),
    "unknown task": message("effects.no-such-effect", (SOME,)),
    "Celery's own task": message("celery.map", ({"task": "effects.pass-through"}, [[MARK]])),
    "task of another kind": message(42, (SOME,)),
    "no arguments": message(arguments=()),
    "too many arguments": message(arguments=(SOME, 1, MARK)),
    "no id": message(arguments=(MARK,)),
    "an id of another kind": message(arguments=(42,)),
    "an id in another form": message(arguments=(SOME.replace("-", ""),)),
    "a negative segment": message(arguments=(SOME, -1)),
    "a segment beyond its column": message(arguments=(SOME, 2**31)),
    "a segment of another kind": message(arguments=(SOME, True)),
    "keywords": message(arguments=(), keywords={"job_id": SOME}),
    "arguments to a periodic task": message("purge.sweep", (MARK,)),
    "eta": message(arguments=(SOME,), eta=LATER),
    "no eta": message(arguments=(SOME,), eta=MARK),
    "no expiry": message(arguments=(SOME,), expires=MARK),
    "expired": message(arguments=(SOME,), expires="2001-01-01T00:00:00+00:00"),
    "limits": message(arguments=(SOME,), timelimit=MARK),
    "negative limits": message(arguments=(SOME,), timelimit=[None, -5]),
    "id of a message": message(arguments=(SOME,), id=MARK),
    "stamps": message(arguments=(SOME,), stamped_headers=42),
    "shadow": message(arguments=(SOME,), shadow=MARK),
}


def publish(stage: Stage, queue: str, given: tuple[pika.BasicProperties, str | bytes]) -> None:
    with broker.channel(stage.settings) as channel:
        channel.basic_publish("", queue, given[1], given[0], mandatory=True)


def dead(stage: Stage) -> int:
    with broker.channel(stage.settings) as channel:
        return channel.queue_declare(queues.DEAD_LETTERS, passive=True).method.message_count


def services(worker: Process) -> set[int]:
    return {process.pid for process in psutil.Process(worker.popen.pid).children()}


def refusals(worker: Process) -> int:
    return worker.text.count("is not one of ours; it is rejected")


def check_refused(stage: Stage, worker: Process, given: tuple[pika.BasicProperties, str | bytes]) -> None:
    letters, lines, before = dead(stage), refusals(worker), services(worker)
    publish(stage, PHOTOS, given)
    wait_for("the dead letter", lambda: dead(stage) > letters, seconds=20, pause=0.02)
    wait_for("a line in the log", lambda: refusals(worker) > lines, seconds=20)
    assert dead(stage) == letters + 1
    assert refusals(worker) == lines + 1
    assert services(worker) == before
    assert "Traceback" not in worker.text
    assert MARK not in worker.text


@pytest.mark.parametrize("name", FOREIGN)
def test_it_goes_to_the_dead_letters_at_once(stage: Stage, worker: Process, name: str):
    check_refused(stage, worker, FOREIGN[name])


def test_a_date_beyond_pythons_calendar(stage: Stage, worker: Process, monkeypatch: pytest.MonkeyPatch):
    # Pika writes none; other clients write milliseconds where seconds belong.
    monkeypatch.setattr("pika.data.calendar.timegm", lambda _moment: 1_800_000_000_000_000)
    check_refused(stage, worker, plain(MARK, headers={"x": datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)}))


def test_the_lane_goes_on(stage: Stage, worker: Process, photo: Path):
    for given in FOREIGN.values():
        publish(stage, PHOTOS, given)
    job = stage.queue("pass-through", photo)
    for given in FOREIGN.values():
        publish(stage, PHOTOS, given)
    assert stage.wait_final(job, seconds=20).state is State.DONE
    assert "Traceback" not in worker.text


BOMB = gzip.compress(b"0" * 200_000_000)

COMMANDS = {
    "no JSON": plain(MARK),
    "a number": plain("42"),
    "a list": plain(json.dumps([MARK])),
    "another kind": plain(MARK, content_type="application/x-yaml"),
    "packed": plain(BOMB, headers={"compression": "application/x-gzip"}),
    "an unknown method": plain(json.dumps({"method": MARK, "arguments": {}})),
    "no method": plain(json.dumps({MARK: 42})),
    "arguments of another kind": plain(json.dumps({"method": "ping", "arguments": [MARK]})),
    "a clock of another kind": plain(json.dumps({"method": "ping"}), headers={"clock": MARK}),
    "receivers of another kind": plain(json.dumps({"method": "ping", "destination": 42})),
}


def test_a_foreign_command_is_dropped(stage: Stage, worker: Process):
    before, connections = services(worker), worker.text.count("Connected to")
    with broker.channel(stage.settings) as channel:
        for properties, body in COMMANDS.values():
            channel.basic_publish("celery.pidbox", "", body, properties)
    # The mailbox answers in order: after this answer all of them were met.
    answers = create(stage.settings).control.ping(timeout=5)
    assert len(answers) == len(before)
    assert services(worker) == before
    assert worker.text.count("Connected to") == connections
    assert worker.text.count("is no command of Celery's") >= len(before)
    assert "Traceback" not in worker.text
    assert MARK not in worker.text


def test_a_packed_message_is_not_unpacked(stage: Stage, worker: Process):
    family = {process.pid: process.memory_info().rss for process in psutil.Process(worker.popen.pid).children()}
    headers = {"task": "effects.pass-through", "id": SOME, "compression": "application/x-gzip"}
    for _ in range(3):
        check_refused(stage, worker, plain(BOMB, headers=headers))
    for pid, before in family.items():
        # VmHWM: what it had at most.
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        peak = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
        assert peak < before + 100_000_000


def test_maintenance_drops_it(stage: Stage, worker: Process):
    letters, lines = dead(stage), refusals(worker)
    publish(stage, queues.MAINTENANCE, FOREIGN["a number"])
    wait_for("a line in the log", lambda: refusals(worker) > lines, seconds=20)
    wait_for("an empty queue", lambda: broker.depths(stage.settings)[queues.MAINTENANCE] == 0, seconds=20)
    assert dead(stage) == letters


def test_embedded_it_stops_nobody(embedded: Settings, photo: Path, caplog: pytest.LogCaptureFixture):
    app = create(embedded)
    with Embedded(embedded), Client(embedded) as client, app.connection_for_write() as connection:
        producer = connection.Producer()
        for foreign in (42, "x", [["x"], {}, {}]):
            producer.publish(foreign, exchange="", routing_key="cpu.photo", serializer="json")
        headers = {"task": "effects.pass-through", "id": "x", "eta": "2099-01-01T00:00:00+00:00"}
        producer.publish([["x"], {}, {}], exchange="", routing_key="cpu.photo", serializer="json", headers=headers)
        assert client.wait(client.submit(photo, "pass-through"), timeout=60).state is State.DONE
    refused = [record for record in caplog.records if "is not one of ours" in record.message]
    assert len(refused) == 4
    assert not any(record.exc_info for record in caplog.records)
