"""Gathers the commands."""

from __future__ import annotations

import atexit
import os
import sys
import threading

import typer

from mayfly.cli import apply, demo, jobs, models, processes, purge
from mayfly.cli.console import Exit

app = typer.Typer(
    name="mayfly",
    help="AI effects on photos and videos, and nothing kept longer than it must.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    add_completion=False,
)
app.command()(demo.demo)
app.command()(processes.up)
app.command()(jobs.effects)
app.command()(apply.apply)
app.command()(jobs.submit)
app.command()(jobs.status)
app.command()(jobs.result)
app.command()(jobs.cancel)
app.add_typer(purge.app, name="purge")
app.add_typer(models.app, name="models")
app.command()(processes.worker)
app.command()(processes.beat)
app.command()(processes.doctor)


def main() -> None:
    """The `mayfly` command."""
    try:
        app()
    except SystemExit as ended:
        if not _only_here():
            # An embedded worker's thread is in a call that cannot be ended; what it makes is not wanted any more.
            atexit._run_exitfuncs()
            sys.stdout.flush()
            os._exit(ended.code if isinstance(ended.code, int) else Exit.FAILED)
        raise


def _only_here() -> bool:
    """Whether no other thread is left for which Python would wait."""
    return all(thread.daemon or thread is threading.current_thread() for thread in threading.enumerate())
