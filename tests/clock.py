"""Moments of this machine's clock, which is the database's as well, for rows that tests change."""

from __future__ import annotations

import datetime


def now() -> datetime.datetime:
    """The present moment with its time zone."""
    return datetime.datetime.now(datetime.UTC)


def after(seconds: float) -> datetime.datetime:
    """The moment so many seconds from now."""
    return now() + datetime.timedelta(seconds=seconds)
