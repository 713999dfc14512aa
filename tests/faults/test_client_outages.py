"""Producers live through outages: they wait with a bound, say what for, lose no id, and are told nothing untrue."""

from __future__ import annotations

import io
import json
import subprocess
import time
import uuid
from pathlib import Path

import pytest

from mayfly.client import patience, upload
from mayfly.client.errors import UploadRefused, WaitTimeout
from mayfly.db import jobs
from mayfly.db.errors import DatabaseMissing
from mayfly.db.states import State
from mayfly.tasks import runtime
from mayfly.tasks.errors import BrokerRefused
from mayfly.tasks.stages import effect
from tests.conftest import mayfly
from tests.faults.conftest import Lines
from tests.faults.producers import Source, beside, later, producer
from tests.integration.stage import wait_for
from tests.integration.test_killed_producer import lapse

AWAY = 4.0  # seconds; longer than a notice takes
COMMIT = b"COMMIT\0"  # as it is sent; "READ COMMITTED" is part of another request
WAITING = "waiting for the database to answer …"
OVER = "no longer waiting for the database to answer"


@pytest.mark.parametrize("which", ["of the row", "of the end"])
def test_the_answer_to_a_commit_may_be_lost(lines: Lines, photo: Path, which: str):
    database = lines.proxies["database"]
    with producer(lines) as client:
        client.jobs()
        lost = []

        def lose() -> None:
            lost.append(database.swallow_answer(COMMIT))

        if which == "of the row":
            lose()
            job = client.submit(photo, "pass-through")
        else:
            job = client.submit(Source(photo.read_bytes(), lose), "pass-through")
    assert lost[0].is_set()
    assert job.state is State.QUEUED
    assert lines.stage.count_jobs() == 1
    assert [asset.state for asset in lines.stage.assets(job.id)] == ["stored"]
    assert lines.stage.sent(job.id)


def test_a_database_that_goes_away_in_mid_submit_is_waited_for(lines: Lines, photo: Path):
    database, told = lines.proxies["database"], []
    with producer(lines, told) as client, later(AWAY, database.back):
        job = client.submit(Source(photo.read_bytes(), database.away), "pass-through")
    assert job.state is State.QUEUED
    assert told == [WAITING, OVER]


