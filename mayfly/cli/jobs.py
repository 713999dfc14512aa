"""Commands of producers beside submit: what effects there are, status, result, cancel."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import rich.table
import typer

from mayfly.cli import console, progress
from mayfly.cli.console import people
from mayfly.client.errors import WaitTimeout
from mayfly.db import patience
from mayfly.db.states import State
from mayfly.effects import registry

if TYPE_CHECKING:
    from mayfly.client.client import Client
    from mayfly.client.job import Job

Json = Annotated[bool, typer.Option("--json", help="one JSON object a line on standard output")]
Timeout = Annotated[
    float | None, typer.Option(min=0, metavar="SECONDS", help="wait no longer, whatever is away; else without an end")
]


def effects(json: Json = False) -> None:
    """List the effects: parameters with bounds, tags, locality."""
    found = registry.load(console.settings().effect_modules)
    for effect in found.values():
        declared = effect.declaration
        schema = declared.parameters.model_json_schema()
        facts = {
            "effect": declared.name,
            "summary": declared.summary,
            "media": sorted(declared.media),
            "result": "report" if declared.report else "media",
            "locality": declared.locality,
            "tag": declared.tag,
            "parameters": schema.get("properties", {}),
        }
        if json:
            console.emit(facts)
            continue
        people.print(f"[bold]{declared.name}[/]  {declared.summary}")
        shown = [", ".join(sorted(declared.media)), declared.locality, declared.tag]
        people.print(f"  {' · '.join([*shown, 'gives JSON'] if declared.report else shown)}", style="dim")
        table = rich.table.Table(box=None, padding=(0, 2), show_header=False)
        for name, rule in schema.get("properties", {}).items():
            table.add_row(f"  {name}", _bounds(rule), f"default {rule.get('default')}", rule.get("description", ""))
        people.print(table)


def status(
    job: Annotated[list[str] | None, typer.Argument(metavar="[JOB...]")] = None,
    owner: Annotated[str | None, typer.Option(help="without ids: of this owner alone")] = None,
    state: Annotated[State | None, typer.Option(help="without ids: in this state alone")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="without ids: at most so many")] = 20,
    after: Annotated[str | None, typer.Option(metavar="JOB", help="without ids: what comes after this one")] = None,
    watch: Annotated[bool, typer.Option("--watch", help="follow until all are finished")] = False,
    timeout: Timeout = None,
    json: Json = False,
) -> None:
    """Show jobs; without an id the newest ones, newest first."""
    over: WaitTimeout | None = None
    end = None if timeout is None else time.monotonic() + timeout
    with patience.until(end), console.client() as client:
        if job:
            found = [client.status(one) for one in job]
        else:
            found = client.jobs(owner=owner, state=state, limit=limit, after=after)
        if watch and found:
            found, over = _watched(client, found, timeout)
    if json:
        for one in found:
            more = {"progress": one.progress, "remaining": one.remaining()}
            console.emit(facts(one) | more | {"created_at": one.created_at.isoformat()})
    else:
        table = rich.table.Table("job", "effect", "media", "state", "progress", "error")
        for one in found:
            table.add_row(one.id, one.effect, one.media, one.state, f"{one.progress:.0%}", one.error or "")
        people.print(table)
    if over is not None:
        raise over


def result(job: str, out: Annotated[Path, typer.Option(help="the file to write")]) -> None:
    """Fetch a job's result."""
    with console.client() as client:
        client.result(job, out)


def cancel(job: str) -> None:
    """Cancel a job and destroy what is stored of it."""
    with console.client() as client:
        console.say(client.cancel(job).state)


def _watched(client: Client, found: list[Job], timeout: float | None) -> tuple[list[Job], WaitTimeout | None]:
    """Follow jobs to their end, or to that of the time; they come as they were seen last."""
    last = {one.id: one for one in found}
    try:
        with console.waiting(timeout) as until:
            names = [f"{one.effect} {one.id[:8]}" for one in found]
            progress.wait(client, found, names, until=until, on_change=lambda one: last.update({one.id: one}))
    except WaitTimeout as error:
        return list(last.values()), error
    return list(last.values()), None


def facts(job: Job, written: Path | None = None) -> dict[str, Any]:
    """What a program is told of a job."""
    return {
        "job": job.id,
        "state": job.state,
        "effect": job.effect,
        "result": str(written) if written else None,
        "error": job.error,
    }


def _bounds(rule: dict[str, Any]) -> str:
    if "enum" in rule:
        return " | ".join(str(choice) for choice in rule["enum"])
    if "minimum" in rule and "maximum" in rule:
        return f"{rule['minimum']} … {rule['maximum']}"
    return str(rule.get("type", ""))
