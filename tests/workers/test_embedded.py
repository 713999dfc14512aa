"""The embedded worker: one a home, takes up what the one before has left, and stops within seconds."""

import os
import signal
import subprocess
import threading
import time
import uuid

import pytest

from mayfly.client.client import Client
from mayfly.db import claims, jobs
from mayfly.db import engine as engines
from mayfly.db.errors import DatabaseFull, DatabaseMissing
from mayfly.db.states import Stage, State
from mayfly.errors import FolderRefused
from mayfly.settings import Settings
from mayfly.tasks import maintenance
from mayfly.tasks.messages import outbox, queues
from mayfly.workers import embedded as module
from mayfly.workers import scratch
from mayfly.workers.embedded import AlreadyRunning, Embedded
from tests import clock
from tests.conftest import mayfly

STOP_SECONDS = 3.0
BUSY_SECONDS = 7.0  # more on a machine with no core to spare
EXIT_SECONDS = 8.0  # for the end of a process with torch in it, on a busy machine


def row(client, job):
    return jobs.get(client._engine, uuid.UUID(job.id))


def wait_running(client, job, *, seconds=60):
    end = time.monotonic() + seconds
    while (found := row(client, job)).state is not State.RUNNING or found.stage is not Stage.EFFECT:
        assert time.monotonic() < end and not found.state.final, found
        time.sleep(0.02)


def slots(settings):
    return sorted(scratch.own(settings.home / "scratch").glob("worker-*/"))


def timed_stop(worker):
    begun = time.monotonic()
    ended = worker.stop()
    return ended, time.monotonic() - begun


def test_it_is_not_for_servers():
    urls = {"broker_url": "amqp://x", "database_url": "postgresql+psycopg://h/x", "storage_url": "s3://k:s@h/x"}
    with pytest.raises(ValueError, match="embedded"):
        Embedded(Settings(**urls))


def test_nothing_is_taken_before_what_an_earlier_worker_left_can_be_taken_up(embedded, photo, monkeypatch):
    adopt, tried, room = jobs.adopt, threading.Semaphore(0), threading.Event()

    def full(engine):
        tried.release()
        if not room.is_set():
            raise DatabaseFull("full")
        adopt(engine)

    monkeypatch.setattr(jobs, "adopt", full)
    monkeypatch.setattr(module, "TROUBLE_SECONDS", 0.2)
    with Embedded(embedded) as worker, Client(embedded) as client:
        job = client.submit(photo, "pass-through")
        # As the periodic task does.
        outbox.resend(worker._runtime)
        for _ in range(5):
            assert tried.acquire(timeout=30)
        assert row(client, job).state is State.QUEUED
        room.set()
        assert client.wait(job, timeout=60).state is State.DONE


def test_one_a_home_and_the_next_takes_up_what_is_left(embedded, photo):
    with Client(embedded) as client:
        first, second = (client.submit(photo, "pass-through") for _ in range(2))
        # A worker that was killed: one job claimed for an hour, one message confirmed and gone with its process.
        engine = engines.connect(embedded.resolved_database_url)
        row = jobs.get(engine, uuid.UUID(first.id))
        assert claims.take(engine, row.id, stage=Stage.EFFECT, holder="elsewhere:1:1.0:1", lease=3600)
        jobs.mark_sent(engine, [jobs.get(engine, uuid.UUID(second.id))])
        left = scratch.Slot.take(embedded.home / "scratch")
        (left.path / "film.mp4").write_bytes(b"x")
        os.close(left._lock)
        with Embedded(embedded):
            assert not (left.path / "film.mp4").exists()
            with pytest.raises(AlreadyRunning) as raised:
                Embedded(embedded).start()
            assert raised.value.code == "already_running"
            for job in (first, second):
                assert client.wait(job, timeout=60).state is State.DONE
        assert slots(embedded) == []
        assert jobs.get(engine, row.id).finished_at < clock.now()
        engine.dispose()
        with Embedded(embedded):
            assert client.wait(client.submit(photo, "pass-through"), timeout=60).state is State.DONE


def test_it_may_be_stopped_twice_and_before_it_started(embedded):
    worker = Embedded(embedded)
    assert worker.stop()
    worker = Embedded(embedded)
    worker.start()
    assert worker.stop()
    assert worker.stop()


