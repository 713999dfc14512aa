"""Our side of the photo decoder: asks the confined child (mayfly.media.image.photo_child), and believes nothing that it
says.

What comes back is a header of fixed size, whose numbers are checked, and as many bytes as they say. The child is
started with the first picture, kept, and started again when it has ended or lied; needs no torch.
"""

from __future__ import annotations

import atexit
import contextlib
import dataclasses
import errno
import fcntl
import logging
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import PIL

from mayfly.media import sniff
from mayfly.media.children import confinement, launch
from mayfly.media.children.confinement import Access, Kind
from mayfly.media.errors import DamagedMedia, MachineFault, MediaTimeout, MediaToolError, TooLarge
from mayfly.media.image import photo_child, pixels
from mayfly.media.limits import Limits

log = logging.getLogger(__name__)

CPU_SECONDS = 60
SECONDS = 120.0
START_SECONDS = 60.0
_PIPE_BYTES = 1 << 20
_ROOT = Path(__file__).parents[3]
# Measured with Pillow 13: at most 17 bytes a pixel, of CMYK with a profile, turned; and what Python itself maps.
_BYTES_A_PIXEL, _BASE_BYTES = 20, 256 * 1024**2
_VARIABLES = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}  # halves the time that fresh memory costs
_PROGRAM = (
    "import sys; sys.path[:0] = sys.argv[3:]; from mayfly.media.image import photo_child; "
    "photo_child.main(sys.argv[1], int(sys.argv[2]))"
)


@dataclasses.dataclass(frozen=True)
class Decoded:
    """A picture as the child gave it: (planes, height, width) bytes, three planes or, with opacity, four."""

    planes: int
    height: int
    width: int
    data: bytearray


class _Ended(Exception):
    """The child is not there any more, or says what it should not."""


class PhotoDecoder:
    """A warm child. Threads share it, one picture at a time; a process that was forked gets one of its own."""

    def __init__(
        self,
        module: str = pixels.__name__,
        *,
        folders: Sequence[Path] = (),
        cpu_seconds: int = CPU_SECONDS,
        seconds: float = SECONDS,
    ) -> None:
        """`module` decodes, from one of the further `folders`; a picture gets so much time of a processor, and in all.

        Nothing is started yet.
        """
        self._module = module
        self._folders = [_ROOT, Path(PIL.__file__).parents[1], *folders]
        self._cpu_seconds = cpu_seconds
        self._seconds = seconds
        self._lock = threading.Lock()
        self._child: _Child | None = None

    @property
    def holds(self) -> Kind | None:
        """What confines the child; None before the first picture."""
        return self._child.holds if self._child is not None else None

    @property
    def pid(self) -> int | None:
        """The child's number; None while there is none."""
        return self._child.pid if self._child is not None else None

    def decode(self, data: bytes, found: sniff.Format, limits: Limits) -> Decoded:
        """Decode a picture, of `found` by its first bytes.

        Raises:
            DamagedMedia: truncated or corrupt; its decoder crashed, or did not tell the truth.
            TooLarge: over a limit in pixels, or in memory.
            MediaTimeout: it took too long.
            MediaToolError: the child cannot be started, or was ended from outside.
        """
        with self._lock:
            fresh = self._child is None
            try:
                return self._ask(data, found, limits)
            except _Ended:
                # It may have been ended while it had nothing to do; a new one's end is about this picture.
                if not fresh:
                    with contextlib.suppress(_Ended):
                        return self._ask(data, found, limits)
                raise MediaToolError("the photo decoder was ended from outside: try again") from None

    def close(self) -> None:
        """End the child; the next picture starts another."""
        with self._lock:
            self._drop()

    def _ask(self, data: bytes, found: sniff.Format, limits: Limits) -> Decoded:
        if self._child is not None and self._child.owner != os.getpid():
            self._child = None
        if self._child is None:
            self._child = _Child(self._module, self._folders)
        memory = _BASE_BYTES + 3 * len(data) + _BYTES_A_PIXEL * limits.max_pixels
        request = (pixels.FORMATS.index(found.name), limits.max_pixels, limits.max_side, memory, self._cpu_seconds)
        kept = False
        try:
            decoded = self._child.ask(data, *request, end=time.monotonic() + self._seconds)
            kept = True
        except (DamagedMedia, TooLarge, MediaTimeout):
            kept = self._child.in_step
            raise
        finally:
            if not kept:
                self._drop()
        return decoded

    def _drop(self) -> None:
        child, self._child = self._child, None
        if child is not None and child.owner == os.getpid():
            child.close()


