"""Options of commands that make a video: its codec, its quality, and what else a user chooses."""

from __future__ import annotations

from typing import Annotated

import typer

from mayfly.media.output import Codec, Output
from mayfly.settings import Settings

VideoCodec = Annotated[Codec | None, typer.Option("--codec", help="of a video's result; auto: H.264, HEVC for 10 bits")]
VideoQuality = Annotated[
    int | None, typer.Option("--quality", min=0, max=51, help="of a video's result, on x264's scale; lower is better")
]
KeptChapters = Annotated[bool, typer.Option("--chapters", help="keep a video's chapters, with their titles")]
HardwareEncoder = Annotated[bool, typer.Option("--hardware", help="let the machine's GPU encode, if it can")]


def chosen_output(
    settings: Settings | None, *, codec: Codec | None, quality: int | None, chapters: bool, hardware: bool
) -> Output:
    """What was chosen, and for the rest what the settings say; without settings only what was chosen is set."""
    defaults = {"quality": settings.video_crf, "preset": settings.video_preset} if settings else {}
    chosen = {"codec": codec, "quality": quality, "chapters": chapters or None, "hardware": hardware or None}
    return Output.model_validate(defaults | {name: value for name, value in chosen.items() if value is not None})
