"""The sender: one message with one id, and the table knows what the broker has confirmed."""

import contextlib
import time
import types

import amqp.exceptions
import kombu.exceptions
import pytest

from benchmarks.effects import PassThrough
from mayfly.db import assets, claims, jobs, segments
from mayfly.db.errors import DatabaseMissing
from mayfly.db.states import Retention, Stage
from mayfly.effects.errors import UnknownEffect
from mayfly.tasks.messages import sender
from mayfly.tasks.messages.sender import Sender
from tests.rows import HOUR

EFFECT = PassThrough.declaration.name


class Connection:
    """Of a producer; counts how often it was given up."""

    transport = types.SimpleNamespace(driver_type="memory")

    def __init__(self, *, used):
        self.connected, self.given_up = used, 0

    def ensure_connection(self, *, max_retries):
        assert max_retries == 0, "nobody waits for a broker that is away"
        self.connected = True
        return self

    def collect(self):
        self.connected = False
        self.given_up += 1


class App:
    """Remembers messages; raises `error` for the attempts that `fails` counts, or for all once `room` are sent."""

    def __init__(self, room=99, error=None, *, fails=0, used=False):
        self.room, self.error, self.fails, self.messages = room, error, fails, []
        self.connection = Connection(used=used)
        self.attempts, self.revived = 0, []

    @contextlib.contextmanager
    def producer_or_acquire(self):
        yield types.SimpleNamespace(connection=self.connection, revive=self.revived.append)

    def send_task(self, name, *, producer, **options):
        assert producer.connection is self.connection
        self.attempts += 1
        if self.attempts <= self.fails or len(self.messages) == self.room:
            raise self.error
        self.messages.append((name, options))


def advance(rt, job_id):
    claim = claims.take(rt.engine, job_id, stage=Stage.INGEST, holder="h", lease=60)
    assert claims.advance(rt.engine, claim, to=Stage.EFFECT, units_total=1)
    return jobs.get(rt.engine, job_id)


def test_a_route_for_each_stage_and_kind(rt, job):
    photo, video = (jobs.get(rt.engine, job(media=media, effect="enhance")) for media in ("image", "video"))
    assert sender.route(photo) == ("ingest", "media")
    assert sender.route(video) == ("ingest", "media")
    assert sender.route(advance(rt, photo.id)) == ("effects.enhance", "gpu.photo")
    assert sender.route(advance(rt, video.id)) == ("effects.enhance", "gpu.video")


def test_an_effect_that_is_not_here_has_no_route(rt, job):
    with pytest.raises(UnknownEffect):
        sender.route(advance(rt, job(effect="elsewhere")))


def test_a_message_carries_the_id_and_nothing_else(rt, job):
    app = App()
    job_id = job(parameters={"strength": 0.5}, owner="anna")
    assert Sender(app, rt.engine, rt.settings).send(jobs.unsent(rt.engine, limit=9)) == 1
    ((name, options),) = app.messages
    assert (name, options.pop("args"), options.pop("queue")) == ("ingest", (str(job_id),), "media")
    assert options == {
        "argsrepr": "-",
        "kwargsrepr": "-",
        "ignore_result": True,
        "mandatory": True,
        "retry": False,
    }
    assert jobs.unsent(rt.engine, limit=9) == []


def wrapped(error):
    """As kombu raises what amqp raised."""
    outer = kombu.exceptions.OperationalError(str(error))
    outer.__cause__ = error
    return outer


AWAY = [
    kombu.exceptions.OperationalError("x"),
    amqp.exceptions.AccessRefused("x"),
    amqp.exceptions.ConnectionForced("x"),
    ConnectionResetError(),
    TimeoutError(),
    wrapped(TimeoutError()),
]
REFUSED = [amqp.exceptions.NotFound("x"), amqp.exceptions.ChannelError("x"), wrapped(amqp.exceptions.MessageNacked())]


@pytest.mark.parametrize("error", AWAY, ids=repr)
def test_what_the_broker_did_not_take_stays_unsent(rt, job, error):
    ids = [job() for _ in range(3)]
    app = App(1, error)
    assert Sender(app, rt.engine, rt.settings).send(jobs.unsent(rt.engine, limit=9)) == 1
    assert [found.id for found in jobs.unsent(rt.engine, limit=9)] == ids[1:]
    assert app.attempts <= 3, "one failure is enough for all that follow"
    assert not app.connection.connected


@pytest.mark.parametrize("error", REFUSED, ids=repr)
def test_one_that_was_refused_keeps_no_other_waiting(rt, job, error):
    ids = [job() for _ in range(3)]
    app = App(error=error, fails=1)
    assert Sender(app, rt.engine, rt.settings).send(jobs.unsent(rt.engine, limit=9)) == 2
    assert [found.id for found in jobs.unsent(rt.engine, limit=9)] == ids[:1]
    assert app.connection.given_up == 1


def test_a_connection_that_has_ended_meanwhile_costs_nothing(rt, job):
    job()
    app = App(error=ConnectionResetError(), fails=1, used=True)
    assert Sender(app, rt.engine, rt.settings).send(jobs.unsent(rt.engine, limit=9)) == 1
    assert app.connection.given_up == 1


@pytest.mark.parametrize("error", [TimeoutError(), wrapped(TimeoutError())], ids=repr)
def test_nobody_waits_twice_for_an_answer(rt, job, error):
    job()
    app = App(error=error, fails=1, used=True)
    assert Sender(app, rt.engine, rt.settings).send(jobs.unsent(rt.engine, limit=9)) == 0
    assert app.attempts == 1


