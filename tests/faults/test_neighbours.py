"""Of two commands that wait in one home, the second goes on when the first, which brought the worker, has ended."""

import json
import signal
import subprocess

import pytest

from mayfly import Client
from tests.conftest import mayfly
from tests.integration.stage import wait_for


def start(photo, seconds):
    command = [mayfly(), "submit", "sleep", str(photo), "-p", f"seconds={seconds}", "--wait", "--json"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


@pytest.mark.parametrize("end", [None, signal.SIGTERM, signal.SIGKILL], ids=["done", "stopped", "killed"])
def test_whoever_waits_takes_over(embedded, photo, end):
    first = start(photo, 3)
    try:
        one = json.loads(first.stdout.readline())["job"]
        with Client(embedded) as client:
            # The worker is the first one's.
            wait_for("its work", lambda: client.status(one).state in ("running", "done"))
            # More than the first one's worker does in its time.
            others = [start(photo, 4) for _ in range(2)]
            two = [json.loads(other.stdout.readline())["job"] for other in others]
            if end is not None:
                first.send_signal(end)
            first.communicate(timeout=60)
            for other, job in zip(others, two, strict=True):
                stdout, _ = other.communicate(timeout=120)
                last = json.loads(stdout.splitlines()[-1])
                assert (other.returncode, last["job"], last["state"]) == (0, job, "done")
    finally:
        for process in (first, *locals().get("others", ())):
            process.kill()
            process.wait()
            process.stdout.close()
