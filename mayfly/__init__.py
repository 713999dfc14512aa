"""What a producer imports: `from mayfly import Client`. Loads nothing until it is used, and never torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mayfly.client.client import Client as Client
    from mayfly.client.job import Job as Job
    from mayfly.errors import MayflyError as MayflyError
    from mayfly.media.output import Output as Output
    from mayfly.settings import Settings as Settings

__all__ = ["Client", "Job", "MayflyError", "Output", "Settings"]

_HOMES = {
    "Client": "mayfly.client.client",
    "Job": "mayfly.client.job",
    "MayflyError": "mayfly.errors",
    "Output": "mayfly.media.output",
    "Settings": "mayfly.settings",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOMES[name]), name)
