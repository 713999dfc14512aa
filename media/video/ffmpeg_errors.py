"""What a failure of ffmpeg or ffprobe says, in our own words: of the upload, of the machine, or of neither."""

from __future__ import annotations

import re
import signal
from collections.abc import Sequence

from mayfly.media.children.process import Finished
from mayfly.media.errors import (
    DamagedMedia,
    DiskFull,
    MediaError,
    MediaTimeout,
    MediaToolError,
    TooLarge,
    UnsupportedMedia,
)


def failure(code: int, last_lines: Sequence[str]) -> MediaError:
    """What a child that reads an upload and ended with a code other than 0 says about the upload.

    The answer is one of our own sentences: nothing of standard error is passed on.
    """
    text = "\n".join(last_lines)
    if re.search("No space left|Disk quota|Input/output error|Too many open files|Resource temporarily", text):
        return MediaToolError()
    if code == -signal.SIGKILL:
        return MediaToolError("the media tools were ended from outside: try again")
    if code in (-signal.SIGXCPU, 128 + signal.SIGXCPU):
        return MediaTimeout()
    if "not on whitelist" in text:
        return UnsupportedMedia("a track is coded in a way that is not taken: send H.264 and AAC in MP4")
    if "exceeds specified max pixel count" in text or re.search("[Pp]icture size .* is invalid", text):
        return TooLarge("the frames are too large: send a smaller video")
    if "Cannot allocate memory" in text:
        return TooLarge("reading the file needs more memory than allowed: send a smaller one")
    return DamagedMedia()


def encoder_failure(code: int, last_lines: Sequence[str]) -> MediaError:
    """What a failed encoder says: it reads the upload for its sound, else the fault is not the upload's."""
    if code > 0 and re.search("Invalid data found|partial file|invalid, broken", "\n".join(last_lines)):
        return DamagedMedia()
    if code == -signal.SIGXFSZ or re.search("No space left|Disk quota|File too large", "\n".join(last_lines)):
        return DiskFull()
    return MediaToolError()


def check(finished: Finished) -> bytes:
    """The output of a child that has read an upload. Raises what `failure` says."""
    if finished.code:
        raise failure(finished.code, finished.last_lines)
    return finished.stdout
