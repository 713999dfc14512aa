"""The broker's part: topology, dead letters, messages that reach no queue, and servers that are away."""

from __future__ import annotations

import io
import json
import socket
import uuid
from pathlib import Path

import pytest
import sqlalchemy as sa

from mayfly import Client
from mayfly.db.states import State
from mayfly.db.tables import JOBS
from mayfly.media.errors import StorageUnavailable
from mayfly.tasks.errors import BrokerMissing, TopologyMismatch
from mayfly.tasks.messages import broker, dead_letters, outbox, queues
from tests.integration.stage import Stage, wait_for

PHOTOS = "cpu.photo"  # the queue of `pass-through` and `stills` on a picture


@pytest.fixture
def topology(idle: Stage) -> Stage:
    """The idle stage with queues and policy, all empty."""
    broker.declare(idle.settings)
    assert broker.set_policy(idle.settings)
    with broker.channel(idle.settings) as channel:
        for name in [*queues.all_queues(), queues.DEAD_LETTERS]:
            channel.queue_purge(name)
    return idle


def closed_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def test_declaring_twice_changes_nothing(topology: Stage):
    before = json.loads(topology.manage("GET", f"queues/{topology.name}").data)
    broker.declare(topology.settings)
    assert {queue["name"] for queue in before} == {*queues.all_queues(), queues.DEAD_LETTERS}
    assert {queue["type"] for queue in before} == {"quorum"}
    assert set(broker.depths(topology.settings)) == {*queues.all_queues(), queues.DEAD_LETTERS}


def test_a_queue_with_other_properties_is_refused(topology: Stage):
    with broker.channel(topology.settings) as channel:
        channel.queue_delete("gpu.photo")
        channel.queue_declare("gpu.photo", durable=True)
    try:
        with pytest.raises(TopologyMismatch):
            broker.declare(topology.settings)
        refused = topology.run("worker")
        assert refused.returncode == 2
        assert "broker_topology" in refused.stderr
    finally:
        with broker.channel(topology.settings) as channel:
            channel.queue_delete("gpu.photo")
    broker.declare(topology.settings)


def test_the_policy_is_on_every_queue_of_work(topology: Stage):
    found = json.loads(topology.manage("GET", f"policies/{topology.name}/{broker.POLICY}").data)
    assert found["definition"] == {"delivery-limit": queues.DELIVERY_LIMIT}

    def applied() -> bool:
        listed = json.loads(topology.manage("GET", f"queues/{topology.name}").data)
        return {queue["name"] for queue in listed if queue.get("policy") == broker.POLICY} == set(queues.all_queues())

    wait_for("the policy on each queue", applied, seconds=20)
    without = topology.settings.model_copy(update={"broker_admin_url": None})
    assert not broker.set_policy(without)


def test_a_message_given_back_too_often_is_sent_again_and_in_the_end_fails_its_job(topology: Stage, photo: Path):
    with Client(topology.settings) as client:
        job = client.submit(photo, "pass-through", owner="owner-dead-letter")
    assert broker.depths(topology.settings)[PHOTOS] == 1
    for _ in range(queues.DELIVERY_LIMIT + 1):

        def given_back() -> bool:
            with broker.channel(topology.settings) as channel:
                method, _, _ = channel.basic_get(PHOTOS)
                if method is not None:
                    channel.basic_reject(method.delivery_tag, requeue=True)
                return method is not None

        assert dead_letters.bury(topology.runtime) == 0
        wait_for("the message", given_back, seconds=30)
    wait_for("a dead letter", lambda: broker.depths(topology.settings)[queues.DEAD_LETTERS] == 1, seconds=20)
    assert broker.depths(topology.settings)[PHOTOS] == 0
    assert topology.job(job.id).state is State.QUEUED

    assert dead_letters.bury(topology.runtime) == 1
    assert topology.job(job.id).state is State.QUEUED
    outbox.resend(topology.runtime)
    assert broker.depths(topology.settings)[PHOTOS] == 1

    with topology.engine.begin() as connection:
        this = sa.update(JOBS).where(JOBS.c.id == uuid.UUID(job.id))
        connection.execute(this.values(dead_letters=dead_letters.RETURNS))
    with broker.channel(topology.settings) as channel:
        method, _, _ = channel.basic_get(PHOTOS)
        channel.basic_reject(method.delivery_tag, requeue=False)
    wait_for("a dead letter", lambda: broker.depths(topology.settings)[queues.DEAD_LETTERS] == 1, seconds=20)
    assert dead_letters.bury(topology.runtime) == 1
    found = topology.job(job.id)
    assert (found.state, found.error) == (State.FAILED, "worker_lost")
    assert topology.objects(job.id) == []
    assert "owner-dead-letter" not in topology.dump()
    assert broker.depths(topology.settings)[queues.DEAD_LETTERS] == 0


def test_a_stranger_among_the_dead_letters_is_put_away(topology: Stage):
    with broker.channel(topology.settings) as channel:
        for body in (b"not json", b"[[]]", json.dumps([[str(uuid.uuid4())], {}, {}]).encode()):
            channel.basic_publish(queues.DEAD_LETTERS, "", body)
    wait_for("the letters", lambda: broker.depths(topology.settings)[queues.DEAD_LETTERS] == 3, seconds=30)
    assert dead_letters.bury(topology.runtime) == 3
    assert broker.depths(topology.settings)[queues.DEAD_LETTERS] == 0


