"""Scratch: emptied when its worker starts, one worker at a time, whatever became of the one before."""

import subprocess
import sys

import filelock
import pytest

from workers.scratch import Scratch

HOLD = """
import sys, pathlib, time
from workers.scratch import Scratch
folder = Scratch(pathlib.Path(sys.argv[1]), "cpu-photo")
(folder.take() / "film.mp4").write_bytes(b"x")
print("taken", flush=True)
time.sleep(120)
"""


@pytest.fixture
def other(tmp_path):
    """Another process that has the folder and a film in it."""
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "taken\n"
    yield process
    process.kill()
    process.communicate(timeout=30)


def test_it_is_private_and_empty(tmp_path):
    mine = Scratch(tmp_path / "scratch", "cpu-photo")
    folder = mine.take()
    assert folder.stat().st_mode & 0o077 == 0
    assert list(folder.iterdir()) == []
    mine.give_back()
    assert list((tmp_path / "scratch").iterdir()) == []


def test_what_a_killed_worker_left_is_gone(tmp_path, other):
    other.kill()
    other.wait(30)
    assert [path.name for path in (tmp_path / "cpu-photo").iterdir()] == ["film.mp4"]
    mine = Scratch(tmp_path, "cpu-photo")
    assert list(mine.take().iterdir()) == []
    mine.give_back()


def test_a_worker_that_lives_keeps_its_folder(tmp_path, other, monkeypatch):
    mine = Scratch(tmp_path, "cpu-photo")
    acquire = mine._lock.acquire
    monkeypatch.setattr(mine._lock, "acquire", lambda timeout: acquire(timeout=0.2))
    with pytest.raises(filelock.Timeout):
        mine.take()
    assert (tmp_path / "cpu-photo" / "film.mp4").read_bytes() == b"x"


def test_workers_of_other_names_do_not_meet(tmp_path, other):
    mine = Scratch(tmp_path, "cpu-video")
    mine.take()
    assert (tmp_path / "cpu-photo" / "film.mp4").exists()
    mine.give_back()


def test_it_may_be_taken_again(tmp_path):
    mine = Scratch(tmp_path, "cpu-photo")
    (mine.take() / "x").write_bytes(b"x")
    mine.give_back()
    assert list(mine.take().iterdir()) == []
    # It is kept from others again.
    with pytest.raises(filelock.Timeout):
        filelock.FileLock(tmp_path / "cpu-photo.lock").acquire(timeout=0)
    mine.give_back()
