"""What a media tool that was started can see of us: nothing."""

from __future__ import annotations

import dataclasses
import errno
import os
import signal
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from mayfly.media.children import confinement, launch, process, seccomp
from mayfly.media.children.confinement import Access, Kind
from mayfly.media.errors import MachineFault
from mayfly.media.limits import Limits
from mayfly.media.video import hardware, preview, probe, segments, video

LIMITS = Limits()
OFFERED = confinement.offered()
FILES = pytest.mark.skipif(not OFFERED & Kind.FILES, reason="this kernel offers no Landlock")


def said(*command, **options):
    return process.run(command, timeout=30, **options)


def test_a_running_child_has_a_bare_environment(monkeypatch):
    monkeypatch.setenv("MAYFLY_DATABASE_URL", "postgresql://name:secret@host/database")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    with process.Child(["cat"], timeout=30, stdin=True, stdout=True) as child:
        child.stdin.write(b"x")
        assert child.stdout.read(1) == b"x"
        environment = Path(f"/proc/{child.pid}/environ").read_text().split("\0")
        child.stdin.close()
    names = {line.partition("=")[0] for line in environment if line}
    assert names <= {"PATH", "LC_ALL", "LANG", "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER"}
    assert "LC_ALL=C" in environment


def test_every_tool_has_one(clip, tmp_path, monkeypatch):
    """Stand-ins write down what they get, then do the work."""
    folder, log = tmp_path / "bin", tmp_path / "log"
    folder.mkdir()
    log.touch()
    for name in ("ffmpeg", "ffprobe"):
        real = next(place for place in os.environ["PATH"].split(":") if os.access(f"{place}/{name}", os.X_OK))
        (folder / name).write_text(f'#!/bin/sh\nexport -p >> {folder}/log-$$\nexec {real}/{name} "$@"\n')
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setenv("MAYFLY_STORAGE_URL", "s3://key:secret@host/bucket")
    # The stand-ins may write beside themselves.
    monkeypatch.setattr(confinement, "_PLAIN_DEVICES", (*confinement._PLAIN_DEVICES, str(folder)))
    monkeypatch.setattr(confinement, "_READ", confinement._WRITE)
    monkeypatch.setattr(process.Resources, "apply", lambda *_: None)
    info = probe.probe_video(clip, LIMITS)
    video.transform(clip, tmp_path / "out.mp4", lambda frames: frames, info=info, batch=8, limits=LIMITS)
    segments.index(clip, info, LIMITS)
    piece = segments.Segment(
        start=None, stop=None, window=segments.Window(apply_from=0, shown_from=0, shown_to=None), frames=50
    )
    segments.cut(clip, tmp_path / "piece.mp4", info, LIMITS, piece, timeout=60)
    preview.poster(clip, info, LIMITS)
    hardware.works.cache_clear()
    hardware.works("libx264", 64, 64, "yuv420p")
    logs = [one.read_text() for one in folder.glob("log-*")]
    assert len(logs) >= 7
    assert not any("MAYFLY" in text or "secret" in text for text in logs)


