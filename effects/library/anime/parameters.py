"""What can be chosen of a drawing; the styles read it, and need no effect for that."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from mayfly.effects.contract import Parameters
from mayfly.effects.models import weights


class AnimeParameters(Parameters):
    """What a designer can turn; with strength at 0, or all that draws at 0, the picture stays as it is."""

    style: Literal["cel", "ink", "watercolour"] = Field("cel", description="how it is drawn")
    model: str | None = Field(
        None,
        pattern=weights.NAME,
        description="an installed AnimeGAN generator that draws instead; only strength applies to it",
    )
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

    faces: float = Field(
        0.8, ge=0, le=1, description="how much faces get lines of their own and clean skin; 0 treats them as the rest"
    )

    @property
    def draws(self) -> bool:
        """Whether anything is drawn at all."""
        return bool(self.strength and (self.model or self.lines or self.flatness or self.shading or self.colour))

    @property
    def finds_faces(self) -> bool:
        """Whether faces are treated as faces."""
        return bool(self.faces and not self.model)
