"""Decides by an error's type alone whether an attempt is worth repeating, and when."""

from __future__ import annotations

import dataclasses

from celery.exceptions import SoftTimeLimitExceeded

from effects.errors import WeightsError
from errors import MayflyError
from media.errors import MediaToolError, StorageError
from tasks.errors import TimeOver

PASSING = (StorageError, MediaToolError, WeightsError)
"""Mayfly's own errors that may be gone next time; every other of them says the same again."""


@dataclasses.dataclass(frozen=True)
class Retry:
    """Try again after `delay` seconds; `code` says why in the attempt's row."""

    delay: float
    code: str


@dataclasses.dataclass(frozen=True)
class Failure:
    """Give up; `code` and `text` are shown to the producer."""

    code: str
    text: str


def verdict(error: BaseException, *, tries: int, max_tries: int, delay: float) -> Retry | Failure:
    """What to do about an attempt that ended in `error`.

    Args:
        error: what the attempt raised.
        tries: attempts at this stage so far, this one included.
        max_tries: how many there may be.
        delay: seconds before the second attempt; doubles with each further one.
    """
    if isinstance(error, SoftTimeLimitExceeded):
        error = TimeOver("the effect took longer than a job may; send a smaller or shorter upload")
    known = isinstance(error, MayflyError)
    code = error.code if isinstance(error, MayflyError) else "internal_error"
    if (not known or isinstance(error, PASSING)) and tries < max_tries:
        return Retry(delay=delay * 2 ** (tries - 1), code=code)
    # The text of a foreign exception may repeat what it was given.
    return Failure(code, str(error) if known else "the effect failed for an internal reason; the log names this job")
