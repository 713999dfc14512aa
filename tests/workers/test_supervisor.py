"""The supervisor: a service that dies at once is started ever more slowly, and what it owned ends with it."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from mayfly.workers import parents, supervisor
from mayfly.workers.plan import Service
from mayfly.workers.supervisor import Supervisor, reason, restart_pause
from tests import other_project

SERVICE = Service(name="cpu-photo", queues=("cpu.photo",), concurrency=1)


class Fake(Supervisor):
    """A supervisor whose services are other programs."""

    def __init__(self, *command, slot):
        super().__init__([SERVICE], threads=1, slot=slot)
        self.command, self.times = command, []

    def _start(self, service):
        self.times.append(time.monotonic())
        return subprocess.Popen(self.command)


def wait_ended(*pids):
    """Wait until these processes are gone, or dead and not yet waited for by whoever inherited them."""
    end = time.monotonic() + 30
    for status in (Path(f"/proc/{pid}/status") for pid in pids):
        while status.exists() and "Z (zombie)" not in status.read_text():
            assert time.monotonic() < end, "a process was left"
            time.sleep(0.02)


def stop_after(seconds):
    thread = threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGTERM))
    thread.start()
    return thread


@pytest.mark.parametrize(("early", "seconds"), [(0, 1), (1, 1), (4, 1), (5, 2), (6, 4), (9, 32), (10, 60), (1000, 60)])
def test_a_service_that_dies_at_once_is_started_ever_more_slowly(early, seconds):
    assert restart_pause(early) == seconds


@pytest.mark.parametrize("light", [True, False])
def test_a_service_imports_nothing_from_the_folder_that_it_is_started_in(light, tmp_path, monkeypatch):
    monkeypatch.chdir(other_project.with_names_of_libraries(tmp_path / "elsewhere"))
    # It imports all that it runs with, and says how it is used.
    service = Service(name="--help", queues=("cpu.photo",), concurrency=1, light=light)
    process = Supervisor([service], threads=1, slot=tmp_path)._start(service)
    assert process.wait(60) == 0


def test_deaths_in_a_row_are_counted_and_said_in_one_line(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(supervisor, "RESTART_SECONDS", 0.05)
    monkeypatch.setattr(supervisor, "POLL_SECONDS", 0.01)
    fake = Fake(sys.executable, "-c", f"raise SystemExit({parents.EXPLAINED})", slot=tmp_path)
    stop_after(3)
    fake.run()
    pauses = [after - before for before, after in zip(fake.times, fake.times[1:], strict=False)]
    assert len(pauses) > 6
    assert pauses[6] > 0.35 > pauses[0]
    said = [record.getMessage() for record in caplog.records if "ended" in record.getMessage()]
    assert said[0].startswith("service cpu-photo ended (it could not work and says why above); started again in ")


def test_what_dead_workers_left_is_swept_as_long_as_it_runs(tmp_path, monkeypatch):
    monkeypatch.setattr(supervisor.scratch, "SWEEP_SECONDS", 0.02)
    monkeypatch.setattr(supervisor, "POLL_SECONDS", 0.01)
    slot, swept = supervisor.scratch.Slot.take(tmp_path), []

    def die_twice():
        for _ in range(2):
            left = supervisor.scratch.Slot.take(tmp_path)
            os.close(left._lock)
            end = time.monotonic() + 30
            while left.path.exists() and time.monotonic() < end:
                time.sleep(0.01)
            swept.append(not left.path.exists())
        os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=die_twice)
    supervised = Fake("sleep", "60", slot=slot.path)
    monkeypatch.setattr(supervised, "_tend", lambda _running: thread.ident or thread.start())
    supervised.run()
    thread.join(30)
    assert swept == [True, True]
    assert slot.path.exists()
    slot.give_back()


def test_a_service_that_lived_is_started_again_soon(tmp_path, monkeypatch):
    monkeypatch.setattr(supervisor, "RESTART_SECONDS", 0.05)
    monkeypatch.setattr(supervisor, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(supervisor, "EARLY_SECONDS", 0.0)
    fake = Fake("true", slot=tmp_path)
    stop_after(1.5)
    fake.run()
    pauses = [after - before for before, after in zip(fake.times, fake.times[1:], strict=False)]
    assert len(pauses) > 6
    assert min(pauses[6:]) < 0.35


def test_what_does_not_stop_is_killed_with_what_it_started(tmp_path, monkeypatch):
    monkeypatch.setattr(supervisor, "STOP_SECONDS", 0.5)
    monkeypatch.setattr(supervisor, "LAST_SECONDS", 0.2)
    pids = tmp_path / "pids"
    # A service that ignores SIGTERM, with a child in a session of its own.
    script = f"trap '' TERM; setsid sleep 60 & echo $! $$ > {pids}; sleep 60; sleep 60"
    fake = Fake("sh", "-c", script, slot=tmp_path)
    stop_after(1)
    fake.run()
    wait_ended(*pids.read_text().split())


def test_reasons():
    assert reason(-9) == "SIGKILL"
    assert reason(1) == "exit code 1"
    assert "says why" in reason(0)


def test_names_of_two_workers_differ(tmp_path):
    assert Fake("true", slot=tmp_path).identity != Fake("true", slot=tmp_path).identity


@pytest.mark.skipif(sys.platform != "linux", reason="a parent's death is told by Linux")
@pytest.mark.parametrize("late", [False, True])
def test_a_process_ends_with_its_parent(tmp_path, late):
    said = tmp_path / "said"
    child = f"""
import os, signal, time
from pathlib import Path
from mayfly.workers import parents
parent = int(os.environ["PARENT"])
if {late}:
    while os.getppid() == parent: time.sleep(0.01)
    Path({str(said)!r}).write_text(str(os.getpid()))
parents.follow(parent, signal.SIGTERM)
Path({str(said)!r}).write_text(str(os.getpid()))
time.sleep(60)
"""
    # The parent between ends at once, or once the child follows it.
    parent = f"""
import os, subprocess, sys, time
from pathlib import Path
subprocess.Popen([sys.executable, "-c", {child!r}], env=os.environ | {{"PARENT": str(os.getpid())}})
while not {late} and not Path({str(said)!r}).exists(): time.sleep(0.01)
os._exit(0)
"""
    subprocess.run([sys.executable, "-c", parent], check=True, timeout=60, env=os.environ | {"PYTHONPATH": "."})
    end = time.monotonic() + 30
    while not (said.exists() and said.read_text()):
        assert time.monotonic() < end
        time.sleep(0.02)
    wait_ended(said.read_text())


def test_without_a_broker_only_what_is_light_runs(tmp_path, monkeypatch):
    monkeypatch.setattr(supervisor, "POLL_SECONDS", 0.01)
    light, broker = Service(name="maintenance", queues=("maintenance",), concurrency=1, light=True), threading.Event()
    started = []

    class Told(Supervisor):
        def _start(self, service):
            started.append((service.name, broker.is_set()))
            if service.light:
                threading.Timer(0.2, broker.set).start()
            else:
                os.kill(os.getpid(), signal.SIGTERM)
            return subprocess.Popen(["sleep", "60"])

    Told([SERVICE, light], threads=1, slot=tmp_path, broker=broker).run()
    assert started == [("maintenance", False), ("cpu-photo", True)]
