"""Commands about the networks' weights: which there are, adding published checkpoints, checking all of them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mayfly.cli import console
from mayfly.cli.console import Exit, people
from mayfly.cli.jobs import Json
from mayfly.effects.errors import WeightsError
from mayfly.effects.models import weights

app = typer.Typer(help="The networks' weights: shipped ones, and checkpoints that you add.", no_args_is_help=True)


@app.command("list")
def list_models(json: Json = False) -> None:
    """Show every model: what it does, its size, licence and source."""
    weights.use(console.settings().resolved_models)
    for entry, added in _all():
        if json:
            console.emit(entry.model_dump() | {"added": added})
            continue
        does = entry.architecture.get("purpose", "enhance")
        people.print(
            f"[bold]{entry.name}[/] {entry.version}: {does}, {entry.architecture['network']}, "
            f"{entry.size / 1e6:.1f} MB, {entry.licence}{'' if added else ', shipped'}\n    {entry.source}"
        )


@app.command("add")
def add(
    file: Annotated[
        Path, typer.Argument(help="a .safetensors or .pth checkpoint, or a folder with an inpainting pipeline")
    ],
    name: Annotated[str, typer.Option(help="what effects' parameters call it")],
    licence: Annotated[str, typer.Option(help="the checkpoint's licence: its SPDX identifier, or its name")],
    source: Annotated[str, typer.Option(help="where the checkpoint comes from")],
    version: Annotated[str, typer.Option()] = "1",
    share: Annotated[bool, typer.Option(help="put it into the bucket of MAYFLY_MODELS_URL as well")] = False,
    json: Json = False,
) -> None:
    """Convert a checkpoint to safetensors, run it once on a small picture, and install it."""
    from mayfly.effects.models import install
    from mayfly.tasks import models

    settings = console.settings()
    if share and settings.models_url is None:
        console.fail("no_bucket", "set MAYFLY_MODELS_URL to the bucket that workers share", Exit.USAGE)
    folder = models.prepared(settings)
    entry = install.add(file, folder, name=name, version=version, licence=licence, origin=source)
    if share and settings.models_url is not None:
        from mayfly.media import storage
        from mayfly.media.storage.store import Role

        models.share(storage.connect(settings.models_url.get_secret_value(), role=Role.MODELS), folder, name)
    if json:
        console.emit(entry.model_dump() | {"added": True})
    people.print(f"added {entry.name}: {entry.architecture['network']}, {entry.architecture['purpose']}")


@app.command("verify")
def verify(json: Json = False) -> None:
    """Check every model's bytes against its manifest and run it once; exit code 1 when one is not what it should be."""
    bad = 0
    from mayfly.effects.models import install

    folder = console.settings().resolved_models
    weights.use(folder)
    for entry, added in _all():
        error = None
        try:
            install.verify(entry.name, folder if added else weights.FOLDER)
        except WeightsError as found:
            error = str(found)
            bad += 1
        if json:
            console.emit({"name": entry.name, "good": error is None, "error": error})
        people.print(f"{entry.name}: {error or 'good'}")
    if bad:
        raise typer.Exit(Exit.FAILED)


def _all() -> list[tuple[weights.Entry, bool]]:
    """Every entry, and whether the operator added it."""
    shipped = [(entry, False) for entry in weights.manifest().values()]
    return shipped + [(entry, True) for entry in weights.installed().values()]
