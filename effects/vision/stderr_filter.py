"""Keeps what compiled libraries print about themselves off standard error, and lets everything else through."""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
import threading
from collections.abc import Iterator

# Information and warnings of TensorFlow Lite and of Abseil's log; errors are not among them.
_NOISE = re.compile(rb"INFO: |WARNING: All log messages before absl|[IW]\d{4} .*\.cc:\d+\] ")

# File descriptor 2 is one for all threads.
_lock = threading.Lock()


@contextlib.contextmanager
def filtered_stderr() -> Iterator[None]:
    """Hold standard error back while the body runs, then pass on all lines but the noise.

    These libraries have no setting for it, and write to the file descriptor itself.
    """
    with _lock, tempfile.TemporaryFile() as caught:
        try:
            kept = os.dup(2)
        except OSError:
            # Closed: nothing to keep clean.
            yield
            return
        os.dup2(caught.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            caught.seek(0)
            for line in caught:
                if not _NOISE.match(line):
                    os.write(2, line)