def test_a_start_that_fails_leaves_nothing_and_the_home_to_others(embedded, monkeypatch):
    def fail(*_arguments, **_options):
        raise DatabaseMissing("away")

    with monkeypatch.context() as patched:
        # Late in the start, when there is much to undo.
        patched.setattr(module, "Rounds", fail)
        failed = Embedded(embedded)
        with pytest.raises(DatabaseMissing):
            failed.start()
    assert not [one for one in threading.enumerate() if one.name in ("worker", "outbox")]
    with Embedded(embedded):
        pass


def test_an_idle_worker_stops_at_once(embedded):
    worker = Embedded(embedded)
    worker.start()
    ended, seconds = timed_stop(worker)
    assert ended and seconds < 2
    assert not [one for one in threading.enumerate() if one.name.startswith("ThreadPoolExecutor")]


def test_a_video_is_handed_back_at_its_next_frame_and_goes_on(embedded, clip):
    with Client(embedded) as client:
        worker = Embedded(embedded)
        worker.start()
        job = client.submit(clip, "sleep", {"seconds": 0.05})
        wait_running(client, job)
        time.sleep(0.3)
        ended, seconds = timed_stop(worker)
        assert seconds < STOP_SECONDS + BUSY_SECONDS
        assert ended
        found = row(client, job)
        assert (found.state, found.tries, found.returns) == (State.QUEUED, 0, 1)
        assert slots(embedded) == []
        with Embedded(embedded):
            assert client.wait(job, timeout=90).state is State.DONE


def test_a_photo_that_does_not_look_is_handed_back_all_the_same(embedded, photo):
    with Client(embedded) as client:
        worker = Embedded(embedded)
        worker.start()
        job = client.submit(photo, "sleep", {"seconds": 6})
        wait_running(client, job)
        ended, seconds = timed_stop(worker)
        assert seconds < STOP_SECONDS + BUSY_SECONDS
        assert not ended, "a thread is still in the effect's call"
        # And what it works with is still there.
        assert len(slots(embedded)) == 1
        found = row(client, job)
        assert (found.state, found.tries, found.returns) == (State.QUEUED, 0, 1)
        # The next one works beside the thread that goes on, and is not disturbed by it.
        with Embedded(embedded):
            assert len(slots(embedded)) == 2
            assert client.wait(job, timeout=60).state is State.DONE


@pytest.mark.parametrize("seconds", [0.8])
def test_a_photo_that_is_nearly_done_is_finished(embedded, photo, seconds):
    with Client(embedded) as client:
        worker = Embedded(embedded)
        worker.start()
        job = client.submit(photo, "sleep", {"seconds": seconds})
        wait_running(client, job)
        assert timed_stop(worker)[1] < STOP_SECONDS + BUSY_SECONDS
        assert row(client, job).state is State.DONE


@pytest.mark.parametrize("command", ["up", "submit"])
def test_control_c_ends_a_command_whose_worker_is_in_mid_photo(embedded, photo, command):
    with Client(embedded) as client:
        if command == "up":
            process = subprocess.Popen([mayfly(), "up"], stderr=subprocess.DEVNULL)
            job = client.submit(photo, "sleep", {"seconds": 20})
        else:
            arguments = ["submit", "sleep", str(photo), "-p", "seconds=20", "--wait"]
            process = subprocess.Popen([mayfly(), *arguments], stderr=subprocess.DEVNULL)
            end = time.monotonic() + 60
            while not (found := client.jobs()):
                assert time.monotonic() < end
                time.sleep(0.1)
            job = found[0]
        try:
            wait_running(client, job)
            begun = time.monotonic()
            process.send_signal(signal.SIGINT)
            code = process.wait(30)
            # Stopping, and the end of the process itself.
            assert time.monotonic() - begun < STOP_SECONDS + EXIT_SECONDS
        finally:
            process.kill()
            process.wait(30)
        assert code == (0 if command == "up" else 130)
        found = row(client, job)
        assert (found.state, found.tries, found.returns) == (State.QUEUED, 0, 1)


def test_what_became_due_while_nobody_worked_is_looked_after_at_once(embedded, monkeypatch):
    done = {name: threading.Event() for name in (maintenance.RESEND, maintenance.SWEEP)}
    for name, event in done.items():
        monkeypatch.setitem(maintenance.WORK, name, lambda _, event=event: event.set())
    with Embedded(embedded):
        assert all(event.wait(30) for event in done.values())


