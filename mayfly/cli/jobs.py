"""Commands of producers: what effects there are, submit, status, result, cancel."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import rich.table
import typer

from db.states import State
from effects import registry
from errors import MayflyError
from mayfly.cli import console, progress
from mayfly.cli.console import Exit, people
from mayfly.cli.output import HardwareEncoder, KeptChapters, VideoCodec, VideoQuality, chosen_output
from mayfly.client import Client
from mayfly.job import Job

Json = Annotated[bool, typer.Option("--json", help="one JSON object a line on standard output")]


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


def submit(
    effect: str,
    files: Annotated[list[Path], typer.Argument(metavar="FILE...")],
    param: Annotated[list[str] | None, typer.Option("-p", "--param", metavar="NAME=VALUE")] = None,
    owner: Annotated[str | None, typer.Option(help="your opaque reference to the owner")] = None,
    consent: Annotated[str | None, typer.Option(help="your reference to the person's consent")] = None,
    key: Annotated[
        str | None, typer.Option(help="idempotency key: a repeated submit returns the first job; for one FILE")
    ] = None,
    codec: VideoCodec = None,
    quality: VideoQuality = None,
    chapters: KeptChapters = False,
    hardware: HardwareEncoder = False,
    preview: Annotated[bool, typer.Option("--preview", help="make before-and-after previews as well")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="wait until the jobs are finished")] = False,
    out: Annotated[Path | None, typer.Option(help="write results into this folder; implies --wait")] = None,
    json: Json = False,
) -> None:
    """Upload files and queue their effect."""
    settings = console.settings()
    if key is not None and len(files) > 1:
        raise typer.BadParameter("an idempotency key is for one file", param_hint="--key")
    given = console.parameters(param or [])
    output = chosen_output(None, codec=codec, quality=quality, chapters=chapters, hardware=hardware)
    wait = wait or out is not None
    with console.errors_shown(), Client(settings) as client, contextlib.ExitStack() as running:
        client.check(effect, given)
        if out is not None:
            out.mkdir(parents=True, exist_ok=True)
        if wait:
            running.enter_context(own_worker(client))
        jobs: list[Job | MayflyError] = []
        for file in files:
            try:
                jobs.append(
                    client.submit(
                        file,
                        effect,
                        given,
                        owner=owner,
                        consent=consent,
                        idempotency_key=key,
                        output=output,
                        preview=preview,
                    )
                )
            except MayflyError as error:
                jobs.append(error)
        waiting = [(job, file.name) for job, file in zip(jobs, files, strict=True) if isinstance(job, Job)]
        if wait and waiting:
            ended = iter(progress.wait(client, [job for job, _ in waiting], [name for _, name in waiting]))
            jobs = [next(ended) if isinstance(job, Job) else job for job in jobs]
        codes = [_report(client, job, file, effect, out, json=json) for job, file in zip(jobs, files, strict=True)]
    raise typer.Exit(max(codes, key=lambda code: (code is not Exit.DONE, code)))


def status(
    job: Annotated[list[str] | None, typer.Argument(metavar="[JOB...]")] = None,
    watch: Annotated[bool, typer.Option("--watch", help="follow until all are finished")] = False,
    json: Json = False,
) -> None:
    """Show jobs; without an id the newest ones."""
    with console.errors_shown(), Client(console.settings()) as client:
        found = [client.status(one) for one in job] if job else client.jobs(limit=20)
        if watch and found:
            found = progress.wait(client, found, [f"{one.effect} {one.id[:8]}" for one in found])
        if json:
            for one in found:
                more = {
                    "progress": one.progress,
                    "remaining": one.remaining(),
                    "created_at": one.created_at.isoformat(),
                }
                console.emit(_facts(one, None) | more | {"created_at": one.created_at.isoformat()})
            return
        table = rich.table.Table("job", "effect", "media", "state", "progress", "error")
        for one in found:
            table.add_row(one.id, one.effect, one.media, one.state, f"{one.progress:.0%}", one.error or "")
        people.print(table)


def result(job: str, out: Annotated[Path, typer.Option(help="the file to write")]) -> None:
    """Fetch a job's result."""
    with console.errors_shown(), Client(console.settings()) as client:
        client.result(job, out)


def cancel(job: str) -> None:
    """Cancel a job and destroy what is stored of it."""
    with console.errors_shown(), Client(console.settings()) as client:
        people.print(client.cancel(job).state)


@contextlib.contextmanager
def own_worker(client: Client) -> Iterator[None]:
    """With the embedded set-up, run the worker here unless another process has it already."""
    if not client.settings.embedded:
        yield
        return
    from workers import logs
    from workers.embedded import AlreadyRunning, Embedded

    logs.configure_quiet()
    embedded = Embedded(client.settings)
    try:
        embedded.start()
    except AlreadyRunning:
        yield
        return
    try:
        yield
    finally:
        embedded.stop()


def _report(client: Client, job: Job | MayflyError, file: Path, effect: str, out: Path | None, *, json: bool) -> Exit:
    if isinstance(job, MayflyError):
        if json:
            console.emit({"job": None, "state": None, "effect": effect, "result": None, "error": job.code})
        people.print(f"[bold red]{job.code}[/]: {file.name}: {job}", soft_wrap=True)
        return console.status_of(job)
    written = None
    if out is not None and job.state is State.DONE:
        written = out / f"{file.stem}-{effect}-{job.id[:8]}{client.result_suffix(job)}"
        client.result(job, written)
        for path in client.previews(job, out):
            path.replace(path.with_name(f"{written.stem}-{path.name}"))
    if json:
        console.emit(_facts(job, written))
    else:
        people.print(f"{job.id}  {job.state}  {file.name}" + (f"  →  {written}" if written else ""), soft_wrap=True)
    if job.state in (State.FAILED, State.CANCELLED):
        people.print(f"[bold red]{job.error or job.state}[/]: {job.error_text or 'the job was cancelled'}")
        return Exit.FAILED
    return Exit.DONE


def _facts(job: Job, written: Path | None) -> dict[str, Any]:
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
