"""The one place that starts programs on strangers' bytes: with a bare environment, and confined to their own files.

Our environment holds the addresses of broker, database and store, with their passwords; a child gets nothing of it, and
can look it up in no other process either (mayfly.media.children.confinement).
"""

from __future__ import annotations

import errno
import os
import select
import shutil
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from mayfly.media.children import confinement, starter
from mayfly.media.children.confinement import Access
from mayfly.media.errors import MachineFault

# Where programs and their libraries are, and which GPU is this worker's.
_INHERITED = ("PATH", "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER")
_NONE: Mapping[str, str] = {}
_STARTER = (sys.executable, "-I", "-S", str(Path(starter.__file__)))
START_SECONDS = 60.0


def environment() -> dict[str, str]:
    """All that a child gets of our environment; its messages are in C's words, by which failures are told apart."""
    return {name: os.environ[name] for name in _INHERITED if name in os.environ} | {"LC_ALL": "C", "LANG": "C"}


def start(
    argv: Sequence[str],
    access: Access,
    *,
    stdin: bool,
    stdout: bool,
    stderr: bool = True,
    pass_fds: Sequence[int] = (),
    variables: Mapping[str, str] = _NONE,
) -> subprocess.Popen[bytes]:
    """Start a program in a session of its own; of `access`, the files that it writes are made.

    Args:
        argv: the program and its arguments; no shell reads them.
        access: which files it may open.
        stdin: whether it is an unbuffered pipe; else the null device.
        stdout: likewise.
        stderr: likewise.
        pass_fds: further file descriptors that the child inherits.
        variables: of its environment, besides `environment`.

    Raises:
        MachineFault: it could not be started, or a file not be made.
    """
    program = shutil.which(argv[0])
    if program is None:
        raise _fault(errno.ENOENT)
    try:
        for path in access.writes:
            # Only what is there can be allowed to be written.
            if not path.is_dir():
                path.touch()
    except OSError as error:
        raise _fault(error.errno) from None
    started: list[subprocess.Popen[bytes] | Exception] = []
    done = threading.Event()

    def begin() -> None:
        try:
            with confinement.prepared(access, program=program) as (ruleset, calls), _Status() as status:
                passed = [status.writing, *([ruleset] if ruleset >= 0 else [])]
                child = subprocess.Popen(
                    [*_STARTER, str(status.writing), str(ruleset), calls.hex(), program, *argv],
                    env={**environment(), **variables},
                    stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
                    stdout=subprocess.PIPE if stdout else subprocess.DEVNULL,
                    stderr=subprocess.PIPE if stderr else subprocess.DEVNULL,
                    bufsize=0,
                    pass_fds=[*pass_fds, *passed],
                    start_new_session=True,
                )
                if fault := status.fault():
                    _end(child)
                    raise fault
            started.append(child)
        except Exception as error:  # noqa: BLE001 - raised again in the thread that called
            started.append(error)
        finally:
            done.set()

    # In a thread of its own, which no Ctrl-C interrupts: nobody would know of a child that has just been started.
    thread = threading.Thread(target=begin, name="media-start")
    try:
        thread.start()
        thread.join()
        found = started[0]
        if isinstance(found, OSError):
            raise _fault(found.errno) from None
        if isinstance(found, Exception):
            raise found
        return found
    except BaseException as error:
        if not isinstance(error, RuntimeError):
            # A `join` that was interrupted takes the thread for ended.
            done.wait()
        for child in started:
            if not isinstance(child, Exception):
                _end(child)
        raise


class _Status:
    """The pipe on which the starter says how it went."""

    def __enter__(self) -> Self:
        self._reading, self.writing = os.pipe()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        os.close(self._reading)
        if self.writing >= 0:
            os.close(self.writing)

    def fault(self) -> MachineFault | None:
        """Wait for the child to be the program that was asked for. What kept it from that, if something did."""
        os.close(self.writing)
        self.writing = -1
        said, poll = b"", select.poll()
        poll.register(self._reading, select.POLLIN)
        while poll.poll(START_SECONDS * 1000) and (chunk := os.read(self._reading, 16)):
            said += chunk
        if said == starter.READY:
            return None
        return _fault(said[-1] if said.startswith(starter.READY) else None)


def _end(child: subprocess.Popen[bytes]) -> None:
    child.kill()
    child.communicate()


def _fault(number: int | None) -> MachineFault:
    return MachineFault(f"a media tool could not be started ({errno.errorcode.get(number or 0)})")
