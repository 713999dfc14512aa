"""What one video may use of a machine: memory by the size of its frames, disk by their number; pure but for one look.

Address space was measured with ffmpeg 5.1 at 3840×2160 and 10 bits, 2 and 16 threads: at most 2.4 GiB to decode, 4.5
to encode by x265, 5.1 by SVT-AV1, 2.5 by x264; of it 0.4 to 2.8 GiB are really used. The bounds lie above that, for
they are there to end what runs wild.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
from pathlib import Path

from mayfly.media.children.process import Resources
from mayfly.media.errors import DiskFull, MachineFault
from mayfly.media.video.info import VideoInfo

GIB = 1024**3
BATCH_BYTES = 128 * 1024**2
"""Of one batch in float32, which effects hold a few times: five frames of 1080p, one of 4K."""
RESERVE_BYTES = GIB // 4
"""Left free on the disk, whatever a video takes."""
_CORE_BYTES = 192 * 1024**2  # a thread's stack and heap, with room
_BITS_PER_PIXEL = 0.25  # of a result at quality 20; the demo's clip has 0.11


def batch(wanted: int, width: int, height: int) -> int:
    """Frames in one call of an effect: `wanted`, or as many of this size as fit into BATCH_BYTES, at least one."""
    return max(1, min(wanted, BATCH_BYTES // (width * height * 3 * 4)))


def decoder(width: int, height: int) -> Resources:
    """The kernel's limits for a child that decodes frames of this size; it writes no file."""
    return Resources(memory=2 * GIB + _threads() + 64 * 3 * width * height, file_bytes=0)


def copier(width: int, height: int, *, free: int) -> Resources:
    """The kernel's limits for a child that copies packets of such frames into a file, with `free` bytes on the disk."""
    return dataclasses.replace(decoder(width, height), file_bytes=max(0, free - RESERVE_BYTES))


def encoder(width: int, height: int, *, free: int, hardware: bool) -> Resources:
    """The kernel's limits for a child that encodes frames of this size, with `free` bytes on the disk.

    A device's driver maps far more address space than it uses, so hardware encoders have no limit of it.
    """
    memory = None if hardware else 3 * GIB + _threads() + 128 * 3 * width * height
    return Resources(memory=memory, file_bytes=max(0, free - RESERVE_BYTES))


def result_bytes(info: VideoInfo, *, width: int, height: int, quality: int, source: int) -> int:
    """About how large a result is at most.

    Args:
        info: of the source; its number of frames is the header's.
        width: of the result, in pixels.
        height: likewise.
        quality: as mayfly.media.output.Output's; six steps double the size.
        source: bytes of the source, as which its sound counts.
    """
    pictures = info.frame_count * width * height * _BITS_PER_PIXEL / 8
    return source + round(pictures * 2 ** ((20 - quality) / 6))


def check_room(folder: Path, size: int) -> None:
    """Raise DiskFull unless `size` bytes fit into a folder and leave the reserve; before anything is fetched."""
    if size + RESERVE_BYTES > shutil.disk_usage(folder).free:
        raise DiskFull


def room(source: Path, target: Path, info: VideoInfo, *, width: int, height: int, quality: int) -> int:
    """Bytes that are free on the target's disk, where the result fits and leaves the reserve.

    Args:
        source: the file, of which `info` speaks.
        target: the file to write.
        info: of the source.
        width: of the result, in pixels.
        height: likewise.
        quality: as mayfly.media.output.Output's.

    Raises:
        DiskFull: it does not fit.
        MachineFault: there is no such folder.
    """
    try:
        free = shutil.disk_usage(target.parent).free
    except OSError:
        raise MachineFault from None
    size = source.stat().st_size
    if result_bytes(info, width=width, height=height, quality=quality, source=size) + RESERVE_BYTES > free:
        raise DiskFull
    return free


def _threads() -> int:
    return _CORE_BYTES * (os.cpu_count() or 1)
