"""Gathers the commands."""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
from typing import Annotated, Any

import typer
import typer.core

from mayfly.cli import apply, console, demo, jobs, models, processes, purge, submit


class _Commands(typer.core.TyperGroup):
    """Every command ends in a sentence and an exit code, whatever goes wrong in it."""

    def invoke(self, ctx: Any) -> Any:
        with console.errors_shown(debug=bool(ctx.params.get("debug"))):
            return super().invoke(ctx)


app = typer.Typer(
    name="mayfly",
    cls=_Commands,
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    add_completion=False,
)


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="show where an error was raised, for a report of it")] = False,
) -> None:
    """AI effects on photos and videos, and nothing kept longer than it must."""


app.command()(demo.demo)
app.command()(processes.up)
app.command()(jobs.effects)
app.command()(apply.apply)
app.command()(submit.submit)
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
        if "mayfly.workers" not in sys.modules:
            raise
        # Python would wait for a worker's thread that is in a call which cannot be ended, though its unit was handed
        # back; and taking torch apart may take longer than the worker's stop.
        atexit._run_exitfuncs()
        with contextlib.suppress(OSError):  # whoever read has gone
            sys.stdout.flush()
        os._exit(ended.code if isinstance(ended.code, int) else int(ended.code is not None))
