"""Holders: a dead process is known to be dead, and nobody else is."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading

import psutil
import pytest

from mayfly.tasks.attempts import holder

OWN = "import time; from mayfly.tasks.attempts import holder; print(holder.own(), flush=True); time.sleep(60)"

linux = pytest.mark.skipif(sys.platform != "linux", reason="containers are Linux's")


@pytest.fixture
def process():
    """Another process and the name of its claims."""
    started = subprocess.Popen([sys.executable, "-c", OWN], stdout=subprocess.PIPE, text=True)
    yield started, started.stdout.readline().strip()
    started.kill()
    started.communicate(timeout=30)


def test_a_process_is_alive_until_it_is_killed(process):
    started, name = process
    assert name.startswith(f"{socket.gethostname()}:{holder.place()}:{started.pid}:")
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
    host, where, pid, start, thread = holder.own().rsplit(":", 4)
    assert holder.died(f"{host}:{where}:{pid}:{int(start) - 1}:{thread}")


def test_nobody_knows_about_another_machine(process):
    started, name = process
    started.kill()
    started.wait(30)
    host, where, rest = name.split(":", 2)
    assert holder.died(name)
    assert not holder.died(f"elsewhere:{where}:{rest}")
    # Another start of this machine, or a container whose host name and numbers are the same.
    assert not holder.died(f"{host}:0123456789ab:{rest}")


@linux
@pytest.mark.skipif(shutil.which("unshare") is None or os.geteuid() != 0, reason="needs unshare and root")
def test_a_container_of_the_same_name_is_another_place():
    # Its first process has the number 1, as one of the machine's has.
    inside = [
        "unshare",
        "--pid",
        "--fork",
        "--mount-proc",
        sys.executable,
        "-c",
        "from mayfly.tasks.attempts import holder; print(holder.own())",
    ]
    name = subprocess.run(inside, capture_output=True, text=True, timeout=60, check=True).stdout.strip()
    host, where, pid, *_ = name.split(":")
    assert (host, pid) == (socket.gethostname(), "1")
    assert where != holder.place()
    # It has ended, but who could tell here?
    assert not holder.died(name)


@linux
def test_a_process_whose_name_looks_like_its_state(tmp_path):
    program = tmp_path / "a) Z 1 (b"
    program.symlink_to(sys.executable)
    with subprocess.Popen(
        [program, "-c", OWN], stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": "."}
    ) as named:
        try:
            stat = (holder.PROC / str(named.pid) / "stat").read_text()
            assert stat.partition("(")[2].startswith(program.name)
            assert holder.started(named.pid) == stat.rpartition(")")[2].split()[19]
        finally:
            named.kill()


@linux
def test_the_start_is_the_kernels_and_the_clock_has_no_part(process):
    started, name = process
    ticks = int(name.split(":")[3])
    begun = psutil.boot_time() + ticks / os.sysconf("SC_CLK_TCK")
    assert abs(begun - psutil.Process(started.pid).create_time()) < 1


@linux
def test_a_process_that_may_not_be_looked_at_is_not_dead(process, monkeypatch, tmp_path):
    started, name = process
    # As where the folders of other people's processes are hidden.
    holder.place()
    monkeypatch.setattr(holder, "PROC", tmp_path)
    assert not holder.died(name)
    started.terminate()
    # It is asked for without a signal, which would have come first.
    assert started.wait(30) == -signal.SIGTERM


@linux
def test_a_place_is_a_start_of_the_machine_and_a_container(monkeypatch, tmp_path):
    (tmp_path / "self/ns").mkdir(parents=True)
    (tmp_path / "sys/kernel/random").mkdir(parents=True)
    monkeypatch.setattr(holder, "PROC", tmp_path)
    places = []
    for boot, container in (("a", "pid:[1]"), ("b", "pid:[1]"), ("a", "pid:[2]"), ("a", "pid:[1]")):
        (tmp_path / "sys/kernel/random/boot_id").write_text(f"{boot}\n")
        (tmp_path / "self/ns/pid").unlink(missing_ok=True)
        (tmp_path / "self/ns/pid").symlink_to(container)
        places.append(holder.place.__wrapped__())
    assert len(set(places)) == 3
    assert places[0] == places[3]


@pytest.mark.parametrize(
    "name", ["", "x", "a:b:c:d:e", f"{socket.gethostname()}:1:1.0:1", f"{socket.gethostname()}:{holder.place()}:x:1:1"]
)
def test_what_is_no_name_of_ours_is_not_dead(name):
    assert not holder.died(name)