def test_a_broker_that_gave_no_answer_is_left_alone_for_a_while(rt, job, monkeypatch):
    monkeypatch.setattr(sender, "ANSWER_SECONDS", 0.0)
    monkeypatch.setattr(sender, "PAUSE_SECONDS", 0.3)
    job()
    app = App(error=TimeoutError(), fails=1)
    opened = Sender(app, rt.engine, rt.settings)
    assert [opened.send(jobs.unsent(rt.engine, limit=9)) for _ in range(3)] == [0, 0, 0]
    assert app.attempts == 1
    time.sleep(0.4)
    assert opened.send(jobs.unsent(rt.engine, limit=9)) == 1


@pytest.fixture
def cut(rt, job):
    """A job in three segments, none of which is sent."""
    claim = claims.take(
        rt.engine, advance(rt, job(media="video", effect=EFFECT)).id, stage=Stage.EFFECT, holder="h", lease=60
    )
    planned = []
    for number in range(3):
        with rt.engine.begin() as connection:
            piece = assets.reserve(
                connection,
                claim.job.id,
                retention=Retention.INTERMEDIATE,
                suffix=".mp4",
                attempt=claim.fence,
                due_after=HOUR,
                deadline_after=HOUR,
                lease=60,
            )
        planned.append(segments.Plan(piece_id=piece.id, size=1, window={"shown_from": number}))
    assert segments.plan(rt.engine, claim, planned, video={}, units_total=3)
    return claim.job.id


def unsent_segments(rt):
    return [segment.number for _, segment in segments.unsent(rt.engine, limit=9)]


def test_segments_are_sent_by_their_numbers_and_noted(rt, cut):
    app = App()
    assert Sender(app, rt.engine, rt.settings).send_segments(segments.unsent(rt.engine, limit=9)) == 3
    assert [options["args"] for _, options in app.messages] == [(str(cut), number) for number in range(3)]
    assert {name for name, _ in app.messages} == {"effects.pass-through"}
    assert unsent_segments(rt) == []


@pytest.mark.parametrize("error", AWAY, ids=repr)
def test_segments_that_the_broker_did_not_take_stay_unsent(rt, cut, error):
    app = App(1, error)
    assert Sender(app, rt.engine, rt.settings).send_segments(segments.unsent(rt.engine, limit=9)) == 1
    assert unsent_segments(rt) == [1, 2]


@pytest.mark.parametrize("error", REFUSED, ids=repr)
def test_a_segment_that_was_refused_keeps_no_other_waiting(rt, cut, error):
    app = App(error=error, fails=1)
    assert Sender(app, rt.engine, rt.settings).send_segments(segments.unsent(rt.engine, limit=9)) == 2
    assert unsent_segments(rt) == [0]


@pytest.mark.parametrize("kind", ["jobs", "segments"])
def test_what_was_sent_and_could_not_be_noted_is_sent_again(rt, job, cut, monkeypatch, kind):
    def away(*_):
        raise DatabaseMissing("the database does not answer")

    module = {"jobs": jobs, "segments": segments}[kind]
    job()
    app = App()
    opened = Sender(app, rt.engine, rt.settings)
    send = {"jobs": opened.send, "segments": opened.send_segments}[kind]
    waiting = module.unsent(rt.engine, limit=9)
    with monkeypatch.context() as patch:
        patch.setattr(module, "mark_sent", away)
        assert send(waiting) == len(waiting) == len(app.messages)
    assert len(module.unsent(rt.engine, limit=9)) == len(waiting)


def test_another_error_is_not_the_brokers(rt, job):
    job()
    app = App(0, KeyError("x"), used=True)
    with pytest.raises(KeyError):
        Sender(app, rt.engine, rt.settings).send(jobs.unsent(rt.engine, limit=9))
    assert (app.attempts, app.connection.given_up) == (1, 1)


def test_a_connection_that_was_given_up_is_opened_anew(rt, job):
    job()
    app = App(error=ConnectionResetError(), fails=1, used=True)
    assert Sender(app, rt.engine, rt.settings).send(jobs.unsent(rt.engine, limit=9)) == 1
    assert app.revived == [app.connection]


def test_a_broker_has_a_short_time_for_each_step(rt, job):
    job()
    app, limits = App(), []
    app.connection.transport = types.SimpleNamespace(driver_type="amqp")
    app.connection.connection = types.SimpleNamespace(sock=types.SimpleNamespace(settimeout=limits.append))
    assert Sender(app, rt.engine, rt.settings).send(jobs.unsent(rt.engine, limit=9)) == 1
    assert limits == [sender.ANSWER_SECONDS] == [2.0]


def test_a_broker_that_answered_that_it_is_away_is_asked_again(rt, job):
    job()
    app = App(error=ConnectionResetError(), fails=1)
    opened = Sender(app, rt.engine, rt.settings)
    assert [opened.send(jobs.unsent(rt.engine, limit=9)) for _ in range(2)] == [0, 1]


def test_sending_nothing_asks_nobody(rt):
    assert Sender(App(0, OSError()), rt.engine, rt.settings).send([]) == 0


def test_a_job_without_its_effects_module_keeps_no_other_waiting(rt, job):
    app = App()
    first = advance(rt, job(effect="elsewhere"))
    second = jobs.get(rt.engine, job())
    Sender(app, rt.engine, rt.settings).send([first, second])
    assert [options["args"] for _, options in app.messages] == [(str(second.id),)]
