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


@pytest.mark.parametrize(
    ("reserve", "size", "action"), [("reserve", 7, "purge"), ("without", 1_000_000, "purge"), ("reserve", 7, "cancel")]
)
def test_a_full_disk_is_read_and_destroyed_from(namespace, tmp_path, photo, reserve, size, action):
    """With the reserve, even where what is destroyed gives no room; without, by what is destroyed itself."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = [*namespace, sys.executable, "-m", "tests.faults.full_disk", disk, reserve, str(size), photo, action]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    saw = json.loads(done.stdout)
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
