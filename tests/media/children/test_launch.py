"""What a media tool that was started can see of us: nothing."""

from __future__ import annotations

import errno
import os
import signal
import sys
import threading
from pathlib import Path

import psutil
import pytest

from mayfly.media.children import confinement, process
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
        (folder / name).write_text(f'#!/bin/sh\nenv >> {folder}/log-$$\nexec {real}/{name} "$@"\n')
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


def test_an_interruption_while_a_child_starts_leaves_none(monkeypatch):
    joins = []

    def join(thread, timeout=None):
        original(thread, timeout)
        if thread.name == "media-start" and not joins:
            joins.append(thread)
            raise KeyboardInterrupt

    original = threading.Thread.join
    monkeypatch.setattr(threading.Thread, "join", join)
    with pytest.raises(KeyboardInterrupt):
        said("sleep", "300")
    assert joins
    assert not [one for one in psutil.Process().children() if one.name() == "sleep"]
