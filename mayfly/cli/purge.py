"""Commands about what is destroyed, and when."""

from __future__ import annotations

import typer

from mayfly.cli import console
from mayfly.cli.console import Exit, people
from mayfly.cli.jobs import Json

app = typer.Typer(help="What is destroyed, and when.", no_args_is_help=True)


@app.command("run")
def run(json: Json = False) -> None:
    """Destroy now what is due, as beat does every minute."""
    with console.client() as client:
        swept = client.sweep()
        if json:
            console.emit({"destroyed": swept.destroyed, "failed": swept.failed})
        people.print(f"destroyed {swept.destroyed}, failed {swept.failed}")
        if swept.failed:
            raise typer.Exit(Exit.FAILED)


@app.command("status")
def status(json: Json = False) -> None:
    """Count what exists and what is overdue; exit code 1 when anything outlived what was promised."""
    with console.client() as client:
        held, overdue = client.held(), client.overdue()
        if json:
            console.emit({"held": held, "overdue": overdue})
        for retention, count in held.items():
            late = f"  [bold red]{overdue[retention]} overdue[/]" if overdue[retention] else ""
            people.print(f"{retention:<14} {count}{late}")
        if any(overdue.values()):
            raise typer.Exit(Exit.FAILED)
