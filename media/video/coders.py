"""The two ends of the video pipe: a child that decodes frames into tensors, and one that encodes tensors."""

from __future__ import annotations

import collections
import os
import re
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import torch

from mayfly.media.children.confinement import Access
from mayfly.media.children.process import Child, Resources
from mayfly.media.errors import DamagedMedia
from mayfly.media.limits import Limits
from mayfly.media.video import bounds, ffmpeg, ffmpeg_errors, matroska, pipes
from mayfly.media.video.info import VideoInfo

_TIMESTAMP = re.compile(rb"pts:(-?\d+)")


class _Coder:
    """A child that is ended with the block in which it is used."""

    _child: Child

    def kill(self) -> None:
        self._child.kill()

    def __enter__(self) -> Self:
        self._child.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._child.__exit__(kind, error, traceback)


class Decoder(_Coder):
    """Frames of a video, upright, with the timestamps of the source."""

    def __init__(
        self,
        source: Path,
        info: VideoInfo,
        limits: Limits,
        *,
        first: int | None = None,
        end: int | None = None,
        timeout: float,
        stall: float,
        depth: int = 8,
    ) -> None:
        """Start the child.

        Frames before `first` and from `end` on, by their timestamps, are not handed out; `depth` is 8 or 16, the bits
        of a sample.
        """
        self._info = info
        self._limits = limits
        self._from = first
        self._until = end
        self._ended = False
        self._count = 0
        self._first = self._last = 0
        self._recent: collections.deque[int] = collections.deque(maxlen=limits.max_rate + 1)
        reading, writing = os.pipe()
        self._timestamps = os.fdopen(reading, "rb")
        try:
            self._child = Child(
                ffmpeg.decode(source, info, limits, writing, depth=depth),
                timeout=timeout,
                stall=stall,
                stdout=True,
                pass_fds=[writing],
                resources=bounds.decoder(info.width, info.height),
                access=Access(reads=[source]),
            )
        except BaseException:
            self._timestamps.close()
            raise
        finally:
            os.close(writing)

    def read(self, buffer: torch.Tensor) -> list[int]:
        """Fill a contiguous (N, 3, H, W) buffer, uint8 or uint16 by the depth, with the next frames, R, G, B.

        Returns:
            Their timestamps in units of the source's time base, strictly rising; fewer than N at the end.

        Raises:
            DamagedMedia, TooLarge, MediaTimeout, MediaToolError: as video.transform.
        """
        timestamps: list[int] = []
        while len(timestamps) < len(buffer) and not self._ended:
            frame = buffer[len(timestamps)]
            with self._child.waiting():
                size = pipes.read_into(self._child.stdout.fileno(), pipes.planes(frame))
            if size < frame.nbytes:
                self._end(complete=size == 0)
                self._ended = True
                break
            timestamp = self._timestamp()
            if self._until is not None and timestamp >= self._until:
                self._ended = True
            elif self._from is None or timestamp >= self._from:
                timestamps.append(timestamp)
        return timestamps

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, traceback)
        self._timestamps.close()

    def _timestamp(self) -> int:
        # The line came before the frame; the next line is the metadata that made ffmpeg print it.
        match = _TIMESTAMP.search(self._timestamps.readline())
        self._timestamps.readline()
        if self._count == 0:
            self._first = self._last = int(match[1]) if match else 0
        else:
            # A frame without a timestamp of its own, or with one that is taken, comes a tick after the last.
            self._last = max(int(match[1]) if match else 0, self._last + 1)
        self._count += 1
        self._recent.append(self._last)
        if len(self._recent) > self._limits.max_rate:
            seconds = float((self._last - self._recent[0]) * self._info.time_base)
            self._limits.check_rate(self._limits.max_rate, seconds)
        self._limits.check_length(self._count, float((self._last - self._first) * self._info.time_base))
        return self._last

    def _end(self, *, complete: bool) -> None:
        with self._child.waiting():
            code = self._child.wait()
        if code:
            raise ffmpeg_errors.failure(code, self._child.last_lines)
        # A truncated Matroska file is no error to ffmpeg.
        if not complete or self._count == 0 or any("File ended prematurely" in x for x in self._child.last_lines):
            raise DamagedMedia


class Encoder(_Coder):
    """Writes frames with their timestamps to a child that encodes them."""

    def __init__(
        self,
        command: Sequence[str],
        width: int,
        height: int,
        info: VideoInfo,
        *,
        shift: int,
        depth: int = 8,
        timeout: float,
        stall: float,
        pass_fds: Sequence[int] = (),
        resources: Resources | None = None,
        access: Access,
    ) -> None:
        """Start `command`, which inherits `pass_fds` and gets frames of `depth` bits, 8 or 16.

        `shift` is taken from each timestamp, since the stream's must not be negative.
        """
        self._unit = info.time_base * matroska.NANOSECONDS
        self._shift = shift
        self._size = 3 * width * height * depth // 8
        self._child = Child(
            command, timeout=timeout, stall=stall, stdin=True, pass_fds=pass_fds, resources=resources, access=access
        )
        self._head = matroska.header(width, height, info.rate, matroska.GBRP if depth == 8 else matroska.GBRP16)

    def write(self, frame: torch.Tensor, timestamp: int) -> None:
        """Write one contiguous (3, H, W) frame, uint8 or uint16 by the depth.

        Raises MediaTimeout, MediaToolError, DamagedMedia.
        """
        # In whole nanoseconds; the encoder's rounding to the time base undoes this one.
        shown = round((timestamp - self._shift) * self._unit)
        head = self._head + matroska.frame_header(shown, self._size)
        self._head = b""
        try:
            with self._child.waiting():
                pipes.write_all(self._child.stdin.fileno(), [head, *pipes.planes(frame)])
        except BrokenPipeError:
            self.finished()
            # It ended well without having read everything: the stream that we write is not what it takes.
            raise ffmpeg_errors.encoder_failure(0, self._child.last_lines) from None

    def close(self) -> None:
        """Say that there are no more frames."""
        self._child.stdin.close()

    def finished(self, timeout: float | None = None) -> bool:
        """Whether the file is complete, after at most `timeout` seconds. Raises as `write`."""
        code = self._child.wait(timeout)
        if code:
            raise ffmpeg_errors.encoder_failure(code, self._child.last_lines)
        return code is not None