def test_a_sweep_needs_none_of_the_threads_that_jobs_take(embedded, monkeypatch, photo):
    """And no message: it comes with its period while the worker's threads are all at something."""
    monkeypatch.setitem(queues.PERIODIC, maintenance.SWEEP, 0.2)
    swept = threading.Semaphore(0)
    monkeypatch.setitem(maintenance.WORK, maintenance.SWEEP, lambda _: swept.release())
    with Client(embedded) as client, Embedded(embedded):
        jobs_ = [client.submit(photo, "sleep", {"seconds": 3}) for _ in range(module.CONCURRENCY)]
        for job in jobs_:
            wait_running(client, job)
        while swept.acquire(blocking=False):
            pass
        assert swept.acquire(timeout=30)
        assert {row(client, job).state for job in jobs_} == {State.RUNNING}


def test_who_is_idle_asks_the_tables_nothing_and_a_write_is_seen_at_once(embedded, monkeypatch, photo):
    """The clock that would look for other processes' writes stands still."""
    monkeypatch.setattr(module, "CHANGE_SECONDS", 10_000)
    monkeypatch.setitem(queues.PERIODIC, maintenance.RESEND, 10_000)
    looks, send = [], outbox.send_unsent
    monkeypatch.setattr(outbox, "send_unsent", lambda rt: (looks.append(1), send(rt)))
    with Client(embedded) as client, Embedded(embedded):
        assert client.wait(client.submit(photo, "pass-through"), timeout=60).state is State.DONE
        settled = quiet(looks)
        time.sleep(1)
        assert len(looks) == settled
        assert client.wait(client.submit(photo, "pass-through"), timeout=60).state is State.DONE


def quiet(looks):
    """Wait until what follows a job's end is over: half a second without a look."""
    end, count = time.monotonic() + 60, -1
    while count != len(looks):
        assert time.monotonic() < end
        count = len(looks)
        time.sleep(0.5)
    return count


def test_a_job_of_another_process_is_seen(embedded, monkeypatch, photo):
    monkeypatch.setitem(queues.PERIODIC, maintenance.RESEND, 10_000)
    with Client(embedded) as client, Embedded(embedded):
        run = subprocess.run(
            [mayfly(), "submit", "pass-through", str(photo), "--json"], capture_output=True, check=True
        )
        assert run.stdout
        (job,) = client.jobs()
        assert client.wait(job, timeout=60).state is State.DONE


def test_an_outbox_without_its_database_says_so_once(embedded, monkeypatch, caplog):
    calls = []

    def missing(_runtime):
        calls.append(1)
        raise DatabaseMissing("the database does not answer")

    monkeypatch.setattr(module, "TROUBLE_SECONDS", 0.02)
    monkeypatch.setattr(outbox, "send_unsent", missing)
    with Embedded(embedded):
        end = time.monotonic() + 30
        while len(calls) < 5:
            assert time.monotonic() < end
            time.sleep(0.02)
    said = [record for record in caplog.records if record.name == "mayfly.workers.embedded"]
    assert [record.getMessage() for record in said] == ["database_unreachable: the outbox goes on trying"]
    assert said[0].exc_info is None


def test_files_of_a_worker_are_nobody_elses(embedded):
    with Embedded(embedded):
        (slot,) = slots(embedded)
        for folder in (embedded.home, embedded.home / "scratch", slot.parent, slot):
            assert folder.stat().st_mode & 0o077 == 0


def test_what_dead_workers_of_this_machine_left_is_removed(embedded, tmp_path, monkeypatch):
    """Also those of servers; and as long as this one runs."""
    machine = embedded.model_copy(update={"scratch": tmp_path / "machine"})
    monkeypatch.setattr(scratch, "SWEEP_SECONDS", 0.02)
    with Embedded(machine):
        for _ in range(2):
            left = scratch.Slot.take(machine.scratch)
            os.close(left._lock)
            end = time.monotonic() + 30
            while left.path.exists():
                assert time.monotonic() < end
                time.sleep(0.02)


@pytest.mark.parametrize("where", ["home", "scratch"])
def test_a_folder_that_is_not_mayflys_is_refused(embedded, where):
    folder = {"home": embedded.home, "scratch": scratch.own(embedded.home / "scratch")}[where]
    folder.mkdir(parents=True)
    (folder / "precious").write_text("x")
    folder.chmod(0o755)
    with pytest.raises(FolderRefused, match="MAYFLY_HOME"):
        Embedded(embedded).start()
    assert (folder / "precious").exists() and folder.stat().st_mode & 0o777 == 0o755


def test_asking_whether_it_runs_makes_no_home(embedded):
    assert not module.is_running(embedded)
    assert not embedded.home.exists()
