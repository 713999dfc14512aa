"""Scratch: a slot belongs to one worker until its last process has ended, and is empty when the next one takes it;
what lies beside it is nobody's business.
"""

import logging
import os
import subprocess
import sys
import threading
import time

import pytest

from mayfly import folders
from mayfly.errors import FolderRefused
from mayfly.workers import scratch
from mayfly.workers.scratch import Slot

WORKER = """
import os, sys, pathlib, subprocess, time
from mayfly.workers.scratch import Slot
slot = Slot.take(pathlib.Path(sys.argv[1]))
(slot.path / "film.mp4").write_bytes(b"x")
print(slot.path.name, flush=True)
time.sleep(120)
"""

SERVICE = """
import sys, pathlib, time
from mayfly.workers.scratch import Slot
slot = Slot.share(pathlib.Path(sys.argv[1]))
print("shared", flush=True)
time.sleep(120)
"""


@pytest.fixture
def root(tmp_path):
    """Mayfly's own folder in this test's."""
    return scratch.own(tmp_path)


def kill(process):
    process.kill()
    process.wait(30)


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
    assert slot.path == tmp_path / "scratch" / f"mayfly-{os.getuid()}" / "worker-1"
    assert slot.path.parent.stat().st_mode & 0o077 == slot.path.stat().st_mode & 0o077 == 0
    assert list(slot.path.iterdir()) == []
    (slot.path / "film.mp4").write_bytes(b"x")
    slot.give_back()
    assert not slot.path.exists()


def test_a_second_worker_takes_the_next_slot(tmp_path, root, start):
    _, first = start(WORKER, tmp_path)
    _, second = start(WORKER, tmp_path)
    third = Slot.take(tmp_path)
    assert [first, second, third.path.name] == ["worker-1", "worker-2", "worker-3"]
    # Nobody touches what the others have.
    scratch.sweep(root)
    assert (root / "worker-1" / "film.mp4").read_bytes() == (root / "worker-2" / "film.mp4").read_bytes() == b"x"
    third.give_back()


def test_what_a_killed_worker_left_is_gone(tmp_path, root, start):
    other, _ = start(WORKER, tmp_path)
    kill(other)
    assert (root / "worker-1" / "film.mp4").exists()
    slot = Slot.take(tmp_path)
    assert slot.path.name == "worker-1"
    assert list(slot.path.iterdir()) == []
    slot.give_back()


def test_what_killed_workers_left_is_removed_by_any_other(tmp_path, root, start, caplog):
    others = [start(WORKER, tmp_path)[0] for _ in range(3)]
    slot = Slot.take(tmp_path)
    assert slot.path.name == "worker-4"
    for other in (others[0], others[2]):
        kill(other)
    with caplog.at_level(logging.WARNING):
        scratch.sweep(root)
    assert sorted(path.name for path in root.glob("worker-*/")) == ["worker-2", "worker-4"]
    assert (root / "worker-2" / "film.mp4").exists()
    # An operator learns which, and nothing of what it was.
    assert sorted(record.getMessage().partition(":")[0] for record in caplog.records) == ["worker-1", "worker-3"]
    assert "film" not in caplog.text
    slot.give_back()


def test_a_slot_is_taken_until_the_last_process_of_its_worker_has_ended(tmp_path, root, start):
    other, _ = start(WORKER, tmp_path)
    service, said = start(SERVICE, root / "worker-1")
    assert said == "shared"
    kill(other)
    scratch.sweep(root)
    second = Slot.take(tmp_path)
    assert second.path.name == "worker-2"
    assert (root / "worker-1" / "film.mp4").exists()
    kill(service)
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
    kill(service)


def test_what_lies_beside_is_left_alone(tmp_path, root):
    """Whatever it is called; as when MAYFLY_SCRATCH is a folder with other things, or the working folder."""
    others = [tmp_path / name for name in ("media", "cpu-photo", "worker-1", "worker-1.lock", "mayfly-scratch")]
    for other in others:
        other.mkdir()
        (other / "precious").write_text("not ours")
    tmp_path.chmod(0o755)
    Slot.take(tmp_path).give_back()
    scratch.sweep(root)
    scratch.sweep(tmp_path)
    assert all((other / "precious").exists() for other in others)
    assert tmp_path.stat().st_mode & 0o777 == 0o755
    assert {path.name for path in tmp_path.iterdir()} == {root.name, *(other.name for other in others)}


def test_a_folder_of_the_same_name_that_is_not_ours_is_refused(tmp_path, root):
    precious = root / "worker-1" / "cpu-photo" / "theirs" / "precious"
    precious.parent.mkdir(parents=True)
    precious.write_text("not ours")
    root.chmod(0o700)
    with pytest.raises(FolderRefused) as raised:
        Slot.take(tmp_path)
    assert raised.value.code == "folder_refused"
    assert "MAYFLY_SCRATCH" in str(raised.value) and str(tmp_path) not in str(raised.value)
    scratch.sweep(root)
    # Not even as the slot of somebody who is told to have it.
    Slot.share(root / "worker-1").give_back()
    scratch.of_child(root / "worker-1" / "cpu-photo")
    assert precious.exists()


def test_takers_and_sweepers_at_once_share_nothing(tmp_path, root):
    barrier, taken = threading.Barrier(6, timeout=30), []

    def take():
        barrier.wait()
        slot = Slot.take(tmp_path)
        (slot.path / "film.mp4").write_bytes(b"x")
        taken.append(slot)

    def sweep():
        barrier.wait()
        for _ in range(50):
            scratch.sweep(root)

    threads = [threading.Thread(target=work) for work in (take, take, take, take, sweep, sweep)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len({slot.path for slot in taken}) == 4
    assert all((slot.path / "film.mp4").exists() for slot in taken)
    for slot in taken:
        slot.give_back()


def test_it_may_be_taken_again(tmp_path):
    for _ in range(2):
        slot = Slot.take(tmp_path)
        assert slot.path.name == "worker-1"
        assert list(slot.path.iterdir()) == []
        (slot.path / "x").write_bytes(b"x")
        slot.give_back()


def test_a_child_removes_what_dead_children_left_and_nothing_else(tmp_path, start):
    slot = Slot.take(tmp_path)
    service = slot.path / "cpu-video"
    living, _ = start("import time; print('lives', flush=True); time.sleep(60)", tmp_path)
    own = scratch.of_child(service)
    found = {
        "living": service / f"{living.pid}-{scratch.holder.started(living.pid)}",
        "its number again": service / f"{living.pid}-1",
        "dead": service / "999999999-1",
        "strange": service / "x",
    }
    for folder in found.values():
        folder.mkdir()
    assert scratch.of_child(service) == own
    assert {name for name, folder in found.items() if folder.exists()} == {"living"}
    assert own.stat().st_mode & 0o077 == 0
    assert own.name.startswith(f"{os.getpid()}-")
    slot.give_back()


def test_a_worker_that_stops_is_no_obstacle_to_the_next(tmp_path, start):
    start(WORKER, tmp_path)
    begun = time.monotonic()
    slot = Slot.take(tmp_path)
    assert time.monotonic() - begun < 10
    slot.give_back()


def test_what_cannot_be_removed_is_said(tmp_path, root, start, caplog, monkeypatch):
    other, _ = start(WORKER, tmp_path)
    kill(other)
    # A disk that does not let go; nothing here can be made to.
    monkeypatch.setattr(folders.shutil, "rmtree", lambda *_arguments, **_options: None)
    scratch.sweep(root)
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert "worker-1" in caplog.text and "by hand" in caplog.text
