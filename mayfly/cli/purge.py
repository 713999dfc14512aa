"""Commands about what is destroyed, and when."""

from __future__ import annotations

import typer

from mayfly.cli import console
from mayfly.cli.console import Exit, people
from mayfly.cli.jobs import Json

app = typer.Typer(help="What is destroyed, and when.", no_args_is_help=True)


@app.command("run")
def run(json: Json = False) -> None:
    """Destroy now what is due, as beat does every minute, and what dead workers of this machine left in scratch."""
    from workers import scratch

    with console.client() as client:
        scratch.sweep(scratch.own(scratch.place(client.settings)))
        swept = client.sweep()
        if json:
            console.emit({"destroyed": swept.destroyed, "failed": swept.failed})
        people.print(f"destroyed {swept.destroyed}, failed {swept.failed}")
        if swept.failed:
            raise typer.Exit(Exit.FAILED)


@app.command("status")
def status(json: Json = False) -> None:
    """Count what exists and what is overdue; exit code 1 when a promise was broken, or will be since nobody sweeps."""
    with console.client() as client:
        held, overdue, sweeping = client.held(), client.overdue(), client.sweeping()
        # Embedded, nobody need sweep while nothing is due.
        alarm = bool(sweeping.late) or (sweeping.idle and not client.settings.embedded)
        if json:
            sweep = {"seconds_since": sweeping.seconds_since, "late": sweeping.late, "ok": not alarm}
            console.emit({"held": held, "overdue": overdue, "sweep": sweep})
        for retention, count in held.items():
            late = f"  [bold red]{overdue[retention]} overdue[/]" if overdue[retention] else ""
            people.print(f"{retention:<14} {count}{late}")
        people.print(sweeping.text)
        if alarm:
            start = "`mayfly up`" if client.settings.embedded else "`mayfly worker` and `mayfly beat`"
            console.complain("no_sweep", f"nobody destroys what is due: start {start}, or `mayfly purge run` now")
        if alarm or any(overdue.values()):
            raise typer.Exit(Exit.FAILED)
