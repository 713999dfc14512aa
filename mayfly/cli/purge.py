"""Commands about what is destroyed, and when."""

from __future__ import annotations

import dataclasses
import datetime

import typer

from mayfly.cli import console
from mayfly.cli.console import Exit, people
from mayfly.cli.jobs import Json
from mayfly.db.errors import DatabaseFull

app = typer.Typer(help="What is destroyed, and when.", no_args_is_help=True)


@app.command("run")
def run(json: Json = False) -> None:
    """Destroy now what is due, as beat does every minute, and what dead workers of this machine left in scratch."""
    from mayfly.workers import scratch

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
    from mayfly.db import room

    with console.client() as client:
        held, overdue, sweeping = client.held(), client.overdue(), client.sweeping()
        # Embedded, nobody need sweep while nothing is due.
        alarm = bool(sweeping.late) or (sweeping.idle and not client.settings.embedded)
        full = client.settings.embedded and not room.is_left(client.settings.home)
        if json:
            left = sweeping.left_behind
            sweep = {
                "seconds_since": sweeping.seconds_since,
                "late": sweeping.late,
                "refused": {"count": sweeping.refused, "oldest_due_at": _moment(sweeping.refused_since)},
                "left_behind": {"count": left.count if left else 0, "last_at": _moment(left.last_at if left else None)},
                "ok": not alarm and not sweeping.refused,
            }
            console.emit({"held": held, "overdue": overdue, "sweep": sweep, "disk_full": full})
        for retention, count in held.items():
            late = f"  [bold red]{overdue[retention]} overdue[/]" if overdue[retention] else ""
            people.print(f"{retention:<14} {count}{late}")
        people.print(sweeping.text)
        if alarm:
            start = "`mayfly up`" if client.settings.embedded else "`mayfly worker`"
            console.complain("no_sweep", f"nobody destroys what is due: start {start}, or `mayfly purge run` now")
        if full:
            console.complain(DatabaseFull.code, room.FULL_TEXT)
        if sweeping.refused:
            console.complain(
                "not_destroyed",
                "the object store does not give up all that is due: check its rights; it is tried again",
            )
        if alarm or full or sweeping.refused or any(overdue.values()):
            raise typer.Exit(Exit.FAILED)


@app.command("history")
def history(json: Json = False) -> None:
    """Count, by day, the jobs and receipts whose rows are gone: by effect and final state, by class and promise."""
    with console.client() as client:
        for line, count in client.counted().items():
            if json:
                console.emit(dataclasses.asdict(line) | {"count": count})
            people.print(f"{line.day}  {line.kind:<8} {line.name:<16} {line.outcome:<10} {count}")


def _moment(moment: datetime.datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