class _Child:
    """The process and its three pipes."""

    def __init__(self, module: str, folders: Sequence[Path]) -> None:
        self.owner = os.getpid()
        self.in_step, self._ending = True, False
        reading, writing = os.pipe()
        argv = [sys.executable, "-I", "-S", "-c", _PROGRAM, module, str(writing), *map(str, folders)]
        access = Access(reads=[Path(sys.prefix), Path(sys.base_prefix), *folders], forks=True)
        try:
            self._popen = launch.start(
                argv, access, stdin=True, stdout=True, stderr=False, pass_fds=[writing], variables=_VARIABLES
            )
        except BaseException:
            os.close(reading)
            raise
        finally:
            os.close(writing)
        assert self._popen.stdin is not None
        assert self._popen.stdout is not None
        self.pid = self._popen.pid
        self._in, self._out, self._status = self._popen.stdin.fileno(), self._popen.stdout.fileno(), reading
        for pipe in (self._in, self._out):
            # Over the user's quota of pipe memory, the usual 64 KiB must do.
            with contextlib.suppress(OSError):
                fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        for pipe in (self._in, self._out, self._status):
            os.set_blocking(pipe, False)
        try:
            hello = self._record(photo_child.HELLO.size, time.monotonic() + START_SECONDS)
        except (_Ended, MediaTimeout):
            self.close()
            raise MachineFault("the photo decoder could not be started: see that Pillow is whole") from None
        self.holds = Kind(photo_child.HELLO.unpack(hello)[1] & 3)
        if self.holds != Kind.FILES | Kind.CALLS:
            log.warning("%s", confinement.describe(self.holds))

    def ask(self, data: bytes, number: int, most: int, side: int, memory: int, seconds: int, *, end: float) -> Decoded:
        """One picture's way; afterwards `in_step` says whether another may follow. Raises as PhotoDecoder, _Ended."""
        self._settle(end)
        self.in_step = False
        head = photo_child.REQUEST.pack(photo_child.MARK, number, 0, len(data), most, side, memory, seconds)
        self._send([head, data], end)
        answer = bytearray(photo_child.ANSWER.size)
        if not self._receive(answer, end):
            raise _failure(self._code(end))
        mark, outcome, planes, width, height = photo_child.ANSWER.unpack(answer)
        if mark != photo_child.MARK:
            raise DamagedMedia
        if outcome == photo_child.DONE:
            if not (planes in (3, 4) and 0 < width <= side and 0 < height <= side and width * height <= most):
                raise DamagedMedia
            decoded = Decoded(planes, height, width, bytearray(planes * height * width))
            if not self._receive(decoded.data, end):
                raise _failure(self._code(end))
        # Its end, which takes a moment, is waited for with the next picture.
        self.in_step = self._ending = True
        if outcome == photo_child.DONE:
            return decoded
        if outcome == photo_child.TOO_LARGE:
            raise TooLarge("the picture has too many pixels: send a smaller one")
        raise DamagedMedia

    def _settle(self, end: float) -> None:
        """Wait for the end of the last picture's process. Raises _Ended where it said more than it had announced."""
        if self._ending:
            self._ending = False
            code = self._code(end)
            if code or self._left():
                raise _Ended

    def _code(self, end: float) -> int:
        mark, code = photo_child.ENDED.unpack(self._record(photo_child.ENDED.size, end))
        if mark != photo_child.MARK:
            raise _Ended
        return int(code)

    def close(self) -> None:
        """End it, and what it has forked."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._popen.wait()
        for pipe in (self._popen.stdin, self._popen.stdout):
            if pipe is not None:
                pipe.close()
        os.close(self._status)

    def _send(self, parts: Sequence[bytes], end: float) -> None:
        for part in parts:
            left = memoryview(part)
            while left:
                self._wait({self._in: select.POLLOUT}, end)
                try:
                    left = left[os.write(self._in, left) :]
                except BlockingIOError:
                    continue
                except OSError as error:
                    if error.errno != errno.EPIPE:
                        raise
                    raise _Ended from None

    def _receive(self, buffer: bytearray, end: float) -> bool:
        """Fill a buffer with what the forked process writes; False where it ended before."""
        left = memoryview(buffer)
        while left:
            try:
                count = os.readv(self._out, [left])
            except BlockingIOError:
                if self._out not in self._wait({self._out: select.POLLIN, self._status: select.POLLIN}, end):
                    # What it wrote would be there: its end is told when it is over.
                    return False
                continue
            if not count:
                raise _Ended
            left = left[count:]
        return True

    def _left(self) -> bool:
        try:
            return bool(os.read(self._out, 1))
        except BlockingIOError:
            return False

    def _record(self, size: int, end: float) -> bytes:
        found = b""
        while len(found) < size:
            self._wait({self._status: select.POLLIN}, end)
            chunk = os.read(self._status, size - len(found))
            if not chunk:
                raise _Ended
            found += chunk
        return found

    def _wait(self, events: dict[int, int], end: float) -> set[int]:
        """Those of the pipes that are ready, or closed, of which there is one at least. Raises MediaTimeout."""
        poll = select.poll()
        for descriptor, event in events.items():
            poll.register(descriptor, event)
        ready = poll.poll(max(0.0, end - time.monotonic()) * 1000)
        if not ready:
            raise MediaTimeout
        return {descriptor for descriptor, _ in ready}


def _failure(code: int) -> Exception:
    """What the end of a forked process says about the picture."""
    if code == photo_child.NO_MEMORY:
        return TooLarge("reading the file needs more memory than allowed: send a smaller one")
    if code == -signal.SIGXCPU:
        return MediaTimeout()
    if code == -signal.SIGKILL:
        return MediaToolError("the photo decoder was ended from outside: try again")
    return DamagedMedia()


_shared = PhotoDecoder()
atexit.register(_shared.close)


def decode(data: bytes, found: sniff.Format, limits: Limits) -> Decoded:
    """Decode a picture by this process's own child; as PhotoDecoder.decode."""
    return _shared.decode(data, found, limits)
