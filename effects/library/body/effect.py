"""Changes a body's shape: waist, hips, chest, shoulders, arms, legs, head, posture; the background stays in place."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from mayfly.effects import registry
from mayfly.effects.contract import Declaration, Parameters, Tag
from mayfly.effects.errors import NoPerson
from mayfly.effects.lazy import torch
from mayfly.effects.shared.frame_by_frame import FrameByFrame
from mayfly.effects.vision import scene_cuts, smoothing

if TYPE_CHECKING:
    from torch import Tensor

    from mayfly.effects.library.body.reshape import Fill
    from mayfly.effects.vision.finder import Finder

_PARTS = ("slim", "waist", "hips", "chest", "shoulders", "arms", "legs", "head", "posture")


class BodyParameters(Parameters):
    """What a designer can turn; at 0, which all are by default, the picture stays as it is and nobody is looked for."""

    slim: float = Field(0.0, ge=-1, le=1, description="slimmer as a whole, but for the head; below 0 fuller")
    waist: float = Field(0.0, ge=-1, le=1, description="wider waist; below 0 narrower")
    hips: float = Field(0.0, ge=-1, le=1, description="wider hips; below 0 narrower")
    chest: float = Field(0.0, ge=-1, le=1, description="broader chest; below 0 narrower")
    shoulders: float = Field(0.0, ge=-1, le=1, description="broader shoulders; below 0 narrower")
    arms: float = Field(0.0, ge=-1, le=1, description="stronger arms; below 0 thinner")
    legs: float = Field(0.0, ge=-1, le=1, description="longer legs, feet where they are; below 0 shorter")
    head: float = Field(0.0, ge=-1, le=1, description="larger head; below 0 smaller")
    posture: float = Field(
        0.0, ge=-1, le=1, description="straighter: longer neck, lower and more level shoulders; below 0 slouching"
    )
    missing: Literal["error", "ignore"] = Field(
        "error", description="what to do where nobody is seen: refuse, or leave the picture as it is"
    )


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class _State:
    """What is remembered of the frames before."""

    pose: smoothing.PoseTrack | None = None
    mask: smoothing.MaskTrack | None = None
    fill: Fill | None = None


@registry.register
class Body(FrameByFrame[BodyParameters, _State]):
    """Neutral by default, as no other shape is anybody's default."""

    declaration = Declaration(
        name="body",
        summary="Changes a body's shape: waist, hips, chest, shoulders, arms, legs, head, posture, or slimmer at all.",
        parameters=BodyParameters,
        neutral={},
        tag=Tag.GPU,
        batch=1,
        temporal_context=smoothing.context(),
    )

    _finder: Finder

    def setup(self, device: torch.device) -> None:
        from mayfly.effects.vision import finder

        self._finder = finder.Finder()

    def is_neutral(self, params: BodyParameters) -> bool:
        return not _change(params)

    def begin(self, params: BodyParameters) -> _State:
        return _State()

    def next_frame(
        self, frame: Tensor, params: BodyParameters, state: _State, *, is_video: bool
    ) -> tuple[Tensor, _State]:
        from mayfly.effects.library.body import body_field, reshape

        picture = frame[0]
        poses, pose = smoothing.track_pose(state.pose, picture, self._finder.pose(picture))
        if pose is None:
            if not is_video and params.missing == "error":
                raise NoPerson("nobody was found; choose a picture that shows a person's shoulders and what to change")
            return frame, _State(pose=poses)
        masks, mask = smoothing.track_mask(state.mask, picture, self._finder.person(picture))
        fill = state.fill
        if state.mask is not None and scene_cuts.is_cut(state.mask.thumbnail, masks.thumbnail):
            fill = None
        change = body_field.Change(**_change(params))
        result, fill = reshape.reshaped(frame, mask[None], pose, change, fill, remember=is_video)
        return result, _State(pose=poses, mask=masks, fill=fill)


def _change(params: BodyParameters) -> dict[str, float]:
    """The parts that change, by their amounts."""
    return {name: getattr(params, name) for name in _PARTS if getattr(params, name)}
