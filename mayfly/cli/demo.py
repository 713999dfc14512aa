"""`mayfly demo`: a photo and a video go through the whole pipeline on the embedded set-up, before your eyes."""

from __future__ import annotations

import contextlib
import datetime
import importlib.resources
import io
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import rich.table
import typer
from PIL import Image, ImageDraw

from mayfly.cli import console, progress
from mayfly.cli.console import Exit, people
from mayfly.cli.submit import own_worker
from mayfly.db.states import Retention, State
from mayfly.tasks import limits

if TYPE_CHECKING:
    from mayfly.client.client import Client
    from mayfly.client.job import Job

SAMPLES = "mayfly.samples"
HEIGHT = 512  # of the before/after picture's cells, in pixels
RECEIPT_SECONDS = 10


def demo(
    file: Annotated[Path | None, typer.Argument(help="your own photo or video; else the samples")] = None,
    effect: Annotated[str, typer.Option(help="the effect for your own file")] = "anime",
    out: Annotated[Path, typer.Option(help="the folder for the results")] = Path("demo-output"),
) -> None:
    """Send a photo and a video through the pipeline, on the embedded set-up."""
    settings = console.settings()
    if not settings.embedded:
        console.fail("usage", "the demo is for the embedded set-up; unset the MAYFLY_…_URLs", Exit.USAGE)
    with contextlib.ExitStack() as opened:
        samples = opened.enter_context(importlib.resources.as_file(importlib.resources.files(SAMPLES)))
        portrait, clip = samples / "portrait.jpg", samples / "clip.mp4"
        wanted = [(file, effect)] if file else [(portrait, "anime"), (portrait, "enhance"), (clip, "anime")]
        client = opened.enter_context(console.client(settings))
        for _, name in wanted:
            client.check(name)
        people.print("starting the worker …")
        opened.enter_context(own_worker(client))
        out.mkdir(parents=True, exist_ok=True)
        jobs = [client.submit(source, name) for source, name in wanted]
        names = [f"{name} {source.name}" for source, name in wanted]
        with console.waiting(None) as until:
            jobs = progress.wait(client, jobs, names, until=until)
        table = rich.table.Table("job", "effect", "time")
        for heading in ("result", "destroyed on", "input destroyed"):
            table.add_column(heading, overflow="fold")
        pairs: list[tuple[Path, Path]] = []
        for job, (source, name) in zip(jobs, wanted, strict=True):
            if job.state is State.DONE:
                target = out / f"{source.stem}-{name}{client.result_suffix(job)}"
                client.result(job, target)
                pairs.append((source, target))
            table.add_row(*_row(client, job, pairs[-1][1] if job.state is State.DONE else None))
        people.print(table)
        for job in jobs:
            if job.error is not None:
                console.complain(job.error, job.error_text or "")
        for number, (source, target) in enumerate(pairs):
            picture = out / f"before-after-{target.stem}.png"
            _before_after(client, source, target).save(picture)
            people.print(("open " if number == 0 else "     ") + f"{picture}", soft_wrap=True)
        if len(pairs) < len(jobs):
            raise typer.Exit(Exit.FAILED)


def _row(client: Client, job: Job, target: Path | None) -> list[str]:
    taken = (job.finished_at - job.created_at).total_seconds() if job.finished_at else 0.0
    due = [asset.due_at for asset in client.assets(job) if asset.retention is Retention.RESULT]
    receipt = "pending; the purge destroys it"
    end = time.monotonic() + RECEIPT_SECONDS
    while time.monotonic() < end:
        found = [one for one in client.receipts(job) if one.retention.is_input]
        if found:
            receipt = f"{_local(found[0].destroyed_at):%H:%M:%S}, {found[0].verified}"
            break
        time.sleep(0.05)
    return [
        job.id[:8],
        job.effect,
        f"{taken:.1f} s",
        str(target) if target else job.state.value,
        f"{_local(due[0]):%d %b %Y %H:%M}" if target and due else "",
        receipt,
    ]


def _local(moment: datetime.datetime) -> datetime.datetime:
    return moment.astimezone()


def _before_after(client: Client, source: Path, target: Path) -> Image.Image:
    """Source and result side by side, HEIGHT high: whole, or a detail where the result is larger. Of a video, the
    frame in its middle.
    """
    before, after = _still(client, source), _still(client, target)
    if after.width > before.width:
        before = before.resize(after.size, Image.Resampling.BICUBIC)
        left, top = (after.width - HEIGHT) // 2, max(0, round(after.height * 0.3) - HEIGHT // 2)
        cells = [one.crop((left, top, left + HEIGHT, top + HEIGHT)) for one in (before, after)]
    else:
        size = (round(after.width * HEIGHT / after.height), HEIGHT)
        cells = [one.resize(size, Image.Resampling.LANCZOS) for one in (before, after)]
    both = Image.new("RGB", (sum(cell.width for cell in cells) + 8, HEIGHT), "white")
    both.paste(cells[0], (0, 0))
    both.paste(cells[1], (cells[0].width + 8, 0))
    drawing = ImageDraw.Draw(both)
    for left, label in ((8, "before"), (cells[0].width + 16, "after")):
        drawing.text((left, 8), label, fill="white", stroke_width=2, stroke_fill="black", font_size=20)
    return both


def _still(client: Client, path: Path) -> Image.Image:
    from mayfly.media import sniff
    from mayfly.media.video import preview, probe

    with path.open("rb") as file:
        kind = sniff.sniff(file.read(sniff.HEAD_BYTES)).kind
    if kind == "image":
        return Image.open(path).convert("RGB")
    bounds = limits.of(client.settings)
    info = probe.probe_video(path, bounds)
    still = preview.poster(path, info, bounds, at=info.duration / 2)
    return Image.open(io.BytesIO(still)).convert("RGB")
