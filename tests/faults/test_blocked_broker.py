"""A broker with an alarm blocks whoever publishes: nobody hangs, what waits is sent later, and doctor says so."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mayfly import Client, checks
from mayfly.db.states import State
from mayfly.tasks.messages import broker, outbox, sender
from tests.faults.overdue import destroyed, overdue
from tests.faults.own_broker import OwnBroker, started
from tests.integration.stage import EFFECTS, Stage, opened, wait_for


@pytest.fixture(scope="module")
def own(servers: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnBroker]:
    with started(tmp_path_factory.mktemp("rabbitmq")) as own:
        yield own


@pytest.fixture(scope="module")
def stage(own: OwnBroker, servers: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with opened(servers | own.variables, tmp_path_factory.mktemp("blocked")) as stage:
        broker.declare(stage.settings)
        broker.set_policy(stage.settings)
        yield stage


def found(stage: Stage, name: str) -> checks.Check:
    return next(check for check in checks.run(stage.settings) if check.name == name)


def test_submit_says_so_within_seconds_and_the_outbox_sends_it_later(stage: Stage, own: OwnBroker, photo: Path):
    with Client(stage.settings) as client:
        client.submit(photo, "pass-through")  # this connection has published: the broker stops reading from it
        with own.alarm():
            begun = time.monotonic()
            jobs = [client.submit(photo, "pass-through") for _ in range(20)]
            assert time.monotonic() - begun < 10 * sender.ANSWER_SECONDS, "20 submits wait once, not 20 times"
            assert not any(stage.sent(job.id) for job in jobs)
            assert {client.status(job).state for job in jobs} == {State.QUEUED}
            begun = time.monotonic()
            outbox.send_unsent(stage.runtime)
            assert time.monotonic() - begun < 10 * sender.ANSWER_SECONDS, "jobs and segments"
    time.sleep(sender.PAUSE_SECONDS)
    outbox.send_unsent(stage.runtime)
    assert all(stage.sent(job.id) for job in jobs)


def test_doctor_names_the_alarm(stage: Stage, own: OwnBroker):
    assert found(stage, "broker") == checks.Check("broker", True, "takes messages; has its policy")
    with own.alarm():
        check = found(stage, "broker")
    assert not check.ok
    assert "takes no messages because of its alarm (low on memory)" in check.detail
    assert found(stage, "broker").ok


def test_a_worker_works_on_while_publishers_are_blocked(stage: Stage, own: OwnBroker, photo: Path):
    """It publishes that it lives, every two seconds, and must not wait for a confirmation."""
    stage.start_worker(effect_modules=f"{EFFECTS},tests.faults.quick")
    assert stage.wait_final(stage.queue("pass-through", photo), seconds=120).state is State.DONE
    first = stage.queue("sleep", photo, seconds=8)
    second = stage.queue("pass-through", photo)
    stage.wait_running(first)
    with own.alarm():
        assert broker.blocked(stage.settings) is not None
        for job in (first, second):
            assert stage.wait_final(job, seconds=40).state is State.DONE
        # No beat could send a sweep now.
        due = overdue(stage)
        wait_for("the end of what was due", lambda: destroyed(stage, due))
    assert "Traceback" not in stage.processes[0].text


def test_doctor_says_who_is_missing(stage: Stage, photo: Path):
    for process in stage.processes:
        process.kill()
    wait_for("no consumers", lambda: not stage.consumers("cpu.photo"), seconds=30)
    stage.queue("pass-through", photo)
    check = found(stage, "queues")
    assert not check.ok
    assert "nobody works on: media, maintenance, cpu.photo" in check.detail
    assert "gpu-24g.video" not in check.detail, "no effect needs it"
    assert "cpu.photo 1" in check.detail
