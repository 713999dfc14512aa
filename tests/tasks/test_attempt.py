"""One attempt: what follows from how its work ended is in the table when it returns."""

import dataclasses
import io
import threading

import pytest

from db import assets, claims, jobs
from db.states import Retention, Stage, State
from media.errors import DamagedMedia, StorageUnavailable
from purge import sweeper
from tasks import attempt, holder
from tasks.attempt import Attempt
from tasks.errors import ClaimLost, InputGone, TimeOver
from tests import clock


def run(rt, job_id, work, stage=Stage.INGEST):
    attempt.run(rt, job_id, stage, work)
    return jobs.get(rt.engine, job_id)


def finish(running: Attempt):
    """The shortest work that there is: the result is the input, which is destroyed at once."""
    content = running.runtime.store.read(running.input().key)
    result = running.reserve(Retention.RESULT, ".jpg")
    running.runtime.store.put(result.key, io.BytesIO(content), len(content))
    assert claims.finish(running.runtime.engine, running.claim, result_id=result.id, size=len(content))
    sweeper.destroy_due(running.runtime.engine, running.runtime.store, running.job.id)


def never(_):
    pytest.fail("it has no claim and works nevertheless")


def test_success_destroys_the_input_and_keeps_the_result(rt, job):
    job_id = job()
    found = run(rt, job_id, finish)
    assert (found.state, found.attempt) == (State.DONE, 1)
    (left,) = list(rt.store.objects())
    assert left.key.startswith(f"result/{job_id}/1/")
    assert [receipt.retention for receipt in assets.receipts(rt.engine, [job_id])] == [Retention.INPUT]


def test_a_second_delivery_does_nothing(rt, job):
    job_id = job()
    first = run(rt, job_id, finish)
    assert run(rt, job_id, never) == first


def test_a_job_that_somebody_else_runs_is_left_to_them(rt, job):
    job_id = job()
    assert claims.take(rt.engine, job_id, stage=Stage.INGEST, holder=holder.own(), lease=60)
    assert run(rt, job_id, never).attempt == 1


def test_a_dead_colleagues_job_is_taken_at_once(rt, job):
    job_id = job()
    host, pid, started, thread = holder.own().rsplit(":", 3)
    dead = f"{host}:{pid}:{float(started) - 1000}:{thread}"
    assert claims.take(rt.engine, job_id, stage=Stage.INGEST, holder=dead, lease=3600)
    found = run(rt, job_id, finish)
    assert (found.state, found.attempt, found.tries) == (State.DONE, 2, 2)


def test_a_passing_error_waits_for_another_attempt(rt, job):
    job_id = job()

    def work(_):
        raise StorageUnavailable("the object store does not answer")

    found = run(rt, job_id, work)
    assert (found.state, found.error) == (State.WAITING, None)
    assert 5 < (found.retry_at - clock.now()).total_seconds() <= 7
    assert len(list(rt.store.objects())) == 1


def test_a_passing_error_passes_only_so_often(rt, job, change):
    job_id = job()

    def work(_):
        raise OSError("/home/anna/me.jpg")

    for tries in (1, 2, 3):
        found = run(rt, job_id, work)
        assert found.tries == tries
        if tries < 3:
            assert found.state is State.WAITING
            change(job_id, retry_at=clock.after(-1))
            assert jobs.requeue_lapsed(rt.engine) == [job_id]
    assert (found.state, found.error) == (State.FAILED, "internal_error")
    assert "anna" not in found.error_text
    assert list(rt.store.objects()) == []


def test_a_permanent_error_fails_at_once_and_leaves_nothing(rt, job):
    job_id = job()

    def work(running):
        (running.scratch / "input").write_bytes(b"x")
        result = running.reserve(Retention.RESULT, ".jpg")
        rt.store.put(result.key, io.BytesIO(b"half"), 4)
        raise DamagedMedia

    found = run(rt, job_id, work)
    assert (found.state, found.error, found.tries, found.parameters) == (State.FAILED, "damaged_media", 1, None)
    assert list(rt.store.objects()) == []
    assert list(rt.scratch.iterdir()) == []
    assert len(assets.receipts(rt.engine, [job_id])) == 2


