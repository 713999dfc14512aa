"""Scratch: a slot belongs to one worker until its last process has ended, and is empty when the next one takes it."""

import os
import subprocess
import sys
import time

import pytest

from workers import scratch
from workers.scratch import Slot

WORKER = """
import os, sys, pathlib, subprocess, time
from workers.scratch import Slot
slot = Slot.take(pathlib.Path(sys.argv[1]))
(slot.path / "film.mp4").write_bytes(b"x")
print(slot.path.name, flush=True)
time.sleep(120)
"""

SERVICE = """
import sys, pathlib, time
from workers.scratch import Slot
slot = Slot.share(pathlib.Path(sys.argv[1]))
print("shared", flush=True)
time.sleep(120)
"""


@pytest.fixture
def start():
    """Start a process and return it with its first line."""
    started = []

    def start(script, path):
        process = subprocess.Popen([sys.executable, "-c", script, str(path)], stdout=subprocess.PIPE, text=True)
        started.append(process)
        return process, process.stdout.readline().strip()

    yield start
    for process in started:
        process.kill()
        process.communicate(timeout=30)


def test_it_is_private_and_empty_and_leaves_nothing(tmp_path):
    slot = Slot.take(tmp_path / "scratch")
    assert slot.path == tmp_path / "scratch" / "worker-1"
    assert slot.path.stat().st_mode & 0o077 == 0
    assert list(slot.path.iterdir()) == []
    (slot.path / "film.mp4").write_bytes(b"x")
    slot.give_back()
    assert not slot.path.exists()


def test_a_second_worker_takes_the_next_slot(tmp_path, start):
    _, first = start(WORKER, tmp_path)
    _, second = start(WORKER, tmp_path)
    third = Slot.take(tmp_path)
    assert [first, second, third.path.name] == ["worker-1", "worker-2", "worker-3"]
    # Nobody touches what the others have.
    assert (
        (tmp_path / "worker-1" / "film.mp4").read_bytes() == (tmp_path / "worker-2" / "film.mp4").read_bytes() == b"x"
    )
    third.give_back()


def test_what_a_killed_worker_left_is_gone(tmp_path, start):
    other, _ = start(WORKER, tmp_path)
    other.kill()
    other.wait(30)
    assert (tmp_path / "worker-1" / "film.mp4").exists()
    slot = Slot.take(tmp_path)
    assert slot.path.name == "worker-1"
    assert list(slot.path.iterdir()) == []
    slot.give_back()


def test_a_slot_is_taken_until_the_last_process_of_its_worker_has_ended(tmp_path, start):
    other, _ = start(WORKER, tmp_path)
    service, said = start(SERVICE, tmp_path / "worker-1")
    assert said == "shared"
    other.kill()
    other.wait(30)
    second = Slot.take(tmp_path)
    assert second.path.name == "worker-2"
    assert (tmp_path / "worker-1" / "film.mp4").exists()
    service.kill()
    service.wait(30)
    first = Slot.take(tmp_path)
    assert first.path.name == "worker-1"
    assert list(first.path.iterdir()) == []
    first.give_back()
    second.give_back()


def test_who_leaves_a_slot_first_leaves_its_files(tmp_path, start):
    slot = Slot.take(tmp_path)
    (slot.path / "film.mp4").write_bytes(b"x")
    service, _ = start(SERVICE, slot.path)
    slot.give_back()
    assert (slot.path / "film.mp4").exists()
    service.kill()
    service.wait(30)


def test_only_slots_are_emptied(tmp_path):
    (tmp_path / "worker-1").mkdir()
    (tmp_path / "worker-1" / "old").mkdir()
    others = [tmp_path / "mine.txt", tmp_path / "worker-1.txt", tmp_path / "cpu-photo"]
    for other in others:
        other.write_text("not ours")
    Slot.take(tmp_path).give_back()
    assert not (tmp_path / "worker-1").exists()
    assert all(other.exists() for other in others)


def test_it_may_be_taken_again(tmp_path):
    for _ in range(2):
        slot = Slot.take(tmp_path)
        assert slot.path.name == "worker-1"
        assert list(slot.path.iterdir()) == []
        (slot.path / "x").write_bytes(b"x")
        slot.give_back()


def test_a_child_removes_what_dead_children_left_and_nothing_else(tmp_path, start):
    living, _ = start("import time; print('lives', flush=True); time.sleep(60)", tmp_path)
    own = scratch.of_child(tmp_path)
    folders = {
        "living": tmp_path / f"{living.pid}-{scratch.holder.started(living.pid)}",
        "its number again": tmp_path / f"{living.pid}-1",
        "dead": tmp_path / "999999999-1",
        "strange": tmp_path / "x",
    }
    for folder in folders.values():
        folder.mkdir()
    assert scratch.of_child(tmp_path) == own
    assert {name for name, folder in folders.items() if folder.exists()} == {"living"}
    assert own.stat().st_mode & 0o077 == 0
    assert own.name.startswith(f"{os.getpid()}-")


def test_a_worker_that_stops_is_no_obstacle_to_the_next(tmp_path, start):
    start(WORKER, tmp_path)
    begun = time.monotonic()
    slot = Slot.take(tmp_path)
    assert time.monotonic() - begun < 2
    slot.give_back()
