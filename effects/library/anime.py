"""Turns pictures into drawings: animation cels, ink on paper, watercolour."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from effects import registry
from effects.contract import Declaration, Effect, Parameters, Tag
from effects.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

    from effects.ops.temporal import Memory


class AnimeParameters(Parameters):
    """What a designer can turn; with strength at 0, or all that draws at 0, the picture stays as it is."""

    style: Literal["cel", "ink", "watercolour"] = Field("cel", description="how it is drawn")
    strength: float = Field(1.0, ge=0, le=1, description="how much of the drawing covers the picture; 0 is the picture")
    lines: float = Field(0.85, ge=0, le=1, description="strength of the lines; 0 draws none")
    line_width: float = Field(1.0, ge=0.5, le=3, description="thickness of the lines, relative to a fine pen")
    line_detail: float = Field(0.5, ge=0, le=1, description="how faint a feature still gets a line")
    flatness: float = Field(0.6, ge=0, le=1, description="how much texture turns into flat colour; 0 keeps it all")
    shading: float = Field(0.7, ge=0, le=1, description="how crisply light is cut into tones; of ink: the hatching")
    shades: int = Field(3, ge=2, le=6, description="how many tones light is cut into; of ink: layers of hatching")
    colour: float = Field(
        0.5, ge=0, le=1, description="how much clearer and richer colours become; ink takes colour above 0.5"
    )

    @property
    def draws(self) -> bool:
        """Whether anything is drawn at all."""
        return bool(self.strength and (self.lines or self.flatness or self.shading or self.colour))


@registry.register
class Anime(Effect[AnimeParameters]):
    """Each style on OKLab or luma, all radii relative to the picture's size."""

    declaration = Declaration(
        name="anime",
        summary="Redraws the picture as hand-painted animation, as an ink drawing or as a watercolour.",
        parameters=AnimeParameters,
        tag=Tag.GPU,
        batch=4,
        # effects.ops.temporal.CONTEXT, which cannot be imported without torch.
        temporal_context=10,
    )

    def apply(self, frames: Tensor, params: AnimeParameters) -> Tensor:
        if not params.draws:
            return frames.clone()
        if frames.device.type != "cpu":
            return _draw(frames, params)
        # One frame at a time stays in the CPU's caches and needs the least memory.
        result = torch.empty_like(frames)
        for index, frame in enumerate(frames.split(1)):
            result[index] = _draw(frame, params)[0]
        return result

    def apply_next(
        self, frames: Tensor, params: AnimeParameters, memory: Memory | None
    ) -> tuple[Tensor, Memory | None]:
        from effects.ops import temporal

        if not params.draws:
            return frames.clone(), memory
        steady, memory = temporal.steadied(frames, memory)
        drawn = self.apply(steady, params.model_copy(update={"strength": 1.0}))
        return (drawn if params.strength == 1 else torch.lerp(frames, drawn, params.strength)), memory


def _draw(frames: Tensor, params: AnimeParameters) -> Tensor:
    from effects.drawing import canvas, cel, ink, watercolour

    draw = {"cel": cel.draw, "ink": ink.draw, "watercolour": watercolour.draw}[params.style]
    drawn = draw(canvas.prepare(frames), params)
    return drawn if params.strength == 1 else torch.lerp(frames, drawn, params.strength)
