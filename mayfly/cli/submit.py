"""`mayfly submit`: uploads files, tells each job as soon as there is one, and waits for the results if asked to."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mayfly.cli import console, progress
from mayfly.cli.console import Exit
from mayfly.cli.jobs import Json, Timeout, facts
from mayfly.cli.output import HardwareEncoder, KeptChapters, VideoCodec, VideoQuality, chosen_output
from mayfly.client.errors import WaitTimeout
from mayfly.client.patience import STORE
from mayfly.db.states import State
from mayfly.errors import MayflyError

if TYPE_CHECKING:
    from mayfly.client.client import Client
    from mayfly.client.job import Job
    from mayfly.client.waiting import Waiting


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
    timeout: Timeout = None,
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
    until = console.waiting(timeout)
    codes: list[Exit] = []
    queued: list[tuple[Job, Path]] = []
    with console.client(settings) as client, contextlib.ExitStack() as running:
        client.check(effect, given)
        if out is not None:
            out.mkdir(parents=True, exist_ok=True)
        if wait:
            running.enter_context(own_worker(client))
        for file in files:
            try:
                job = client.submit(
                    file,
                    effect,
                    given,
                    owner=owner,
                    consent=consent,
                    idempotency_key=key,
                    output=output,
                    preview=preview,
                    timeout=until.left(),
                )
            except MayflyError as error:
                codes.append(_refused(error, file, effect, json=json))
                continue
            queued.append((job, file))
            if not wait or not job.state.final:
                _tell(job, file, json=json, dim=wait)
            if not wait:
                codes.append(_ended(job))
        if wait:
            codes += _wait(client, queued, until, out, json=json)
    raise typer.Exit(max(codes, key=lambda code: (code is not Exit.DONE, code)))


@contextlib.contextmanager
def own_worker(client: Client) -> Iterator[None]:
    """With the embedded set-up, run the worker here, or take over when the process that runs it ends."""
    if not client.settings.embedded:
        yield
        return
    from mayfly.workers import logs
    from mayfly.workers.standby import Standby

    logs.configure_quiet()
    with Standby(client.settings):
        yield


def _wait(
    client: Client, queued: list[tuple[Job, Path]], until: Waiting, out: Path | None, *, json: bool
) -> list[Exit]:
    """Wait for jobs, and tell of each when it has ended; its result is written by then."""
    codes: list[Exit] = []
    left = {job.id: (job, file) for job, file in queued}

    def changed(job: Job) -> None:
        if job.id not in left:
            return
        _, file = left[job.id]
        left[job.id] = (job, file)
        if job.state.final:
            written = None
            if out is not None and job.state is State.DONE:
                written = _fetch(client, job, file, out, until)
            del left[job.id]
            _tell(job, file, json=json, written=written)
            codes.append(_ended(job))

    try:
        with until:
            progress.wait(
                client, [job for job, _ in queued], [file.name for _, file in queued], until=until, on_change=changed
            )
    except WaitTimeout as error:
        console.complain(error.code, str(error))
        for job, file in left.values():
            if json:
                console.emit(facts(job) | {"error": error.code})
            console.say(f"{job.id}  {job.state}  {file.name}")
        codes.append(console.status_of(error))
    return codes


def _fetch(client: Client, job: Job, file: Path, out: Path, until: Waiting) -> Path:
    """Write a result and its previews into a folder, however long that takes."""

    def fetch() -> Path:
        written = out / f"{file.stem}-{job.effect}-{job.id[:8]}{client.result_suffix(job)}"
        client.result(job, written)
        for path in client.previews(job, out):
            path.replace(path.with_name(f"{written.stem}-{path.name}"))
        return written

    return until.ask(fetch, STORE)


def _refused(error: MayflyError, file: Path, effect: str, *, json: bool) -> Exit:
    if json:
        later = {} if error.retry_after is None else {"retry_after": error.retry_after}
        console.emit({"job": None, "state": None, "effect": effect, "result": None, "error": error.code} | later)
    console.complain(error.code, f"{file.name}: {error}")
    return console.status_of(error)


def _tell(job: Job, file: Path, *, json: bool, written: Path | None = None, dim: bool = False) -> None:
    if json:
        console.emit(facts(job, written))
        return
    text = f"{job.id}  {job.state}  {file.name}" + (f"  →  {written}" if written else "")
    (console.notice if dim else console.say)(text)


def _ended(job: Job) -> Exit:
    if job.state in (State.FAILED, State.CANCELLED):
        console.complain(job.error or job.state, job.error_text or "the job was cancelled")
        return Exit.FAILED
    return Exit.DONE
