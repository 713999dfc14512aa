"""The one place that starts programs on strangers' bytes: with a bare environment, and confined to their own files.

Our environment holds the addresses of broker, database and store, with their passwords; a child gets nothing of it, and
can look it up in no other process either (mayfly.media.children.confinement).
"""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import threading
from collections.abc import Mapping, Sequence

from mayfly.media.children import confinement
from mayfly.media.children.confinement import Access
from mayfly.media.errors import MachineFault

# Where programs and their libraries are, and which GPU is this worker's.
_INHERITED = ("PATH", "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER")
_NONE: Mapping[str, str] = {}


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

    def confined() -> None:
        try:
            confinement.enter(access, program=program)
            child = subprocess.Popen(
                argv,
                executable=program,
                env={**environment(), **variables},
                stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
                stdout=subprocess.PIPE if stdout else subprocess.DEVNULL,
                stderr=subprocess.PIPE if stderr else subprocess.DEVNULL,
                bufsize=0,
                pass_fds=pass_fds,
                start_new_session=True,
            )
            started.append(child)
        except Exception as error:  # noqa: BLE001 - raised again in the thread that called
            started.append(error)

    # A child may do what the thread may that starts it, and this one ends with that.
    thread = threading.Thread(target=confined, name="media-start")
    try:
        thread.start()
        thread.join()
    except BaseException:
        # Ctrl-C: nobody would know of a child that has just been started.
        thread.join()
        for child in started:
            if not isinstance(child, Exception):
                child.kill()
                child.communicate()
        raise
    found = started[0]
    if isinstance(found, OSError):
        raise _fault(found.errno) from None
    if isinstance(found, Exception):
        raise found
    return found


def _fault(number: int | None) -> MachineFault:
    return MachineFault(f"a media tool could not be started ({errno.errorcode.get(number or 0)})")
