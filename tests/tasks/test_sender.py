"""The sender: one message with one id, and the table knows what the broker has confirmed."""

import amqp.exceptions
import kombu.exceptions
import pytest

from db import claims, jobs
from db.states import Stage
from effects.errors import UnknownEffect
from tasks import sender
from tasks.sender import Sender


class App:
    """Remembers messages; raises `error` once `room` are sent."""

    def __init__(self, room=99, error=None):
        self.room, self.error, self.messages = room, error, []

    def send_task(self, name, **options):
        if len(self.messages) == self.room:
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
    }
    assert jobs.unsent(rt.engine, limit=9) == []


@pytest.mark.parametrize(
    "error",
    [
        kombu.exceptions.OperationalError("x"),
        amqp.exceptions.NotFound("x"),
        ConnectionResetError(),
        TimeoutError(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_the_broker_did_not_take_stays_unsent(rt, job, error):
    ids = [job() for _ in range(3)]
    assert Sender(App(1, error), rt.engine, rt.settings).send(jobs.unsent(rt.engine, limit=9)) == 1
    assert [found.id for found in jobs.unsent(rt.engine, limit=9)] == ids[1:]


def test_another_error_is_not_the_brokers(rt, job):
    job()
    with pytest.raises(KeyError):
        Sender(App(0, KeyError("x")), rt.engine, rt.settings).send(jobs.unsent(rt.engine, limit=9))


def test_sending_nothing_asks_nobody(rt):
    assert Sender(App(0, OSError()), rt.engine, rt.settings).send([]) == 0


def test_a_job_without_its_effects_module_keeps_no_other_waiting(rt, job):
    app = App()
    first = advance(rt, job(effect="elsewhere"))
    second = jobs.get(rt.engine, job())
    Sender(app, rt.engine, rt.settings).send([first, second])
    assert [options["args"] for _, options in app.messages] == [(str(second.id),)]
