"""Runs media tools: owns a child's limits, time, output, last words, process group and end."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import os
import resource
import selectors
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import IO, Self

from mayfly.media.children import launch
from mayfly.media.children.confinement import Access
from mayfly.media.children.last_lines import LastLines
from mayfly.media.errors import MediaTimeout

PIPE_BYTES = 1024 * 1024
_CHECK_SECONDS = 0.1
_END_SECONDS = 0.002
_NOTHING = Access()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Resources:
    """What the kernel lets a child use.

    Attributes:
        memory: address space in bytes; None leaves it to the machine.
        cpu_seconds: processor time; None leaves it to the time limit.
        file_bytes: size of a file that it writes; None leaves it to the disk.
        open_files: at the same time.
    """

    memory: int | None = None
    cpu_seconds: int | None = None
    file_bytes: int | None = None
    open_files: int = 256

    def apply(self, pid: int) -> None:
        for kind, value in (
            (resource.RLIMIT_AS, self.memory),
            (resource.RLIMIT_CPU, self.cpu_seconds),
            (resource.RLIMIT_FSIZE, self.file_bytes),
            (resource.RLIMIT_NOFILE, self.open_files),
            (resource.RLIMIT_CORE, 0),
        ):
            if value is not None:
                # A child that has already ended needs no limit.
                with contextlib.suppress(ProcessLookupError):
                    # At the soft limit of time comes SIGXCPU, which says what it is for, at the hard one SIGKILL.
                    resource.prlimit(pid, kind, (value, value + (kind == resource.RLIMIT_CPU)))


class Child:
    """A running child process, as a context manager: when the block ends, so has the child's whole process group.

    A guard thread reads standard error and ends the group when the time is over or nothing moves. All methods may be
    called from any thread.
    """

    def __init__(
        self,
        argv: Sequence[str],
        *,
        timeout: float,
        stall: float = float("inf"),
        stdin: bool = False,
        stdout: bool = False,
        pass_fds: Sequence[int] = (),
        resources: Resources | None = None,
        access: Access = _NOTHING,
    ) -> None:
        """Start a child.

        Args:
            argv: the program and its arguments; no shell reads them.
            timeout: seconds until it is killed.
            stall: seconds that one `waiting` may last until it is killed.
            stdin: whether it is a pipe, of 1 MiB where the kernel allows; else the null device.
            stdout: likewise.
            pass_fds: further file descriptors that the child inherits.
            resources: the kernel's limits.
            access: which files it may open, where the kernel can confine it.

        Raises:
            MachineFault: the program could not be started, or a file not be written.
        """
        self._stall = stall
        self._deadline = time.monotonic() + timeout
        self._waiting_since = float("inf")
        self._timed_out = False
        self._lines = LastLines()
        self._lock = threading.Lock()
        self._popen = launch.start(argv, access, stdin=stdin, stdout=stdout, pass_fds=pass_fds)
        try:
            (resources or Resources()).apply(self._popen.pid)
            for pipe in (self._popen.stdin, self._popen.stdout):
                if pipe is not None:
                    # Over the user's quota of pipe memory, the usual 64 KiB must do.
                    with contextlib.suppress(OSError):
                        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
            self._guard = threading.Thread(target=self._watch, name="media-guard", daemon=True)
            self._guard.start()
        except BaseException:
            # Ctrl-C: nobody would end it.
            self.kill()
            self._popen.wait()
            raise

    @property
    def pid(self) -> int:
        """The child's number."""
        return self._popen.pid

    @property
    def stdin(self) -> IO[bytes]:
        """The unbuffered pipe to the child."""
        assert self._popen.stdin is not None
        return self._popen.stdin

    @property
    def stdout(self) -> IO[bytes]:
        """The unbuffered pipe from the child."""
        assert self._popen.stdout is not None
        return self._popen.stdout

    @property
    def last_lines(self) -> Sequence[str]:
        """The last lines of standard error. May hold anything from the media: never logged, shown or stored."""
        return self._lines.kept

    @contextlib.contextmanager
    def waiting(self) -> Iterator[None]:
        """While the caller waits for the child in this block, the watchdog counts; for one thread at a time."""
        self._waiting_since = time.monotonic()
        try:
            yield
        finally:
            self._waiting_since = float("inf")

    def wait(self, timeout: float | None = None) -> int | None:
        """The return code once the child has ended and its standard error is read; None if `timeout` seconds pass.

        Raises:
            MediaTimeout: the child was ended because its time was over or nothing moved.
        """
        self._guard.join(timeout)
        if self._guard.is_alive():
            return None
        if self._timed_out:
            raise MediaTimeout
        return self._popen.returncode

    def kill(self) -> None:
        """End the child and all of its process group at once; fine if it has ended."""
        with self._lock:
            # Until it is reaped, no other process can get its number.
            if self._popen.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self._popen.pid, signal.SIGKILL)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.kill()
        self._guard.join()
        for pipe in (self._popen.stdin, self._popen.stdout):
            if pipe is not None:
                pipe.close()

    def _watch(self) -> None:
        assert self._popen.stderr is not None
        with self._popen.stderr as stderr, selectors.DefaultSelector() as selector:
            selector.register(stderr, selectors.EVENT_READ)
            while not self._ended():
                if selector.get_map() and selector.select(_CHECK_SECONDS):
                    self._listen(stderr, selector)
                elif not selector.get_map():
                    time.sleep(_END_SECONDS)
                now = time.monotonic()
                if now > self._deadline or now > self._waiting_since + self._stall:
                    self._timed_out = True
                    self.kill()
            # What it left in the pipe; its descendants, which may still hold the pipe, are ended first.
            self._reap()
            os.set_blocking(stderr.fileno(), False)
            while selector.get_map() and selector.select(0):
                self._listen(stderr, selector)
            self._lines.close()

    def _ended(self) -> bool:
        return os.waitid(os.P_PID, self._popen.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def _reap(self) -> None:
        self.kill()
        with self._lock:
            self._popen.wait()

    def _listen(self, stderr: IO[bytes], selector: selectors.BaseSelector) -> None:
        if chunk := stderr.read(8192):
            self._lines.feed(chunk)
        else:
            selector.unregister(stderr)


@dataclasses.dataclass(frozen=True)
class Finished:
    """How a child ended.

    Attributes:
        code: the return code; the negative number of the signal that ended it.
        stdout: what it wrote.
        last_lines: of standard error; may hold anything from the media: never logged, shown or stored.
    """

    code: int
    stdout: bytes
    last_lines: Sequence[str] = dataclasses.field(repr=False)


def run(
    argv: Sequence[str],
    *,
    timeout: float,
    max_output: int = 1024 * 1024,
    pass_fds: Sequence[int] = (),
    resources: Resources | None = None,
    access: Access = _NOTHING,
    on_wait: Callable[[], None] = lambda: None,
) -> Finished:
    """Run a child to its end and return its output.

    Args:
        argv: the program and its arguments.
        timeout: seconds until it is killed.
        max_output: bytes of standard output after which it is killed.
        pass_fds: further file descriptors that the child inherits.
        resources: the kernel's limits.
        access: which files it may open.
        on_wait: called about once a second; an exception from it ends the child.

    Raises:
        MediaTimeout: its time was over.
        MachineFault: it could not be started.
    """
    chunks: list[bytes] = []
    left = max_output
    with (
        Child(argv, timeout=timeout, stdout=True, pass_fds=pass_fds, resources=resources, access=access) as child,
        selectors.DefaultSelector() as ready,
    ):
        ready.register(child.stdout, selectors.EVENT_READ)
        while left >= 0:
            if not ready.select(1):
                on_wait()
                # A descendant that was ended with the group may have been the last to hold the pipe.
                continue
            chunk = child.stdout.read(65536)
            if not chunk:
                break
            chunks.append(chunk)
            left -= len(chunk)
        else:
            child.kill()
        while (code := child.wait(1)) is None:
            on_wait()
        return Finished(code, b"".join(chunks)[:max_output], child.last_lines)
