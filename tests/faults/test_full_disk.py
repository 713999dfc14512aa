"""A full disk, really full: what is there can be read, destruction goes on, and the message names the cause."""

import json
import subprocess
import sys

import pytest

from tests.conftest import ROOT

FAILED, UNREACHABLE = 1, 3
# A file system of its own takes a namespace: root's, or else one in which this user is root.
NAMESPACES = (["unshare", "--mount"], ["unshare", "--user", "--map-root-user", "--mount"])


@pytest.fixture(scope="module")
def namespace():
    """The beginning of a command that may mount what nobody else sees."""
    for words in NAMESPACES:
        tried = [*words, "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
        if subprocess.run(tried, capture_output=True, check=False).returncode == 0:
            return words
    pytest.fail("no disk can be filled here: neither root nor user namespaces may mount a tmpfs")


def on_full_disk(namespace, folder, reserve, size, photo, action):
    disk = folder / "disk"
    disk.mkdir()
    command = [*namespace, sys.executable, "-m", "tests.faults.full_disk", disk, reserve, str(size), photo, action]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("reserve", "size", "action"), [("reserve", 7, "purge"), ("without", 1_000_000, "purge"), ("reserve", 7, "cancel")]
)
def test_a_full_disk_is_read_and_destroyed_from(namespace, tmp_path, photo, reserve, size, action):
    """With the reserve, even where what is destroyed gives no room; without, by what is destroyed itself."""
    saw = on_full_disk(namespace, tmp_path, reserve, size, photo, action)
    assert saw["reserve"] is (reserve == "reserve")
    (job,) = saw["status"]["out"]
    assert (saw["status"]["code"], job["state"]) == (0, "uploading"), saw["status"]
    # What the killed process wrote last is seen as well.
    (before,) = saw["before"]["out"]
    assert (saw["before"]["code"], before["overdue"]["input"], before["sweep"]["late"]) == (FAILED, 1, 1), saw["before"]
    assert before["disk_full"] is True
    assert "disk_full: the disk of MAYFLY_HOME is full" in saw["before"]["said"]
    assert saw["submit"]["code"] == UNREACHABLE
    assert saw["submit"]["out"][0]["error"] == "disk_full"
    assert "the disk of MAYFLY_HOME is full: free some space" in saw["submit"]["said"]
    # Only a destruction may have it.
    assert saw["reserve after reading"] is saw["reserve"]
    assert saw["run"]["code"] == 0, saw["run"]
    assert saw["run"]["out"] == ([{"destroyed": 1, "failed": 0}] if action == "purge" else [])
    assert saw["left"] == []
    assert saw["reserve after the purge"] is False
    (after,) = saw["after"]["out"]
    assert (saw["after"]["code"], sum(after["held"].values()), after["disk_full"]) == (0, 0, False), saw["after"]
    assert saw["reserve with room"] is True


@pytest.mark.parametrize(("reserve", "size"), [("reserve", 7), ("without", 1_000_000)])
def test_a_worker_that_starts_on_one_destroys_what_is_due_and_then_works(namespace, tmp_path, photo, reserve, size):
    saw = on_full_disk(namespace, tmp_path, reserve, size, photo, "up")
    assert (saw["state"], saw["code"]) == ("done", 0)
    assert lines(saw) == 1


@pytest.mark.parametrize("reserve", ["reserve", "without"])
def test_a_worker_that_can_make_no_room_says_so_once_and_waits_for_it(namespace, tmp_path, photo, reserve):
    saw = on_full_disk(namespace, tmp_path, reserve, 0, photo, "up")
    assert saw["waiting"] == "queued"
    # Only a destruction may have it.
    assert saw["kept"] is (reserve == "reserve")
    assert (saw["state"], saw["code"]) == ("done", 0)
    assert lines(saw) == 1


def lines(saw):
    """How often it is said what to do; nothing else keeps it from its work."""
    assert "database_unreachable" not in saw["said"]
    return saw["said"].count("disk_full: the disk of MAYFLY_HOME is full: free some space, or `mayfly purge run`")
