"""Retouches portraits on the device: calm skin that keeps its pores, spots, eyes, teeth, lips, light and form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from mayfly.effects import registry
from mayfly.effects.contract import Declaration, Effect, Locality, Parameters, Tag
from mayfly.effects.lazy import torch
from mayfly.effects.vision import boxes, finder, smoothing

if TYPE_CHECKING:
    from torch import Tensor

    from mayfly.effects.vision.types import Face

# Faces are worked on at this many pixels at most; what is finer is texture, which is only scaled.
_WORK_UNIT = 224
# Around a face, in its sizes: as far as skin is looked for, on ears and neck.
_MARGIN = 0.25
# The least face that is worth it, as a share of the picture's longer side.
_SMALLEST = 0.05


class RetouchParameters(Parameters):
    """What a retoucher can turn; with everything but pores at 0 the picture stays as it is."""

    smooth: float = Field(0.5, ge=0, le=1, description="how much calmer the skin becomes; edges stay")
    pores: float = Field(0.5, ge=0, le=1, description="how much of the finest texture stays where skin is smoothed")
    blemishes: float = Field(0.7, ge=0, le=1, description="how much of spots is healed; moles stay")
    under_eye: float = Field(0.3, ge=0, le=1, description="how much the shadows under the eyes are lifted")
    teeth: float = Field(0.3, ge=0, le=1, description="how much whiter teeth become")
    eyes: float = Field(0.3, ge=0, le=1, description="how much clearer the eyes become")
    lips: float = Field(0.2, ge=0, le=1, description="how much richer the lips' own colour becomes")
    light: float = Field(0.0, ge=0, le=1, description="soft light from the front that fills the face's dark side")
    slim: float = Field(0.0, ge=-1, le=1, description="slimmer cheeks and jaw; below 0 fuller ones")
    eye_size: float = Field(0.0, ge=-1, le=1, description="larger eyes; below 0 smaller ones")
    face: int = Field(0, ge=0, le=8, description="which face, 1 is the largest; 0 retouches all")
    missing: Literal["error", "ignore"] = Field("error", description="what a picture without that face is")

    @property
    def touches(self) -> bool:
        """Whether any colour changes."""
        return any((self.smooth, self.blemishes, self.under_eye, self.teeth, self.eyes, self.lips, self.light))

    @property
    def moves(self) -> bool:
        """Whether anything changes its place."""
        return bool(self.slim or self.eye_size)


@registry.register
class Retouch(Effect[RetouchParameters]):
    """Find faces, correct each on a small grid around it, add the difference to the picture; then change its form."""

    declaration = Declaration(
        name="retouch",
        summary="Retouches faces: calm skin with its pores, spots, eyes, teeth, lips, light and form.",
        parameters=RetouchParameters,
        neutral={"smooth": 0, "blemishes": 0, "under_eye": 0, "teeth": 0, "eyes": 0, "lips": 0},
        locality=Locality.DEVICE,
        tag=Tag.CPU,
        face=True,
        temporal_context=smoothing.context(),
    )

    def setup(self, device: torch.device) -> None:
        self._finder = finder.Finder()

    def apply(self, frames: Tensor, params: RetouchParameters) -> Tensor:
        if not (params.touches or params.moves):
            return frames.clone()
        result = frames.clone()
        for frame in result.split(1):
            found = self._finder.faces(frame[0], smallest=_SMALLEST)
            _retouch(frame, finder.chosen(found, params.face, required=params.missing == "error"), params)
        return result

    def apply_next(self, frames: Tensor, params: RetouchParameters, state: Any) -> tuple[Tensor, Any]:
        if not (params.touches or params.moves):
            return frames.clone(), state
        result = frames.clone()
        for frame in result.split(1):
            state, steady = smoothing.track_faces(state, frame[0], self._finder.faces(frame[0], smallest=_SMALLEST))
            _retouch(frame, finder.chosen(steady, params.face, required=False), params)
        return result, state


def _retouch(frame: Tensor, faces: list[Face], params: RetouchParameters) -> None:
    """Retouch faces of one (1, 3, H, W) frame in place."""
    for face in faces:
        if params.touches:
            _touch(frame, face, params)
    if params.moves:
        for face in faces:
            _move(frame, face, params)


def _touch(frame: Tensor, face: Face, params: RetouchParameters) -> None:
    from mayfly.effects.library.retouch import face_touch, skin_smoothing
    from mayfly.effects.shared import blur, colour, face_masks, skin

    grid = face_masks.grid(face, frame, margin=_MARGIN, unit=_WORK_UNIT)
    if grid is None:
        return
    left, top, right, bottom = grid.box
    part = frame[..., top:bottom, left:right]
    size = (bottom - top, right - left)
    work = blur.reduce(part, grid.size)
    lab = colour.srgb_to_oklab(work)
    mask = skin.find(lab, grid)
    better = lab
    if params.blemishes:
        found = skin_smoothing.spots(better, mask, grid.unit)
        better = skin_smoothing.healed(better, found, mask, grid.unit, params.blemishes)
    if params.smooth:
        better = skin_smoothing.smoothed(better, mask, grid.unit, smooth=params.smooth, pores=params.pores)
    if params.under_eye:
        better = face_touch.under_eyes(better, mask, grid, params.under_eye)
    if params.light:
        better = face_touch.light(better, mask, grid, params.light)
    if params.teeth:
        better = face_touch.teeth(better, grid, params.teeth)
    if params.eyes:
        better = face_touch.eyes(better, grid, params.eyes)
    if params.lips:
        better = face_touch.lips(better, grid, params.lips)
    change = blur.enlarge(colour.oklab_to_srgb(better).clamp_(0, 1) - work, size)
    less = params.smooth * (1 - skin_smoothing.fine_gain(1, params.pores))
    if less and size != grid.size:
        # Texture that is finer than the grid.
        change -= (part - blur.enlarge(work, size)) * blur.enlarge(mask, size) * less
    part += change
    part.clamp_(0, 1)


def _move(frame: Tensor, face: Face, params: RetouchParameters) -> None:
    from mayfly.effects.library.retouch import face_warp

    left, top, right, bottom = boxes.clipped(face_warp.reach(face), *frame.shape[-2:])
    if right - left < 2 or bottom - top < 2:
        return
    part = frame[..., top:bottom, left:right]
    part.copy_(face_warp.warped(part, face, corner=(left, top), slim=params.slim, eye_size=params.eye_size))