def bodies(stage: Stage, queue: str) -> list[bytes]:
    """Take all messages of a queue."""
    found = []
    with broker.channel(stage.settings) as channel:
        while (got := channel.basic_get(queue, auto_ack=True))[0] is not None:
            found.append(got[2])
    return found


def test_a_producer_makes_the_queue_that_is_missing(topology: Stage, photo: Path):
    with broker.channel(topology.settings) as channel:
        channel.queue_delete(PHOTOS)
    job = topology.submit("pass-through", photo)["job"]
    assert topology.sent(job)
    assert [job.encode() in body for body in bodies(topology, PHOTOS)] == [True]
    broker.declare(topology.settings)  # it is as the one that was deleted


def test_a_message_that_reaches_no_queue_stays_in_the_table(topology: Stage, photo: Path):
    with Client(topology.settings) as client:
        client.submit(photo, "pass-through")
        # The producer has declared the queue on this connection and does not do it again.
        with broker.channel(topology.settings) as channel:
            channel.queue_delete(PHOTOS)
        job = client.submit(photo, "pass-through")
        assert client.status(job).state is State.QUEUED
    assert not topology.sent(job.id)

    broker.declare(topology.settings)
    outbox.resend(topology.runtime)
    assert topology.sent(job.id)
    assert [job.id.encode() in body for body in bodies(topology, PHOTOS)] == [True]


def test_a_job_whose_message_may_be_lost_is_sent_again_by_its_age(topology: Stage, photo: Path):
    with Client(topology.settings) as client:
        job = client.submit(photo, "pass-through")
    outbox.resend(topology.runtime)
    assert broker.depths(topology.settings)[PHOTOS] == 1, "it was sent a moment ago"
    with broker.channel(topology.settings) as channel:
        channel.queue_purge(PHOTOS)
    with topology.engine.begin() as connection:
        old = sa.func.now() - sa.text("interval '2 minutes'")
        this = sa.update(JOBS).where(JOBS.c.id == uuid.UUID(job.id))
        connection.execute(this.values(sent_at=old, queued_at=old))
    outbox.resend(topology.runtime)
    assert broker.depths(topology.settings)[PHOTOS] == 1


def test_an_effect_that_the_outbox_lacks_is_left_to_another(topology: Stage, photo: Path):
    away = f"amqp://nobody:nothing@127.0.0.1:{closed_port()}/none"
    job = topology.submit("stills", photo, broker_url=away)["job"]  # known to the command line alone
    other = topology.submit("pass-through", photo, broker_url=away)["job"]
    bodies(topology, PHOTOS)
    outbox.resend(topology.runtime)
    assert topology.job(job).state is State.QUEUED
    assert (topology.sent(job), topology.sent(other)) == (False, True)
    assert [other.encode() in body for body in bodies(topology, PHOTOS)] == [True]
    topology.client.cancel(job)


def test_a_broker_that_is_away_costs_no_job(topology: Stage, photo: Path):
    away = f"amqp://nobody:nothing@127.0.0.1:{closed_port()}/none"
    job = topology.submit("pass-through", photo, broker_url=away)
    assert (job["state"], job["code"]) == ("queued", 0)
    assert not topology.sent(job["job"])
    outbox.resend(topology.runtime)
    assert topology.sent(job["job"])
    missing = topology.settings.model_copy(update={"broker_url": type(topology.settings.broker_url)(away)})
    with pytest.raises(BrokerMissing):
        broker.depths(missing)


@pytest.mark.parametrize(
    ("variable", "url", "code"),
    [
        ("database_url", "postgresql+psycopg://nobody:hidden@127.0.0.1:{port}/none", "database_unreachable"),
        ("storage_url", "s3://nobody:hidden@127.0.0.1:{port}/none?secure=false", "storage_unreachable"),
    ],
)
def test_a_missing_server_is_exit_code_3(topology: Stage, photo: Path, variable: str, url: str, code: str):
    job = topology.submit("pass-through", photo, **{variable: url.format(port=closed_port())})
    assert (job["error"], job["code"]) == (code, 3)
    assert "hidden" not in job["stderr"]
    assert "Traceback" not in job["stderr"]
    assert "127.0.0.1" not in job["stderr"]


def test_an_upload_that_the_store_refuses_leaves_no_row(topology: Stage):
    away = f"s3://nobody:hidden@127.0.0.1:{closed_port()}/none?secure=false"
    settings = topology.settings.model_copy(update={"storage_url": type(topology.settings.storage_url)(away)})
    upload = io.BytesIO(b"\xff\xd8\xff" + bytes(1000))
    before = topology.count_jobs()
    with Client(settings) as client, pytest.raises(StorageUnavailable):
        client.submit(upload, "pass-through", owner="owner-refused")
    # The store is asked before there is a row.
    assert topology.count_jobs() == before
    assert "owner-refused" not in topology.dump()
