"""Gathers the commands."""

from __future__ import annotations

import atexit
import os
import sys

import typer

from mayfly.cli import apply, demo, jobs, models, processes, purge

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
        if "workers" not in sys.modules:
            raise
        # Python would wait for a worker's thread that is in a call which cannot be ended, though its unit was handed
        # back; and taking torch apart may take longer than the worker's stop.
        atexit._run_exitfuncs()
        sys.stdout.flush()
        os._exit(ended.code if isinstance(ended.code, int) else int(ended.code is not None))
