"""Chapters of a result, handed to ffmpeg in a file without a name: a command line can be read by the whole machine."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mayfly.media.video.info import Chapter, VideoInfo

_MOST = 255  # as many as MP4 counts


@contextlib.contextmanager
def handed_over(info: VideoInfo, *, wanted: bool) -> Iterator[int | None]:
    """A file descriptor for the child to inherit, from which ffmpeg reads the chapters; None when none are to be kept.

    The file lies in memory and is gone with its descriptors.
    """
    if not wanted or not 0 < len(info.chapters) <= _MOST:
        yield None
        return
    descriptor = os.memfd_create("chapters")
    try:
        left = memoryview(text(info.chapters).encode("utf-8", "replace"))
        while left:
            left = left[os.write(descriptor, left) :]
        os.lseek(descriptor, 0, os.SEEK_SET)
        yield descriptor
    finally:
        os.close(descriptor)


def text(chapters: Sequence[Chapter]) -> str:
    """What ffmpeg's own demuxer of metadata reads: times and titles, and nothing else of the source."""
    lines = [";FFMETADATA1"]
    for one in chapters:
        lines += ["[CHAPTER]", f"TIMEBASE={one.time_base.numerator}/{one.time_base.denominator}"]
        lines += [f"START={one.start}", f"END={one.end}"]
        if one.title:
            lines.append("title=" + re.sub(r"([=;#\\\n])", r"\\\1", one.title))
    return "\n".join(lines) + "\n"
