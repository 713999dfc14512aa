"""Cuts a person, a face, hair, skin or the background out of a picture; blurs or replaces the rest; shows masks."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, field_validator

from mayfly.effects import registry
from mayfly.effects.contract import Declaration, Effect, Locality, Parameters, Tag
from mayfly.effects.errors import NoPerson
from mayfly.effects.lazy import torch
from mayfly.effects.shared import hex_colours, inline_pictures
from mayfly.effects.vision import finder, smoothing

if TYPE_CHECKING:
    from torch import Tensor

    from mayfly.effects.library.segment.cut_outs import CutOut
    from mayfly.effects.vision.silhouettes import Silhouettes
    from mayfly.effects.vision.types import Face

# The radius of the widest blur, as a share of the picture's size.
_WIDEST_BLUR = 0.05
# The least face that is worth it, as a share of the picture's longer side.
_SMALLEST = 0.04


class SegmentParameters(Parameters):
    """With output=blur and blur=0 the picture stays as it is, and nobody is looked for."""

    region: Literal["person", "background", "face", "hair", "skin"] = Field(
        "person", description="what is cut out; skin is that of face, ears and neck"
    )
    output: Literal["cutout", "mask", "blur", "replace"] = Field(
        "cutout",
        description="cutout: the region alone, with alpha, in a video on colour; mask: its opacity in grey; blur and "
        "replace: what is done to all the rest",
    )
    blur: float = Field(0.5, ge=0, le=1, description="how far the aperture is open for output=blur")
    colour: str = Field(
        "#ffffff",
        pattern=hex_colours.PATTERN,
        description="#rrggbb behind the region: of a replaced background, and of a cut-out in a video",
    )
    background_image: str | None = Field(
        None,
        pattern=inline_pictures.TEXT_PATTERN,
        max_length=inline_pictures.LONGEST_TEXT,
        description="a PNG or JPEG in base64, at most 1024 pixels a side, for output=replace instead of colour",
    )
    wrap: float = Field(0.3, ge=0, le=1, description="how much light of a new background falls on the region's rim")
    refine: float = Field(
        0.5, ge=0, le=1, description="how wide the edge is in which hair and other fine things are told apart"
    )
    feather: float = Field(0.0, ge=0, le=1, description="how soft the edge becomes beyond what it is")
    face: int = Field(0, ge=0, le=8, description="whose face, hair or skin, 1 is the largest face; 0 takes all")
    missing: Literal["error", "ignore"] = Field(
        "error", description="what to do where the region is not: refuse, or leave the picture as it is"
    )

    @field_validator("background_image")
    @classmethod
    def _is_a_picture(cls, text: str | None) -> str | None:
        return inline_pictures.check(text)

    @property
    def is_neutral(self) -> bool:
        """Whether nothing changes."""
        return self.output == "blur" and self.blur == 0


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class _State:
    """What is remembered of the frames before."""

    faces: smoothing.FaceTracks | None = None
    mask: smoothing.MaskTrack | None = None


@registry.register
class Segment(Effect[SegmentParameters]):
    """A video has no opacity: there a cut-out lies on `colour`, and a frame without the region is all background."""

    declaration = Declaration(
        name="segment",
        summary="Cuts out a person, face, hair, skin or background, blurs or replaces the rest, or shows the mask.",
        parameters=SegmentParameters,
        neutral={"output": "blur", "blur": 0},
        locality=Locality.DEVICE,
        tag=Tag.CPU,
        face=True,
        dtype="uint8",
        temporal_context=smoothing.context(),
    )

    _finder: finder.Finder
    _silhouettes: Silhouettes

    def setup(self, device: torch.device) -> None:
        from mayfly.effects.vision import silhouettes

        self._finder = finder.Finder()
        self._silhouettes = silhouettes.Silhouettes()

    def channels(self, params: SegmentParameters) -> int:
        return 4 if params.output == "cutout" else 3

    def apply(self, frames: Tensor, params: SegmentParameters) -> Tensor:
        if params.is_neutral:
            return frames.clone()
        return torch.stack([self._shown(frame, params) for frame in frames])

    def begin(self, params: SegmentParameters) -> _State:
        return _State()

    def apply_next(self, frames: Tensor, params: SegmentParameters, state: Any) -> tuple[Tensor, Any]:
        if params.is_neutral:
            return frames.clone(), state
        results = []
        for frame in frames:
            faces: list[Face] = []
            tracks = state.faces
            if _needs_faces(params):
                tracks, faces = smoothing.track_faces(tracks, frame, self._finder.faces(frame, smallest=_SMALLEST))
            cut = self._cut(frame, finder.chosen(faces, params.face, required=False), params)
            mask, alpha = smoothing.track_mask(state.mask, frame, _opacity(cut, frame))
            state = _State(faces=tracks, mask=mask)
            results.append(_made(frame, _steady(cut, alpha), params, is_video=True))
        return torch.stack(results), state

    def _shown(self, frame: Tensor, params: SegmentParameters) -> Tensor:
        """One picture, (3, H, W) uint8, as `apply` shows it. Raises NoFace, NoPerson."""
        faces: list[Face] = []
        if _needs_faces(params):
            found = self._finder.faces(frame, smallest=_SMALLEST)
            faces = finder.chosen(found, params.face, required=params.missing == "error")
        cut = self._cut(frame, faces, params)
        if cut is not None:
            return _made(frame, cut, params, is_video=False)
        if params.missing == "error":
            raise NoPerson("nobody was found; choose a picture in which a person is large enough and well lit")
        if params.output == "mask":
            return torch.zeros_like(frame)
        return torch.cat([frame, torch.full_like(frame[:1], 255)])[: self.channels(params)]

    def _cut(self, frame: Tensor, faces: list[Face], params: SegmentParameters) -> CutOut | None:
        """The region of one (3, H, W) frame; None where it is not there."""
        from mayfly.effects.library.segment import cut_outs

        if params.region in ("face", "skin"):
            return cut_outs.of_faces(frame, faces, params.region) if faces else None
        if params.region == "hair" and not faces:
            return None
        picture = cut_outs.small(frame)
        people = self._silhouettes.find(picture)
        if people is None:
            return None
        if params.region == "hair":
            return cut_outs.of_hair(frame, picture, people, faces, width=2 * params.refine)
        return cut_outs.of_people(
            frame, picture, people, width=2 * params.refine, is_behind=params.region == "background"
        )


def _needs_faces(params: SegmentParameters) -> bool:
    return params.region in ("face", "hair", "skin")


def _opacity(cut: CutOut | None, frame: Tensor) -> Tensor:
    """(1, H, W) float32 in 0…1."""
    if cut is None:
        return torch.zeros(1, *frame.shape[-2:], device=frame.device)
    return cut.alpha.to(torch.float32) / 255


def _steady(cut: CutOut | None, alpha: Tensor) -> CutOut:
    """The cut-out with an opacity that was smoothed over time."""
    from mayfly.effects.library.segment import cut_outs

    alpha = (alpha.clamp(0, 1) * 255).round().to(torch.uint8)
    return cut_outs.CutOut(alpha=alpha) if cut is None else dataclasses.replace(cut, alpha=alpha)


def _made(frame: Tensor, cut: CutOut, params: SegmentParameters, *, is_video: bool) -> Tensor:
    """(3, H, W) uint8 and the region in it to what is shown of it, (3 or 4, H, W) uint8."""
    from mayfly.effects.library.segment import cut_outs
    from mayfly.effects.shared import blur

    cut = cut_outs.feathered(cut, params.feather)
    if params.output == "mask":
        return cut.alpha.expand(3, -1, -1).contiguous()
    if params.output == "cutout" and not is_video:
        return torch.cat([cut_outs.bare(frame, cut), cut.alpha])
    if params.output == "blur":
        return cut_outs.before_blur(frame, cut, params.blur * _WIDEST_BLUR * blur.area_root(frame))
    if params.background_image is None or params.output == "cutout":
        ground = cut_outs.plain(params.colour, frame)
    else:
        ground = cut_outs.covering(params.background_image, frame)
    return cut_outs.before(frame, cut, ground, wrap=params.wrap if params.output == "replace" else 0.0)