def test_a_database_that_dies_between_two_calls_is_said_by_each(
    lines: Lines, photo: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(upload, "PATIENCE_SECONDS", 0.5)
    with producer(lines) as client:
        job = client.submit(photo, "pass-through")
        lines.proxies["database"].away()
        for call in (
            lambda: client.submit(photo, "pass-through", idempotency_key="k"),
            lambda: client.submit_many([photo, photo], "pass-through"),
            lambda: client.status(job),
            lambda: client.jobs(),
            lambda: client.result(job, io.BytesIO()),
            lambda: client.result_suffix(job),
            lambda: client.previews(job, "."),
            lambda: client.cancel(job),
            lambda: client.assets(job),
            lambda: client.receipts(job),
            client.sweep,
            client.sweeping,
            client.held,
            client.overdue,
            client.counted,
        ):
            with pytest.raises(DatabaseMissing):
                call()
        lines.proxies["database"].back()
        assert client.status(job) == job


def test_a_submit_that_is_in_doubt_says_so(lines: Lines, photo: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(upload, "PATIENCE_SECONDS", 1.0)
    database = lines.proxies["database"]
    with producer(lines) as client, pytest.raises(DatabaseMissing) as raised:
        client.submit(Source(photo.read_bytes(), database.away), "pass-through")
    (job,) = lines.stage.client.jobs()
    assert job.id in str(raised.value)


def test_a_submit_that_fails_for_good_queues_nothing(lines: Lines, photo: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(upload, "PATIENCE_SECONDS", 1.0)
    database = lines.proxies["database"]
    with producer(lines) as client:
        client.jobs()
        database.away()
        began = time.monotonic()
        with pytest.raises(DatabaseMissing):
            client.submit(photo, "pass-through")
        assert time.monotonic() - began < 10
    assert lines.stage.count_jobs() == 0


def test_a_broker_that_refuses_is_found_out_before_anything_is_stored(lines: Lines, photo: Path):
    right = lines.stage.variables["MAYFLY_BROKER_URL"]
    lines.stage.variables["MAYFLY_BROKER_URL"] = right.replace(lines.stage.name, "no-such-virtual-host")
    with producer(lines) as client, pytest.raises(BrokerRefused):
        client.submit(photo, "pass-through")
    assert (lines.stage.count_jobs(), lines.stage.objects()) == (0, [])


def test_a_broker_that_is_away_is_said_and_fails_nothing(lines: Lines, photo: Path):
    told: list[str] = []
    lines.proxies["broker"].away()
    with producer(lines, told) as client:
        job = client.submit(photo, "pass-through")
    assert job.state is State.QUEUED
    assert not lines.stage.sent(job.id)
    assert told == ["the broker does not answer; what is queued is sent to workers once it is back"]


def test_whoever_waits_goes_on_when_the_database_is_back(lines: Lines, photo: Path):
    database, told, direct = lines.proxies["database"], [], lines.stage.client
    with producer(lines, told) as client:
        job = client.submit(photo, "pass-through")
        with (
            beside(lambda: client.wait(job, timeout=60)) as waited,
            beside(lambda: list(client.as_completed([job], timeout=60))) as completed,
        ):
            time.sleep(0.5)
            database.away()
            direct.cancel(job)
            time.sleep(AWAY)
            assert not (waited.done() or completed.done())
            database.back()
        assert waited.result().state is State.CANCELLED
        assert [one.state for one in completed.result()] == [State.CANCELLED]
    assert sorted(told) == sorted([WAITING, OVER] * 2)


def test_waiting_ends_with_its_time_though_the_database_is_away(lines: Lines, photo: Path):
    with producer(lines) as client:
        job = client.submit(photo, "pass-through")
        lines.proxies["database"].away()
        for call in (lambda: client.wait(job, timeout=1), lambda: list(client.as_completed([job], timeout=1))):
            began = time.monotonic()
            with pytest.raises(WaitTimeout) as raised:
                call()
            assert raised.value.unreachable == "database_unreachable"
            assert 1 <= time.monotonic() - began < 10


def test_a_waiting_command_writes_its_result_through_outages_of_database_and_store(
    lines: Lines, photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    database, store = lines.proxies["database"], lines.proxies["store"]
    command = [mayfly(), "submit", "pass-through", str(photo), "--out", str(tmp_path / "out"), "--json"]
    waiting = subprocess.Popen(
        command, env=lines.stage.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert waiting.stdout is not None
        first = json.loads(waiting.stdout.readline())
        assert (first["state"], first["result"]) == ("queued", None)
        database.away()
        store.away()
        monkeypatch.setattr(runtime, "_current", lines.stage.runtime)
        effect._apply(first["job"])
        assert lines.stage.job(first["job"]).state is State.DONE
        time.sleep(AWAY)
        database.back()
        time.sleep(AWAY)
        store.back()
        stdout, stderr = waiting.communicate(timeout=90)
    finally:
        waiting.kill()
    assert waiting.returncode == 0, stderr
    (last,) = [json.loads(line) for line in stdout.splitlines()]
    assert (last["job"], last["state"]) == (first["job"], "done")
    assert Path(last["result"]).stat().st_size > 10_000
    assert WAITING in stderr
    assert "Traceback" not in stderr


def test_a_command_whose_time_ends_in_an_outage_is_exit_code_3_and_tells_the_job(lines: Lines, photo: Path):
    job = lines.stage.queue("pass-through", photo)
    command = [mayfly(), "status", job, "--watch", "--timeout", "12", "--json"]
    watching = subprocess.Popen(
        command, env=lines.stage.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        wait_for("the command's question", lambda: lines.proxies["database"].connections > 0)
        time.sleep(3)
        lines.proxies["database"].away()
        stdout, stderr = watching.communicate(timeout=90)
    finally:
        watching.kill()
    assert (watching.returncode, json.loads(stdout)["job"]) == (3, job), stderr
    assert "Traceback" not in stderr


def test_what_lapsed_in_doubt_is_refused(lines: Lines, photo: Path, monkeypatch: pytest.MonkeyPatch):
    """The row is there, its answer was lost, and when the client asks again the upload counts as abandoned."""
    monkeypatch.setattr(patience, "FIRST_SECONDS", 3.0)
    with producer(lines) as client:
        client.jobs()
        lost = lines.proxies["database"].swallow_answer(COMMIT)

        def abandon() -> bool:
            assert lost.wait(30)
            (job,) = lines.stage.client.jobs()
            ended = jobs.end(lines.stage.engine, uuid.UUID(job.id), to=State.FAILED, error="upload_abandoned")
            lapse(lines.stage)
            return ended and lines.stage.client.sweep().destroyed == 1

        with beside(abandon) as abandoned, pytest.raises(UploadRefused, match="nothing was heard"):
            client.submit(photo, "pass-through")
        assert abandoned.result()
    assert lines.stage.objects() == []
