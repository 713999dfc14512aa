"""One attempt: what follows from how its work ended is in the table when it returns."""

import contextlib
import dataclasses
import datetime
import errno
import io
import logging
import shutil
import threading
import time
import uuid

import celery.exceptions
import pytest
import sqlalchemy as sa

from mayfly.db import assets, claims, jobs, segments
from mayfly.db import engine as engines
from mayfly.db.errors import DatabaseMissing
from mayfly.db.states import Retention, Stage, State
from mayfly.db.tables import ASSETS, JOBS
from mayfly.effects.errors import WeightsError
from mayfly.media.errors import DamagedMedia, DiskFull, MediaToolError, StorageUnavailable
from mayfly.purge import sweeper
from mayfly.tasks.attempts import attempt, execute, holder, watch
from mayfly.tasks.attempts.attempt import Attempt
from mayfly.tasks.attempts.result import Artifact
from mayfly.tasks.attempts.result import store as store_result
from mayfly.tasks.errors import ClaimLost, InputGone, TimeOver
from tests import clock, rows


def run(rt, job_id, work, stage=Stage.INGEST):
    execute.stage(rt, job_id, stage, work)
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
    assert claims.take(rt.engine, job_id, stage=Stage.INGEST, holder=f"{holder.own()}0", lease=60)
    assert run(rt, job_id, never).attempt == 1


def test_a_dead_colleagues_job_is_taken_at_once(rt, job):
    job_id = job()
    host, pid, started, thread = holder.own().rsplit(":", 3)
    dead = f"{host}:{pid}:{float(started) - 1000}:{thread}"
    assert claims.take(rt.engine, job_id, stage=Stage.INGEST, holder=dead, lease=3600)
    found = run(rt, job_id, finish)
    assert (found.state, found.attempt, found.tries) == (State.DONE, 2, 2)


def test_a_dead_colleagues_segment_is_taken_at_once(rt, cut):
    job_id, worked = cut(), []
    host, pid, started, thread = holder.own().rsplit(":", 3)
    for number, name in enumerate((f"{host}:{pid}:{float(started) - 1000}:{thread}", f"{holder.own()}0")):
        assert segments.take(rt.engine, job_id, number, holder=name, lease=3600)
        execute.segment(rt, job_id, number, lambda running: worked.append(running.claim.segment.number))
    # The second one lives.
    assert worked == [0]


def test_a_passing_error_waits_for_another_attempt(rt, job):
    job_id = job()

    def work(_):
        raise MediaToolError

    found = run(rt, job_id, work)
    assert (found.state, found.error, found.tries, found.returns) == (State.WAITING, None, 1, 0)
    assert 5 < (found.retry_at - clock.now()).total_seconds() <= 7
    assert len(list(rt.store.objects())) == 1


@pytest.mark.parametrize("error", [WeightsError("a weight is missing"), DiskFull(), OSError(errno.ENOSPC, "full")])
def test_what_is_our_own_fault_is_no_attempt(rt, job, error):
    job_id = job()

    def work(_):
        raise error

    for returns in range(1, rt.settings.max_attempts + 3):
        found = run(rt, job_id, work)
        assert (found.state, found.error, found.tries, found.returns) == (State.WAITING, None, 0, returns)
        with rt.engine.begin() as connection:
            connection.execute(sa.update(JOBS).values(state="queued"))
    assert len(list(rt.store.objects())) == 1


def test_what_is_due_of_other_jobs_is_left_to_the_sweep(rt, job):
    job_id, other = job(), job()
    (asset,) = assets.of_job(rt.engine, other)
    rows.set_asset(rt.engine, asset.id, due_at=clock.after(-1))

    def work(_):
        raise MediaToolError

    assert run(rt, job_id, work).state is State.WAITING
    assert assets.receipts(rt.engine, [other]) == []


def test_files_that_vanish_under_the_work_are_not_the_uploads_fault(rt, job):
    job_id = job()

    def work(running):
        running.fetch(running.input(), "input")
        shutil.rmtree(running.scratch)
        raise DamagedMedia

    found = run(rt, job_id, work)
    assert (found.state, found.error, found.tries) == (State.WAITING, None, 0)
    assert len(list(rt.store.objects())) == 1


