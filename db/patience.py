"""How long a server may take to answer: a bound of this process's own, for a server that is frozen never says so."""

from __future__ import annotations

import contextlib
import contextvars
import time
from collections.abc import Iterator

# By time.monotonic(); of this thread alone.
_end: contextvars.ContextVar[float] = contextvars.ContextVar("end", default=float("inf"))
_unhurried: contextvars.ContextVar[bool] = contextvars.ContextVar("unhurried", default=False)


@contextlib.contextmanager
def until(end: float | None) -> Iterator[None]:
    """Let no call of this thread wait for the database past `end`, by time.monotonic(); None changes nothing."""
    token = _end.set(min(_end.get(), float("inf") if end is None else end))
    try:
        yield
    finally:
        _end.reset(token)


@contextlib.contextmanager
def unhurried() -> Iterator[None]:
    """For what may take minutes and must not be cut, such as a migration: no bound but the caller's own."""
    token = _unhurried.set(True)
    try:
        yield
    finally:
        _unhurried.reset(token)


def end(seconds: float) -> float:
    """When a call that begins now has waited enough: after so many seconds, or when this thread's time is over."""
    return min(_end.get(), float("inf") if _unhurried.get() else time.monotonic() + seconds)
