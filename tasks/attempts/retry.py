"""Decides by an error's type alone whether an attempt is worth repeating, when, and whether it counts."""

from __future__ import annotations

import dataclasses

from mayfly.errors import MayflyError
from mayfly.media.errors import MediaToolError, ObjectMissing
from mayfly.tasks.attempts import outage

PASSING = (MediaToolError, ObjectMissing)
"""Mayfly's own errors that may be gone next time, and may be the upload's fault; every other says the same again."""

MOST_SECONDS = 30.0  # before a unit that came back by our own fault is tried again


@dataclasses.dataclass(frozen=True)
class Retry:
    """Try again after `delay` seconds; `code` says why in the attempt's row. What is our own fault is not `counted`."""

    delay: float
    code: str
    counted: bool = True


@dataclasses.dataclass(frozen=True)
class Failure:
    """Give up; `code` and `text` are shown to the producer."""

    code: str
    text: str


def verdict(error: BaseException, *, tries: int, max_tries: int, delay: float, returns: int = 0) -> Retry | Failure:
    """What to do about an attempt that ended in `error`.

    Args:
        error: what the attempt raised.
        tries: attempts at this stage so far that count, this one included.
        max_tries: how many there may be.
        delay: seconds before the second attempt; doubles with each further one.
        returns: how often the unit came back by our own fault; the asset's deadline alone ends that.
    """
    if isinstance(error, outage.OURS):
        return Retry(delay=min(delay * 2 ** min(returns, 10), MOST_SECONDS), code=error.code, counted=False)
    known = isinstance(error, MayflyError)
    code = error.code if isinstance(error, MayflyError) else "internal_error"
    if (not known or isinstance(error, PASSING)) and tries < max_tries:
        return Retry(delay=delay * 2 ** (tries - 1), code=code)
    # The text of a foreign exception may repeat what it was given.
    return Failure(code, str(error) if known else "the effect failed for an internal reason; the log names this job")