def test_a_job_that_kills_its_workers_is_given_up(rt, job, change):
    job_id = job()
    change(job_id, tries=rt.settings.max_attempts)
    found = run(rt, job_id, never)
    assert (found.state, found.error) == (State.FAILED, "worker_lost")
    assert list(rt.store.objects()) == []


def test_the_scratch_folder_is_private_and_gone_afterwards(rt, job):
    seen = []

    def work(running):
        seen.append((running.scratch, running.scratch.stat().st_mode & 0o077))
        assert running.scratch == running.scratch
        finish(running)

    run(rt, job(), work)
    ((folder, others),) = seen
    assert others == 0
    assert not folder.exists()


def test_a_cancelled_job_stops_at_its_next_progress(rt, job, monkeypatch):
    monkeypatch.setattr(attempt, "PROGRESS_SECONDS", 0.0)
    job_id = job()
    steps = []

    def work(running):
        running.progress(1)
        steps.append(jobs.get(rt.engine, job_id).units_done)
        jobs.end(rt.engine, job_id, to=State.CANCELLED)
        running.progress(2)
        steps.append("too far")

    found = run(rt, job_id, work)
    assert (found.state, found.units_done, steps) == (State.CANCELLED, 1, [1])
    assert list(rt.store.objects()) == []


def test_progress_is_not_written_at_every_frame(rt, job):
    job_id = job()

    def work(running):
        for done in range(100):
            running.progress(done)
        assert jobs.get(rt.engine, job_id).units_total is None
        finish(running)

    assert run(rt, job_id, work).state is State.DONE


def test_work_that_takes_too_long_fails(rt, job):
    hurried = dataclasses.replace(rt, settings=rt.settings.model_copy(update={"image_time_limit": 1e-9}))
    found = run(hurried, job(), lambda running: running.progress(1))
    assert (found.state, found.error) == (State.FAILED, TimeOver.code)


def test_an_input_that_is_gone_fails_the_job(rt, job):
    job_id = job()
    (asset,) = assets.of_job(rt.engine, job_id)
    assets.record_destruction(rt.engine, asset, verified="x")
    found = run(rt, job_id, finish)
    assert (found.state, found.error) == (State.FAILED, InputGone.code)


def test_the_heartbeat_keeps_the_lease(rt, job):
    short = dataclasses.replace(rt, settings=rt.settings.model_copy(update={"lease": 0.6}))
    job_id = job()
    renewed = threading.Event()

    def work(running):
        first = running.job.lease_until
        for _ in range(200):
            if jobs.get(rt.engine, job_id).lease_until > first:
                renewed.set()
                break
            threading.Event().wait(0.05)
        finish(running)

    assert run(short, job_id, work).state is State.DONE
    assert renewed.is_set()


def test_the_heartbeat_notices_a_lost_claim(rt, job):
    short = dataclasses.replace(rt, settings=rt.settings.model_copy(update={"lease": 0.3}))
    job_id = job()
    stopped = []

    def work(running):
        jobs.end(rt.engine, job_id, to=State.CANCELLED)
        assert running.lost.wait(30)
        try:
            running.check()
        except ClaimLost:
            stopped.append(True)
            raise

    assert run(short, job_id, work).state is State.CANCELLED
    assert stopped == [True]


def test_what_is_reserved_has_its_term_and_its_attempt(rt, job):
    found = []

    def work(running):
        found.append(running.reserve(Retention.INTERMEDIATE, ".mkv"))
        raise DamagedMedia

    job_id = job()
    run(rt, job_id, work)
    (asset,) = found
    assert asset.key == f"intermediate/{job_id}/1/{asset.id}"
    assert clock.now() < asset.due_at < asset.deadline_at