def test_a_stop_hands_the_job_back_at_its_next_frame(rt, job):
    job_id = job()

    def work(running):
        made = running.reserve(Retention.RESULT, ".jpg")
        rt.store.put(made.key, io.BytesIO(b"half"), 4)
        rt.stopping.set()
        running.progress(1)
        pytest.fail("it goes on")

    found = run(rt, job_id, work)
    assert (found.state, found.error, found.tries, found.returns) == (State.QUEUED, None, 0, 1)
    assert [entry.key.split("/")[0] for entry in rt.store.objects()] == ["input"]
    # A worker that stops takes nothing, and keeps no message.
    with pytest.raises(celery.exceptions.Reject) as raised:
        run(rt, job_id, never)
    assert raised.value.requeue
    rt.stopping.clear()
    assert run(rt, job_id, finish).state is State.DONE


def test_a_stop_leaves_a_moment_for_what_is_nearly_done(rt, job):
    def work(running):
        rt.stopping.set()
        time.sleep(0.5)
        running.check()
        finish(running)

    assert run(rt, job(), work).state is State.DONE


def test_work_that_does_not_look_is_given_up_and_its_process_ended(rt, job, monkeypatch):
    monkeypatch.setattr(watch, "STOP_GRACE_SECONDS", 0.1)
    ended = threading.Event()
    stopping = dataclasses.replace(rt, end_process=ended.set)
    job_id, seen = job(), []

    def work(running):
        stopping.stopping.set()
        assert ended.wait(30)
        seen.append((jobs.get(rt.engine, job_id).state, rt.working.wait_idle(0), running.claim.name))
        finish(running)

    found = run(stopping, job_id, work)
    assert seen[0][:2] == (State.QUEUED, True)
    # What a thread that could not be ended does later changes nothing.
    assert (found.state, found.tries, found.returns) == (State.QUEUED, 0, 1)
    assert [entry.key.split("/")[0] for entry in rt.store.objects()] == ["input"]


def test_a_cancelled_job_that_does_not_look_ends_its_process(rt, job):
    ended = threading.Event()
    ending = dataclasses.replace(rt, end_process=ended.set)
    job_id = job()

    def work(running):
        jobs.end(rt.engine, job_id, to=State.CANCELLED)
        assert ended.wait(30)
        running.check()

    assert run(ending, job_id, work).state is State.CANCELLED
    assert list(rt.store.objects()) == []


def test_a_time_limit_reaches_work_that_does_not_look(rt, job):
    ended = threading.Event()
    settings = rt.settings.model_copy(update={"image_time_limit": 0.2})
    ending = dataclasses.replace(rt, settings=settings, end_process=ended.set)
    found = run(ending, job(), lambda _: ended.wait(30))
    assert ended.is_set()
    assert (found.state, found.error) == (State.FAILED, TimeOver.code)


def test_waiting_for_a_server_is_not_the_effects_time(rt, job):
    settings = rt.settings.model_copy(update={"image_time_limit": 0.5})
    job_id, calls = job(), []

    def away():
        calls.append(time.monotonic())
        if time.monotonic() - calls[0] < 1.5:
            raise StorageUnavailable("the object store does not answer")

    def work(running):
        running.patiently(away)
        running.progress(1)
        finish(running)

    assert run(dataclasses.replace(rt, settings=settings), job_id, work).state is State.DONE


def test_who_waits_for_a_server_too_long_gives_the_job_back_uncounted(rt, job, monkeypatch):
    monkeypatch.setattr(attempt, "HOLD_SECONDS", 0.3)
    job_id = job()

    def away():
        raise StorageUnavailable("the object store does not answer")

    found = run(rt, job_id, lambda running: running.patiently(away))
    assert (found.state, found.error, found.tries, found.returns) == (State.WAITING, None, 0, 1)
    # The next unit is not taken before the store answers.
    assert rt.store_away.is_set()
    other = job()
    assert run(rt, other, finish).state is State.DONE
    assert not rt.store_away.is_set()


def test_nothing_is_taken_before_a_store_that_was_away_answers(rt, job, monkeypatch):
    job_id, size, seen = job(), rt.store.size, []

    def away(key):
        seen.append(jobs.get(rt.engine, job_id).state)
        if len(seen) < 2:
            raise StorageUnavailable("the object store does not answer")
        return size(key)

    rt.store_away.set()
    monkeypatch.setattr(rt.store, "size", away)
    assert run(rt, job_id, finish).state is State.DONE
    assert seen[:2] == [State.QUEUED] * 2