@FILES
def test_a_child_opens_what_is_named_and_nothing_else(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_text("one")
    two.write_text("two")
    assert said("cat", str(one), access=Access(reads=[one])).stdout == b"one"
    for path in (two, "/etc/passwd", f"/proc/{os.getpid()}/environ"):
        found = said("cat", str(path), access=Access(reads=[one]))
        assert (found.code, found.stdout) == (1, b"")
    assert said("ls", str(tmp_path), access=Access(reads=[one])).code != 0
    assert said("cp", str(one), str(two), access=Access(reads=[one, two])).code != 0
    assert said("cp", str(one), str(two), access=Access(reads=[one], writes=[two])).code == 0
    assert said("rm", str(two), access=Access(writes=[two])).code != 0
    assert two.read_text() == "one"
    # This process, and what it starts otherwise, is as free as ever.
    assert Path("/etc/passwd").read_bytes()


@pytest.mark.skipif(not OFFERED & Kind.CALLS, reason="this kernel offers no seccomp")
def test_a_child_has_no_socket():
    lines = """
import socket
for kind in (1, 2, 10):
    try:
        socket.socket(kind)
        print("open")
    except OSError as error:
        print(error.errno)
"""
    python = [sys.executable, "-I", "-S", "-c", lines]
    found = process.run(python, timeout=30, access=Access(reads=[Path(sys.prefix), Path(sys.base_prefix)]))
    assert found.stdout.split() == [str(errno.EACCES).encode()] * 3


@pytest.mark.skipif(not OFFERED & Kind.CALLS, reason="this kernel offers no seccomp")
def test_a_child_starts_threads_and_no_process():
    lines = f"""
import ctypes, os, signal, subprocess, threading
thread = threading.Thread(target=print, args=["thread"])
thread.start()
thread.join()
def tried(act):
    try:
        act()
        print("started")
    except OSError as error:
        print(error.errno)
def called(number, *arguments):
    libc = ctypes.CDLL(None, use_errno=True)
    found = libc.syscall(*map(ctypes.c_long, (number, *arguments)))
    if found == 0:
        os._exit(0)
    print("started" if found > 0 else ctypes.get_errno())
tried(os.fork)
tried(lambda: os.posix_spawn("/bin/true", ["true"], {{}}))
tried(lambda: subprocess.run(["/bin/true"]))
calls = {seccomp._machine().calls}
if "fork" in calls:
    called(calls["fork"])
called(calls["clone"], signal.SIGCHLD, 0, 0, 0, 0)
called(calls["clone3"], 0, 0)
"""
    python = [sys.executable, "-I", "-S", "-u", "-c", lines]
    access = Access(reads=[Path(sys.prefix), Path(sys.base_prefix)])
    *refused, clone3 = said(*python, access=access).stdout.split()
    assert refused[0] == b"thread"
    assert set(refused[1:]) == {str(errno.EPERM).encode()}
    assert len(refused) == 5 + ("fork" in seccomp._machine().calls)
    # C's library then asks by clone.
    assert int(clone3) == errno.ENOSYS
    # The photo decoder forks, and sees no picture where it may.
    may = said(*python, access=dataclasses.replace(access, forks=True)).stdout.split()
    assert b"started" in may


def test_a_child_ends_by_the_signals_that_python_ignores():
    """Else a tool would not notice that nobody reads what it writes."""
    lines = said("cat", "/proc/self/status", access=Access(reads=[Path("/proc")])).stdout.splitlines()
    ignored = next(int(line.split()[1], 16) for line in lines if line.startswith(b"SigIgn:"))
    assert not ignored & (1 << signal.SIGPIPE - 1 | 1 << signal.SIGXFSZ - 1)


def test_a_program_that_cannot_be_started_is_the_machines_fault(tmp_path, monkeypatch):
    """What ends before it reads anything says nothing about an upload."""
    broken = tmp_path / "ffbroken"
    broken.write_bytes(b"\x7fELF and no more")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    before = psutil.Process().num_fds()
    with pytest.raises(MachineFault, match="ENOEXEC"):
        said("ffbroken")
    monkeypatch.setattr(launch, "_STARTER", ("/bin/false",))
    with pytest.raises(MachineFault):
        said("true")
    monkeypatch.setattr(launch, "_STARTER", ("/bin/sh", "-c", "exec sleep 300"))
    monkeypatch.setattr(launch, "START_SECONDS", 0.2)
    with pytest.raises(MachineFault):
        said("true")
    assert not [one for one in psutil.Process().children() if one.name() == "sleep"]
    assert psutil.Process().num_fds() == before


def test_what_confines_is_said(monkeypatch):
    assert "no network and no file" in confinement.describe(Kind.FILES | Kind.CALLS)
    texts = {confinement.describe(kind) for kind in (Kind.NONE, Kind.FILES, Kind.CALLS, Kind.FILES | Kind.CALLS)}
    assert len(texts) == 4
    monkeypatch.setattr(confinement, "_landlock_version", lambda: 0)
    assert confinement.offered() == OFFERED & Kind.CALLS


def test_time_of_a_processor_ends_by_its_name():
    resources = process.Resources(cpu_seconds=1)
    found = process.run(["sh", "-c", "while :; do :; done"], timeout=60, resources=resources)
    assert found.code == -signal.SIGXCPU


def test_a_target_that_cannot_be_made(tmp_path):
    with pytest.raises(MachineFault):
        said("true", access=Access(writes=[tmp_path / "missing" / "target"]))


def test_an_interruption_while_a_child_starts_leaves_none():
    """Of the hundredths of a second that a start takes, each is tried."""
    me, before = psutil.Process(), psutil.Process().children()

    def interrupt(pause):
        while not set(me.children()) - set(before):
            time.sleep(0.0005)
        time.sleep(pause)
        os.kill(me.pid, signal.SIGINT)

    for pause in (0, 0.004, 0.008, 0.012, 0.016):
        killer, child = threading.Thread(target=interrupt, args=[pause]), None
        killer.start()
        with pytest.raises(KeyboardInterrupt):
            child = launch.start(["sleep", "300"], Access(), stdin=False, stdout=True)
            # It comes late.
            killer.join()
            time.sleep(1)
        if child is not None:
            child.kill()
            child.communicate()
        killer.join()
        assert me.children() == before


def test_where_no_thread_can_be_started_nobody_waits_for_one(monkeypatch):
    def full(_):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", full)
    with pytest.raises(RuntimeError):
        said("true")
