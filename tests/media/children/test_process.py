from __future__ import annotations

import fcntl
import select
import signal
import threading
import time
from pathlib import Path

import pytest

from mayfly.media.children import last_lines, process
from mayfly.media.children.confinement import Access
from mayfly.media.errors import MediaTimeout, MediaToolError


def gone(pid):
    for _ in range(100):
        try:
            if Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z":
                return True
        except OSError:
            return True
        time.sleep(0.02)
    return False


def test_output_code_and_last_words():
    finished = process.run(["sh", "-c", "echo out; echo one >&2; echo two >&2; exit 3"], timeout=10)
    assert (finished.code, finished.stdout, list(finished.last_lines)) == (3, b"out\n", ["one", "two"])
    assert "two" not in repr(finished)


def test_what_gets_no_pipe_reads_nothing():
    assert process.run(["cat"], timeout=20).stdout == b""


def test_a_pipe_holds_some_frames():
    with process.Child(["cat"], timeout=20, stdin=True, stdout=True) as child:
        assert [fcntl.fcntl(pipe, fcntl.F_GETPIPE_SZ) for pipe in (child.stdin, child.stdout)] == [1024**2] * 2


def test_a_pipe_that_may_not_be_large_is_a_small_one(monkeypatch):
    monkeypatch.setattr(process, "PIPE_BYTES", -1)
    assert process.run(["echo", "x"], timeout=20).stdout == b"x\n"


def test_only_the_last_lines_are_kept():
    script = "seq 100000 >&2; head -c 1000000 /dev/zero >&2"
    finished = process.run(["sh", "-c", script], timeout=20, access=Access(forks=True))
    assert len(finished.last_lines) == last_lines.KEPT_LINES
    assert max(map(len, finished.last_lines)) <= last_lines.KEPT_LINE_BYTES


def test_a_line_without_an_end_takes_no_memory():
    lines = last_lines.LastLines()
    for _ in range(10):
        lines.feed(b"x" * 8192)
        assert lines.held <= last_lines.KEPT_LINE_BYTES
    lines.feed(b"\nnext")
    lines.close()
    assert lines.kept == ("x" * last_lines.KEPT_LINE_BYTES, "next")


def test_a_hung_child_and_its_children_are_ended(tmp_path):
    script = f"sleep 300 & echo $! > {tmp_path}/pid; sleep 300"
    with pytest.raises(MediaTimeout):
        process.run(["sh", "-c", script], timeout=2, access=Access(writes=[tmp_path], forks=True))
    assert gone(int((tmp_path / "pid").read_text()))


def test_children_of_a_child_that_ended_are_ended(tmp_path):
    command = ["sh", "-c", f"sleep 300 & echo $! > {tmp_path}/pid"]
    assert process.run(command, timeout=20, access=Access(writes=[tmp_path], forks=True)).code == 0
    assert gone(int((tmp_path / "pid").read_text()))


def test_endless_output_is_cut():
    finished = process.run(["yes"], timeout=20, max_output=100_000)
    assert finished.code == -signal.SIGKILL
    assert len(finished.stdout) == 100_000


def test_the_watchdog_ends_a_child_that_we_wait_for():
    with process.Child(["sleep", "300"], timeout=300, stall=0.2, stdout=True) as child:
        with child.waiting():
            assert child.stdout.read(1) == b""
        with pytest.raises(MediaTimeout):
            child.wait()


def test_the_watchdog_does_not_count_while_nobody_waits():
    with process.Child(["cat"], timeout=300, stall=0.5, stdin=True, stdout=True) as child:
        for _ in range(2):
            time.sleep(0.8)  # before the first time that anybody waits, and after it
            child.stdin.write(b"x")
            # However slow the machine is, nobody waits for `cat` itself.
            select.select([child.stdout], [], [], 30)
            with child.waiting():
                assert child.stdout.read(1) == b"x"
        child.stdin.close()
        assert child.wait() == 0


def test_who_waits_may_look_up_from_time_to_time():
    with process.Child(["sleep", "300"], timeout=20) as child:
        assert child.wait(0.01) is None
        guards = [thread for thread in threading.enumerate() if thread.name == "media-guard"]
        # They keep no process from its end.
        assert [guard.daemon for guard in guards] == [True]


def test_an_exception_in_the_block_ends_the_child():
    with pytest.raises(KeyError), process.Child(["sleep", "300"], timeout=300) as child:
        raise KeyError
    assert child.wait() == -signal.SIGKILL


def test_resources_bind():
    resources = process.Resources(memory=2**30, cpu_seconds=7, file_bytes=12_345, open_files=99)
    # The limits are set just after the start; the child is asked once it waits.
    with process.Child(["cat"], timeout=30, stdin=True, stdout=True, resources=resources) as child:
        child.stdin.write(b"x")
        assert child.stdout.read(1) == b"x"
        lines = Path(f"/proc/{child.pid}/limits").read_text().splitlines()
        child.stdin.close()
        assert child.wait() == 0
    found = {line[:25].strip(): line[25:].split()[:2] for line in lines}
    assert found["Max address space"] == [str(2**30)] * 2
    assert found["Max cpu time"] == ["7", "8"]
    assert found["Max file size"] == ["12345", "12345"]
    assert found["Max open files"] == ["99", "99"]
    assert found["Max core file size"] == ["0", "0"]


def test_a_missing_program():
    with pytest.raises(MediaToolError):
        process.run(["no-such-program-of-ours"], timeout=5)


def test_nothing_leaks_with_threads():
    def work():
        for _ in range(5):
            assert process.run(["sh", "-c", "exit 4"], timeout=20).code == 4

    work()
    before = len(list(Path("/proc/self/fd").iterdir()))
    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    assert not any(thread.name == "media-guard" for thread in threading.enumerate())