def test_a_message_that_waited_long_for_the_database_goes_back(rt, job, monkeypatch):
    """Its own time is nearly used up; the one that comes back has all of it."""
    monkeypatch.setattr(execute, "FRESH_SECONDS", 0.3)
    job_id, take, calls = job(), claims.take, []

    def away(*arguments, **options):
        calls.append(1)
        if len(calls) < 4:
            raise DatabaseMissing("the database does not answer")
        return take(*arguments, **options)

    monkeypatch.setattr(claims, "take", away)
    with pytest.raises(celery.exceptions.Reject) as raised:
        run(rt, job_id, never)
    assert raised.value.requeue
    assert jobs.get(rt.engine, job_id).state is State.QUEUED
    calls += [1] * 9
    assert run(rt, job_id, finish).state is State.DONE


def test_a_message_that_cannot_be_decided_is_held_and_then_decided(rt, job, monkeypatch):
    job_id, take, calls = job(), claims.take, []

    def away(*arguments, **options):
        calls.append(1)
        if len(calls) < 3:
            raise DatabaseMissing("the database does not answer")
        return take(*arguments, **options)

    monkeypatch.setattr(claims, "take", away)
    found = run(rt, job_id, finish)
    assert (found.state, found.tries, len(calls)) == (State.DONE, 1, 3)


def test_what_a_committed_end_has_taken_over_survives_an_error_after_it(rt, job):
    """As when the answer to the commit is lost, or the work fails between its end and its return."""
    job_id = job()

    def work(running):
        finish(running)
        raise OSError("the answer was lost")

    assert run(rt, job_id, work).state is State.DONE
    (left,) = rt.store.objects()
    assert left.key.startswith("result/")


def test_what_follows_a_concluded_attempt_ends_no_process(rt, job):
    """As when the broker or the store keeps a worker waiting after the job's end."""
    ended = threading.Event()
    ending = dataclasses.replace(rt, end_process=ended.set)

    def work(running):
        store_result(running, Artifact(b"result", ".jpg"))
        time.sleep(2.5)

    assert run(ending, job(), work).state is State.DONE
    assert not ended.is_set()


def test_a_reservation_whose_answer_is_lost_is_found_again(rt, job, monkeypatch):
    job_id, writing, lost = job(), engines.writing, []

    @contextlib.contextmanager
    def lossy(engine):
        with writing(engine) as connection:
            yield connection
        if not lost:
            lost.append(True)
            raise DatabaseMissing("the answer to the commit was lost")

    def work(running):
        monkeypatch.setattr(engines, "writing", lossy)
        reserved = running.reserve(Retention.RESULT, ".jpg")
        assert reserved in assets.of_job(rt.engine, job_id)
        finish(running)

    assert run(rt, job_id, work).state is State.DONE
    assert lost


def test_who_stops_waits_for_no_server(rt, job, monkeypatch):
    """Though nobody watches any more who could say so."""
    calls = []

    def away(*_, **__):
        calls.append(1)
        assert len(calls) == 1, "it waits"
        rt.stopping.set()
        raise DatabaseMissing("the database does not answer")

    def work(_):
        raise MediaToolError

    monkeypatch.setattr(claims, "wait", away)
    assert run(rt, job(), work).state is State.RUNNING


def test_an_end_whose_answer_is_lost_is_repeated(rt, job, monkeypatch):
    job_id, end, answers = job(), claims.finish, []

    def lossy(*arguments, **options):
        found = end(*arguments, **options)
        answers.append(found)
        if len(answers) == 1:
            raise DatabaseMissing("the answer to the commit was lost")
        return found

    monkeypatch.setattr(claims, "finish", lossy)

    def work(running):
        store_result(running, Artifact(b"result", ".jpg"))

    assert run(rt, job_id, work).state is State.DONE
    assert len(answers) == 2
    rt.destroyer.close()
    (left,) = rt.store.objects()
    assert left.key.startswith("result/")


def test_an_unknown_job_is_a_dead_letter(rt):
    with pytest.raises(celery.exceptions.Reject) as raised:
        execute.stage(rt, uuid.uuid4(), Stage.INGEST, never)
    assert not raised.value.requeue


def test_a_holder_whose_claim_was_not_confirmed_has_it(rt, job):
    job_id = job()
    assert claims.take(rt.engine, job_id, stage=Stage.INGEST, holder=holder.own(), lease=60)
    found = run(rt, job_id, finish)
    assert (found.state, found.tries) == (State.DONE, 1)


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


