"""Starts detached processes and finds them again by a mark in their environment.

A process id alone may belong to somebody else after a reboot, and servers start helpers of their own. So every process
that we start carries a random mark, its children inherit it, and stopping means: everything that carries the mark.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from random import SystemRandom

MARK = "MAYFLY_SERVICE"
# Below the range that Linux hands to outgoing connections, so that a stopped server's port is still free later.
PORTS = range(20_000, 32_000)
cancelled = threading.Event()


class Failed(Exception):
    """A server or one of its tools did not do what was asked; the text is for people."""


def environment(mark: str, home: Path) -> dict[str, str]:
    """A small environment: nothing of the caller's virtual environment or locale reaches the servers."""
    path = f"{os.environ.get('PATH', os.defpath)}:/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin"
    return {"PATH": path, "LANG": "C.UTF-8", "HOME": str(home), MARK: mark}


def spawn(
    command: Sequence[str | Path],
    *,
    env: dict[str, str],
    log: Path,
    cwd: Path,
    user: str | None = None,
) -> subprocess.Popen[bytes]:
    """Start a process in its own session, so that it outlives the caller's shell; its output goes to `log`."""
    if cancelled.is_set():
        raise Failed("interrupted")
    identity = {"user": user, "group": user, "extra_groups": []} if user else {}
    with log.open("ab") as output:
        return subprocess.Popen(  # type: ignore[call-overload,no-any-return]
            [str(part) for part in command],
            env=env,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            **identity,
        )


def run(
    command: Sequence[str | Path],
    *,
    env: dict[str, str],
    log: Path,
    cwd: Path,
    user: str | None = None,
    seconds: float = 60,
) -> None:
    """Run a tool to its end; raises Failed with the log's last lines if it fails or takes too long."""
    process = spawn(command, env=env, log=log, cwd=cwd, user=user)
    try:
        code = process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise Failed(f"{command[0]} took longer than {seconds:.0f} s\n{tail(log)}") from None
    if code:
        raise Failed(f"{command[0]} ended with code {code}\n{tail(log)}")


def tail(log: Path, lines: int = 15) -> str:
    """The last lines of a log, indented."""
    if not log.exists():
        return ""
    return "\n".join(f"    {line}" for line in log.read_text(errors="replace").splitlines()[-lines:])


def wait_until(
    check: Callable[[], bool],
    *,
    processes: Sequence[subprocess.Popen[bytes]] = (),
    log: Path,
    seconds: float,
) -> None:
    """Poll `check` until it is true; raises Failed when a process ends first, or after `seconds`."""
    end = time.monotonic() + seconds
    while not check():
        ended = [process for process in processes if process.poll() is not None]
        if ended:
            raise Failed(f"it ended with code {ended[0].returncode}\n{tail(log)}")
        if cancelled.is_set():
            raise Failed("interrupted")
        if time.monotonic() > end:
            raise Failed(f"no answer after {seconds:.0f} s\n{tail(log)}")
        time.sleep(0.1)


def marked(mark: str) -> list[int]:
    """The ids of all living processes that carry the mark.

    PostgreSQL overwrites its environment with its title, and without CAP_SYS_PTRACE root cannot read another user's:
    there the mark is the cluster's name, which stands in every title.
    """
    variable, found = f"{MARK}={mark}".encode(), []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if (entry / "comm").read_text().strip() == "postgres":
                ours = mark.encode() in (entry / "cmdline").read_bytes()
            else:
                ours = variable in (entry / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if ours:
            found.append(int(entry.name))
    return found


def stop(mark: str, *, first: signal.Signals = signal.SIGTERM, patience: float = 10) -> None:
    """Ask the processes that carry the mark to end, and after `patience` seconds kill what is left.

    Only a process whose parent does not carry it is asked: a server ends its helpers in its own order.
    """
    end, asked = time.monotonic() + patience, set[int]()
    while pids := marked(mark):
        late = time.monotonic() >= end
        if late and time.monotonic() > end + 30:
            raise Failed(f"processes {pids} do not end even when killed")
        for pid in pids:
            if late or (pid not in asked and _parent(pid) not in pids):
                asked.add(pid)
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL if late else first)
        time.sleep(0.05)


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def port_is_free(port: int) -> bool:
    """Whether a server could listen on this port of the loopback address now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def free_port(taken: set[int]) -> int:
    """A random free port that is not in `taken`."""
    random = SystemRandom()
    for _ in range(1_000):
        port = random.choice(PORTS)
        if port not in taken and port_is_free(port):
            return port
    raise Failed(f"no free port between {PORTS.start} and {PORTS.stop}")
