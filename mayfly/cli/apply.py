"""`mayfly apply`: an effect on one file, here, in this process."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import rich.progress
import typer

from mayfly import local
from mayfly.cli import console
from mayfly.cli.console import people
from mayfly.cli.output import HardwareEncoder, KeptChapters, VideoCodec, VideoQuality, chosen_output


def apply(
    effect: str,
    source: Annotated[Path, typer.Argument(metavar="IN")],
    target: Annotated[
        Path, typer.Argument(metavar="OUT", help="its suffix chooses the format of the result; - prints a report")
    ],
    param: Annotated[list[str] | None, typer.Option("-p", "--param", metavar="NAME=VALUE")] = None,
    codec: VideoCodec = None,
    quality: VideoQuality = None,
    chapters: KeptChapters = False,
    hardware: HardwareEncoder = False,
    device: Annotated[str, typer.Option(help="cpu, or cuda for the first GPU")] = "cpu",
) -> None:
    """Apply an effect to one file in this process; nothing is uploaded."""
    given, settings = console.parameters(param or []), console.settings()
    if target == Path("-"):
        console.emit(local.report(source, effect, given, settings=settings, device=device))
        return
    columns = (
        rich.progress.TextColumn("{task.description}"),
        rich.progress.BarColumn(),
        rich.progress.MofNCompleteColumn(),
        rich.progress.TimeElapsedColumn(),
        rich.progress.TimeRemainingColumn(),
    )
    with rich.progress.Progress(*columns, console=people, transient=True) as bars:
        shown = bars.add_task(effect, total=None)
        local.apply(
            source,
            target,
            effect,
            given,
            settings=settings,
            device=device,
            output=chosen_output(settings, codec=codec, quality=quality, chapters=chapters, hardware=hardware),
            on_progress=lambda done, total: bars.update(shown, completed=done, total=total),
        )
