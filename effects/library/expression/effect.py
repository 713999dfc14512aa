"""Gives faces another expression: smile, frown, mouth, eyes, brows, gaze and a small turn of the head."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from mayfly.effects import registry
from mayfly.effects.contract import Declaration, Effect, Parameters, Tag
from mayfly.effects.vision import finder, smoothing

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from mayfly.effects.library.expression.muscles import Expression as Change
    from mayfly.effects.vision.types import Face

# The least face that is worth it, as a share of the picture's longer side.
_SMALLEST = 0.05


class ExpressionParameters(Parameters):
    """Each motion from −1 to 1, to be combined freely; all are 0 by default, which keeps the picture."""

    smile: float = Field(0.0, ge=-1, le=1, description="corners of the mouth up, cheeks with them; below 0 down")
    frown: float = Field(0.0, ge=-1, le=1, description="brows drawn together and down; below 0 apart and up")
    mouth_open: float = Field(
        0.0, ge=-1, le=1, description="the jaw drops; below 0 an open mouth closes, and lips are pressed together"
    )
    eyes_open: float = Field(0.0, ge=-1, le=1, description="wider eyes; −1 closes them")
    brows: float = Field(0.0, ge=-1, le=1, description="raised brows; below 0 lowered ones")
    gaze_x: float = Field(0.0, ge=-1, le=1, description="eyes look to the picture's right; below 0 to its left")
    gaze_y: float = Field(0.0, ge=-1, le=1, description="eyes look up; below 0 down")
    turn_x: float = Field(0.0, ge=-1, le=1, description="the head turns a little to the picture's right; below 0 left")
    turn_y: float = Field(0.0, ge=-1, le=1, description="the head is raised a little; below 0 it nods")
    face: int = Field(0, ge=0, le=8, description="which face, 1 is the largest; 0 changes all")
    missing: Literal["error", "ignore"] = Field("error", description="what a picture without that face is")

    @property
    def change(self) -> Change:
        """What the faces are asked to show."""
        from mayfly.effects.library.expression import muscles

        return muscles.Expression(**self.model_dump(exclude={"face", "missing"}))


@registry.register
class Expression(Effect[ExpressionParameters]):
    """Neutral by default, as no expression is anybody's default."""

    declaration = Declaration(
        name="expression",
        summary="Gives faces another expression: smile, frown, mouth, eyes, brows, gaze, a small turn of the head.",
        parameters=ExpressionParameters,
        neutral={},
        tag=Tag.GPU,
        face=True,
        temporal_context=smoothing.context(),
    )

    def setup(self, device: torch.device) -> None:
        self._finder = finder.Finder()

    def apply(self, frames: Tensor, params: ExpressionParameters) -> Tensor:
        result = frames.clone()
        if params.change.is_neutral:
            return result
        for frame in result.split(1):
            found = self._finder.faces(frame[0], smallest=_SMALLEST)
            _express(frame, finder.chosen(found, params.face, required=params.missing == "error"), params)
        return result

    def apply_next(self, frames: Tensor, params: ExpressionParameters, state: Any) -> tuple[Tensor, Any]:
        result = frames.clone()
        if params.change.is_neutral:
            return result, state
        for frame in result.split(1):
            state, steady = smoothing.track_faces(state, frame[0], self._finder.faces(frame[0], smallest=_SMALLEST))
            _express(frame, finder.chosen(steady, params.face, required=False), params)
        return result, state


def _express(frame: Tensor, faces: list[Face], params: ExpressionParameters) -> None:
    """Change faces of one (1, 3, H, W) frame in place."""
    from mayfly.effects.library.expression import expressions

    for face in faces:
        expressions.change(frame, face, params.change)
