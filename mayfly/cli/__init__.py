"""The command line; each file is a group of commands, `main` is the entry point."""

from __future__ import annotations

from mayfly.cli.main import main

__all__ = ["main"]
