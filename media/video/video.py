"""The video pipe: decode, apply and encode at the same time, in memory that does not grow with the video.

    ffmpeg ──planes──▶ reader thread ──batch──▶ apply ──batch──▶ writer thread ──Matroska──▶ ffmpeg ──▶ target
      ▲                      ▲                                        │                         ▲
    source                   └───────────── free batches ◀────────────┘                  sound of the source

Frames and timing are the source's: every frame comes out once, at the timestamp at which it went in. Sound is copied
packet by packet, and subtitles are kept. Pixels come out upright, at their size, with the colour tags of the source,
but HDR becomes SDR (mayfly.media.video.colour). What they are coded as is the user's choice (mayfly.media.output,
mayfly.media.video.encoders). Of the source's metadata nothing remains but the languages of sound and subtitles.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import queue
import threading
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import torch

from mayfly.media import sniff
from mayfly.media.children.confinement import Access
from mayfly.media.errors import DamagedMedia
from mayfly.media.limits import Limits
from mayfly.media.output import Output
from mayfly.media.video import bounds, chapters, colour, containers, encoders, ffmpeg, hardware
from mayfly.media.video.coders import Decoder, Encoder
from mayfly.media.video.info import VideoInfo
from mayfly.media.video.segments import Window

BATCHES = 3  # one being read, one in the effect, one being written
SECONDS = 1500.0
STALL_SECONDS = 120.0
_POLL_SECONDS = 1.0

DEFAULT_OUTPUT = Output()

Apply = Callable[[torch.Tensor], torch.Tensor]


@dataclasses.dataclass(frozen=True, kw_only=True)
class VideoResult:
    """What was written: frames, size in pixels, the first timestamp, container and the suffix of its file name."""

    frames: int
    width: int
    height: int
    first: int
    format: sniff.Format

    @property
    def suffix(self) -> str:
        return self.format.suffix


@dataclasses.dataclass
class _Batch:
    """Frames on their way: the buffer that they came in, the timestamps of the source, and what is to be written."""

    buffer: torch.Tensor
    timestamps: list[int]
    frames: torch.Tensor


def transform(
    source: Path,
    target: Path,
    apply: Apply,
    *,
    info: VideoInfo,
    batch: int,
    limits: Limits,
    on_progress: Callable[[int], None] = lambda _: None,
    container: sniff.Format | None = None,
    window: Window | None = None,
    output: Output = DEFAULT_OUTPUT,
    depth: int = 8,
    pinned: bool = False,
    timeout: float = SECONDS,
    stall: float = STALL_SECONDS,
) -> VideoResult:
    """Transform a video frame by frame.

    Args:
        source: a local file.
        target: the file to write; it exists afterwards only if everything went well.
        apply: gets (N, 3, H, W) uint8 RGB, contiguous, on the CPU, N at most `batch`, and less where frames are large
            (mayfly.media.video.bounds), valid until it returns; returns (N, 3, H·s, W·s) uint8 on any device, for one s
            throughout; may return what it got. By `depth`, uint16 in the place of uint8.
        info: what probe.probe_video says about the source.
        batch: frames in one call of `apply`.
        limits: enforced on what is decoded, whatever the header says.
        on_progress: gets the number of frames written to the encoder, after each batch and at least once a second;
            an exception from it, or from `apply`, ends both children at once and is passed on.
        container: MP4, MOV or MKV; by default the first of them that can hold sound and
            subtitles without a loss.
        window: when `source` is a piece of a video, `info` being the whole one's: which frames to keep. The target is
            a part for `join`, without sound and subtitles, and begins at timestamp 0; no hardware encodes it, for
            another machine's would not make the same stream.
        output: codec, quality and what else the user chooses.
        depth: bits of a sample that `apply` can take, 8 or 16. With 16, a source of more than 8 bits that is not to
            become H.264 comes as uint16, 0 … 65535, and goes out with 10 bits.
        pinned: whether frames come in page-locked memory, from which a GPU copies beside its work.
        timeout: seconds for all of it.
        stall: seconds without a frame from the decoder or for the encoder; the time of `apply` counts.

    Raises:
        DamagedMedia, TooLarge: by what was decoded.
        MediaTimeout: over `timeout` or `stall`.
        DiskFull: the result may not fit onto the disk.
        MediaToolError: ffmpeg failed for a reason of the machine's.
    """
    written = container or containers.container_for(info)
    if window is not None:
        info = dataclasses.replace(info, audio=(), subtitles=(), chapters=(), start=Fraction(0))
        output = output.model_copy(update={"hardware": False})
    deep = depth > 8 and info.bit_depth > 8 and encoders.takes_ten_bits(output)
    depth = 16 if deep else 8

    room = functools.partial(bounds.room, source, target, info, quality=output.quality)
    room(width=info.width, height=info.height)
    shown = colour.shown(info)
    try:
        with contextlib.ExitStack() as stack:
            span = {"first": window.apply_from, "end": window.shown_to} if window else {}
            decoder = stack.enter_context(
                Decoder(source, info, limits, **span, timeout=timeout, stall=stall, depth=depth)
            )

            def start(width: int, height: int, first: int) -> Encoder:
                coding = encoders.choose(output, width=width, height=height, deep=deep, works=hardware.works)
                # A negative timestamp cannot go through the pipe; the encoder's filters give it back.
                below = min(0, first)
                kept = stack.enter_context(chapters.handed_over(info, wanted=output.chapters))
                command = ffmpeg.encode(
                    source,
                    target,
                    shown,
                    limits,
                    coding=coding,
                    muxer=containers.MUXERS[written],
                    subtitles=containers.subtitles(written, info),
                    shift=below if window is None else 0,
                    chapters=kept,
                )
                # The effect may have made the frames larger.
                free = room(width=width, height=height)
                encoder = Encoder(
                    command,
                    width,
                    height,
                    info,
                    shift=below if window is None else first,
                    depth=depth,
                    timeout=timeout,
                    stall=stall,
                    pass_fds=[] if kept is None else [kept],
                    resources=bounds.encoder(width, height, free=free, hardware=coding.hardware),
                    access=Access(reads=[source], writes=[target], devices=coding.hardware),
                )
                return stack.enter_context(encoder)

            buffers = _buffers(info, batch, depth, pinned=pinned)
            pipe = stack.enter_context(_Pipe(decoder, start, buffers, window.shown_from if window else None))
            pipe.run(apply, on_progress)
    except BaseException:
        target.unlink(missing_ok=True)
        # A device may be what failed; it is tried again before it is used again.
        hardware.works.cache_clear()
        raise
    width, height = pipe.size
    return VideoResult(frames=pipe.written, width=width, height=height, first=pipe.first, format=written)


def _buffers(info: VideoInfo, batch: int, depth: int, *, pinned: bool) -> list[torch.Tensor]:
    shape = (bounds.batch(batch, info.width, info.height), 3, info.height, info.width)
    dtype = torch.uint8 if depth == 8 else torch.uint16
    return [torch.empty(shape, dtype=dtype, pin_memory=pinned) for _ in range(BATCHES)]


class _Pipe:
    """The two threads and the queues between them and the thread that applies the effect."""

    def __init__(
        self,
        decoder: Decoder,
        start: Callable[[int, int, int], Encoder],
        buffers: Sequence[torch.Tensor],
        shown_from: int | None,
    ) -> None:
        self.written = 0
        self.size = (0, 0)
        self.first = 0
        self._shown_from = shown_from
        self._decoder = decoder
        self._start = start
        self._encoder: Encoder | None = None
        # No queue holds more than the few batches that there are.
        self._free: queue.Queue[torch.Tensor | None] = queue.Queue()
        self._decoded: queue.Queue[_Batch | BaseException | None] = queue.Queue()
        self._applied: queue.Queue[_Batch | None] = queue.Queue()
        for buffer in buffers:
            self._free.put(buffer)
        self._reader = threading.Thread(target=self._guarded, args=[self._read], name="media-reader")
        self._writer = threading.Thread(target=self._guarded, args=[self._write], name="media-writer")

    def __enter__(self) -> Self:
        self._reader.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # The ends of the children wake a thread that waits for a pipe, the empty messages one that waits for a queue.
        self._decoder.kill()
        if self._encoder is not None:
            self._encoder.kill()
        self._free.put(None)
        self._applied.put(None)
        self._reader.join()
        if self._writer.ident is not None:
            self._writer.join()

    def run(self, apply: Apply, on_progress: Callable[[int], None]) -> None:
        """Apply the effect to all frames."""
        while (item := self._next(on_progress)) is not None:
            item.frames = _checked(apply(item.frames), like=item.frames)
            self._drop_hidden(item)
            on_progress(self.written)
            if not item.timestamps:
                self._free.put(item.buffer)
                continue
            height, width = item.frames.shape[-2:]
            if self._encoder is None:
                self.size, self.first = (width, height), item.timestamps[0]
                self._encoder = self._start(width, height, self.first)
                self._writer.start()
            elif self.size != (width, height):
                raise ValueError("the effect changed the size of its frames in mid-stream")
            self._applied.put(item)
        if self._encoder is None:
            # Of a window; a whole video without a frame is found by the decoder.
            raise DamagedMedia
        self._applied.put(None)
        # The writer's end, or its error.
        self._next(on_progress)
        while not self._encoder.finished(_POLL_SECONDS):
            on_progress(self.written)
        on_progress(self.written)

    def _drop_hidden(self, item: _Batch) -> None:
        """Leave out the frames that only warm the effect up."""
        if self._shown_from is not None and item.timestamps[0] < self._shown_from:
            hidden = sum(timestamp < self._shown_from for timestamp in item.timestamps)
            item.timestamps, item.frames = item.timestamps[hidden:], item.frames[hidden:]

    def _next(self, on_progress: Callable[[int], None]) -> _Batch | None:
        while True:
            try:
                item = self._decoded.get(timeout=_POLL_SECONDS)
            except queue.Empty:
                on_progress(self.written)
                continue
            if isinstance(item, BaseException):
                raise item
            return item

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that called
            self._decoded.put(error)
        else:
            self._decoded.put(None)

    def _read(self) -> None:
        while (buffer := self._free.get()) is not None:
            timestamps = self._decoder.read(buffer)
            if not timestamps:
                return
            self._decoded.put(_Batch(buffer, timestamps, buffer[: len(timestamps)]))

    def _write(self) -> None:
        assert self._encoder is not None
        while (batch := self._applied.get()) is not None:
            for frame, timestamp in zip(batch.frames, batch.timestamps, strict=True):
                self._encoder.write(frame, timestamp)
                self.written += 1
            self._free.put(batch.buffer)
        self._encoder.close()


def _checked(frames: torch.Tensor, *, like: torch.Tensor) -> torch.Tensor:
    if frames.dtype != like.dtype or frames.ndim != 4 or frames.shape[:2] != like.shape[:2]:
        raise ValueError(f"the effect returned {frames.dtype} of shape {tuple(frames.shape)} for {len(like)} frames")
    return frames.cpu().contiguous()