def test_progress_is_not_written_at_every_frame(rt, job, monkeypatch):
    monkeypatch.setattr(attempt, "PROGRESS_SECONDS", 600.0)
    job_id = job()

    def work(running):
        for done in range(1, 101):
            running.progress(done)
        assert jobs.get(rt.engine, job_id).units_done == 0
        monkeypatch.setattr(attempt, "PROGRESS_SECONDS", 0.0)
        running.progress(101)
        assert jobs.get(rt.engine, job_id).units_done == 101
        monkeypatch.setattr(attempt, "PROGRESS_SECONDS", 600.0)
        running.progress(102)
        assert jobs.get(rt.engine, job_id).units_done == 101
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


def test_a_heartbeat_renews_the_lease_of_the_job_and_of_what_is_written(rt, job, change):
    job_id = job()

    def work(running):
        result = running.reserve(Retention.RESULT, ".jpg")
        rows.set_asset(rt.engine, result.id, lease_until=clock.after(-1))
        change(job_id, lease_until=clock.after(-1))
        assert running.extend()
        leases = [jobs.get(rt.engine, job_id).lease_until]
        with rt.engine.connect() as connection:
            leases.append(connection.execute(sa.select(ASSETS.c.lease_until).where(ASSETS.c.id == result.id)).scalar())
        assert min(leases) > clock.after(rt.settings.lease - 10)
        jobs.end(rt.engine, job_id, to=State.CANCELLED)
        assert not running.extend()
        assert not running.holds()

    assert run(rt, job_id, work).state is State.CANCELLED


def test_the_heartbeat_notices_a_lost_claim(rt, job):
    short = dataclasses.replace(rt, settings=rt.settings.model_copy(update={"lease": 30.0}))
    job_id = job()
    stopped = []

    def work(running):
        jobs.end(rt.engine, job_id, to=State.CANCELLED)
        while running.reason is None:
            time.sleep(0.01)
        try:
            running.check()
        except ClaimLost:
            stopped.append(True)
            raise

    assert run(short, job_id, work).state is State.CANCELLED
    assert stopped == [True]


@pytest.mark.parametrize("retention", [Retention.INTERMEDIATE, Retention.RESULT, Retention.PREVIEW])
def test_what_is_reserved_has_its_term_and_its_attempt(rt, job, retention):
    found = []

    def work(running):
        with rt.engine.begin() as connection:
            # Without it, an intermediate has a term of its own.
            connection.execute(sa.delete(ASSETS).where(ASSETS.c.job_id == job_id))
        found.append(running.reserve(retention, ".mkv"))
        raise DamagedMedia

    job_id = job()
    run(rt, job_id, work)
    (asset,) = found
    assert asset.key == f"{retention.value}/{job_id}/1/{asset.id}"
    assert asset.suffix == ".mkv"
    term = rt.policy.term(retention)
    assert abs(asset.due_at - asset.created_at - term.due_after) < datetime.timedelta(seconds=1)
    assert abs(asset.deadline_at - asset.created_at - term.deadline_after) < datetime.timedelta(seconds=1)


def test_an_attempt_that_fails_leaves_nothing_half_done_to_its_term(rt, job):
    """Though its job lives on, and the lease of what it wrote as well."""
    job_id = job()

    def work(running):
        result = running.reserve(Retention.RESULT, ".jpg")
        rt.store.put(result.key, io.BytesIO(b"half"), 4)
        raise MediaToolError

    assert run(rt, job_id, work).state is State.WAITING
    assert [entry.key.split("/")[0] for entry in rt.store.objects()] == ["input"]
    assert [receipt.retention for receipt in assets.receipts(rt.engine, [job_id])] == [Retention.RESULT]


def test_what_a_settled_attempt_stores_late_is_destroyed_and_it_reserves_no_more(rt, job):
    job_id, late = job(), []

    def work(running):
        result = running.reserve(Retention.RESULT, ".jpg")
        late.append((running, result))
        raise MediaToolError

    run(rt, job_id, work)
    ((running, _),) = late
    with pytest.raises(ClaimLost):
        running.reserve(Retention.RESULT, ".jpg")
    with pytest.raises(ClaimLost):
        running.check_work()


def test_no_text_of_a_foreign_error_is_logged_but_where_it_came_from_is(rt, job, caplog):
    name = "/home/anna/me.jpg"

    def work(_):
        raise RuntimeError(name)

    with caplog.at_level(logging.DEBUG):
        found = run(rt, job(), work)
    assert found.state is State.WAITING
    assert "anna" not in caplog.text
    assert "RuntimeError" in caplog.text
    assert "in work" in caplog.text


def test_an_error_of_ours_is_logged_without_its_frames(rt, job, caplog):
    def work(_):
        raise MediaToolError

    run(rt, job(), work)
    assert "MediaToolError" in caplog.text
    assert "in work" not in caplog.text
