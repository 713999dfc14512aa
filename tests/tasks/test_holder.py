"""Holders: a dead process is known to be dead, and nobody else is."""

import os
import socket
import subprocess
import sys
import threading

import pytest

from tasks import holder

OWN = "import time; from tasks import holder; print(holder.own(), flush=True); time.sleep(60)"


@pytest.fixture
def process():
    """Another process and the name of its claims."""
    started = subprocess.Popen([sys.executable, "-c", OWN], stdout=subprocess.PIPE, text=True)
    yield started, started.stdout.readline().strip()
    started.kill()
    started.communicate(timeout=30)


def test_a_process_is_alive_until_it_is_killed(process):
    started, name = process
    assert name.startswith(f"{socket.gethostname()}:{started.pid}:")
    assert not holder.died(name)
    started.kill()
    # Dead but not yet waited for: what a supervisor sees first.
    os.waitid(os.P_PID, started.pid, os.WEXITED | os.WNOWAIT)
    assert holder.died(name)
    started.wait(30)
    assert holder.died(name)


def test_this_process_is_alive():
    assert not holder.died(holder.own())


def test_threads_have_their_own_names():
    names = [holder.own()]
    thread = threading.Thread(target=lambda: names.append(holder.own()))
    thread.start()
    thread.join(30)
    assert len(set(names)) == 2
    assert not any(holder.died(name) for name in names)


def test_a_number_that_another_process_has_now_is_a_dead_holder():
    host, pid, started, thread = holder.own().rsplit(":", 3)
    assert holder.died(f"{host}:{pid}:{float(started) - 100}:{thread}")


def test_nobody_knows_about_another_machine():
    _, rest = holder.own().split(":", 1)
    assert not holder.died(f"elsewhere:{rest}")
    assert not holder.died("elsewhere:999999999:1.0:1")


@pytest.mark.parametrize("name", ["", "x", "a:b:c:d", f"{socket.gethostname()}:x:1.0:1"])
def test_what_is_no_name_of_ours_is_not_dead(name):
    assert not holder.died(name)
