"""Recolours what a person wears, or makes it of another fabric or pattern; folds, skin, hair and background stay."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Literal, Self

from pydantic import Field, field_validator, model_validator

from mayfly.effects import registry
from mayfly.effects.contract import Declaration, Media, Parameters, Tag
from mayfly.effects.errors import InvalidParameters, NoPerson
from mayfly.effects.lazy import torch
from mayfly.effects.models import weights
from mayfly.effects.shared import hex_colours, inline_pictures
from mayfly.effects.shared.frame_by_frame import FrameByFrame
from mayfly.effects.vision import smoothing

if TYPE_CHECKING:
    from torch import Tensor

    from mayfly.effects.library.fashion.garment_masks import Garment
    from mayfly.effects.library.fashion.garments import Part
    from mayfly.effects.library.fashion.recolour import Fabric
    from mayfly.effects.vision.finder import Finder
    from mayfly.effects.vision.types import Pose

Pattern = Literal["none", "stripes", "hoops", "checks", "tartan", "dots", "denim", "knit", "herringbone", "flowers"]
# The mean colour is fitted on a picture of so many pixels squared.
_FIT_SIDE = 192
# How quickly the usual lightness of a cloth follows in a video; at a jump it is another cloth.
_FOLLOWS, _JUMPS = 0.15, 0.12
# What a model sees around the garments that it paints, as a share of their longer side.
_SURROUNDINGS = 0.25
# A pattern's repeat in body sizes.
_REPEAT = 0.22


class FashionParameters(Parameters):
    """Without a colour, a pattern, a fabric or a prompt the picture stays as it is, and nobody is looked for."""

    garment: Literal["upper", "lower", "full"] = Field(
        "upper", description="upper: what is worn on trunk and arms; lower: on hips and legs; full: both"
    )
    extent: Literal["main", "whole"] = Field(
        "main", description="main: the main cloth alone; whole: badges, belts and what else is worn with it, too"
    )
    colour: str | None = Field(
        None, pattern=hex_colours.PATTERN, description="#rrggbb; without it a garment keeps its own colour"
    )
    pattern: Pattern = Field("none", description="drawn on the colour; none of them for a plain cloth")
    second_colour: str | None = Field(
        None,
        pattern=hex_colours.PATTERN,
        description="#rrggbb of the pattern; without it white, or black on light colours",
    )
    pattern_image: str | None = Field(
        None,
        pattern=inline_pictures.TEXT_PATTERN,
        max_length=inline_pictures.LONGEST_TEXT,
        description="a PNG or JPEG in base64, at most 1024 pixels a side, repeated over the garment instead of pattern",
    )
    pattern_size: float = Field(1.0, ge=0.25, le=4, description="size of the pattern; 1 suits the body")
    fabric: Literal["own", "cotton", "silk", "leather"] = Field("own", description="how the garment takes light")
    prompt: str | None = Field(
        None,
        pattern=r"^[^\x00-\x1f\x7f]{1,300}$",
        description="in words what is worn instead, for pictures only and with an installed model; colour, pattern and "
        "fabric have no part in it",
    )
    model: str | None = Field(
        None, pattern=weights.NAME, description="an installed inpainting pipeline, which paints what the prompt says"
    )
    steps: int = Field(30, ge=1, le=100, description="of the model: more are slower and finer")
    guidance: float = Field(7.5, ge=1, le=20, description="of the model: how closely the prompt is followed")
    seed: int = Field(0, ge=0, le=2**31 - 1, description="of the model: the same seed paints the same")
    strength: float = Field(1.0, ge=0, le=1, description="how much of the new look is applied; 0 keeps the picture")
    missing: Literal["error", "ignore"] = Field(
        "error", description="what to do where nobody wears the garment in view: refuse, or leave the picture as it is"
    )

    @model_validator(mode="after")
    def _prompts_have_a_model(self) -> Self:
        if (self.prompt is None) != (self.model is None):
            raise ValueError("prompt and model go together: give both, or neither")
        return self

    def check_media(self, media: Media) -> None:
        if self.prompt is not None and media is Media.VIDEO:
            raise InvalidParameters("prompt: what a model paints would flicker in a video; give a picture, or a colour")

    @field_validator("pattern_image")
    @classmethod
    def _is_a_picture(cls, text: str | None) -> str | None:
        return inline_pictures.check(text)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class _Worn:
    """One garment as it is remembered: what was found, and the smoothed mask and usual lightness."""

    garment: Garment
    mask: smoothing.MaskTrack
    usual: float


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class _State:
    """What is remembered of the frames before."""

    pose: smoothing.PoseTrack | None = None
    faces: smoothing.FaceTracks | None = None
    worn: tuple[_Worn, ...] = ()


@registry.register
class Fashion(FrameByFrame[FashionParameters, _State]):
    """Neutral by default, as no colour is anybody's default."""

    declaration = Declaration(
        name="fashion",
        summary="Recolours a person's clothes or gives them another fabric or pattern, with their folds and light.",
        parameters=FashionParameters,
        neutral={},
        tag=Tag.GPU,
        batch=1,
        temporal_context=smoothing.context(),
    )

    _finder: Finder

    def setup(self, device: torch.device) -> None:
        from mayfly.effects.vision import finder

        self._finder = finder.Finder()

    def is_neutral(self, params: FashionParameters) -> bool:
        plain = params.colour is None and params.pattern == "none" and params.pattern_image is None
        return params.strength == 0 or (plain and params.fabric == "own" and params.prompt is None)

    def begin(self, params: FashionParameters) -> _State:
        return _State()

    def next_frame(
        self, frame: Tensor, params: FashionParameters, state: _State, *, is_video: bool
    ) -> tuple[Tensor, _State]:
        """One frame, (1, 3, H, W), dressed; an error where it is a picture and nobody is there to dress."""
        from mayfly.effects.library.fashion import garment_masks

        picture = frame[0]
        poses, pose = smoothing.track_pose(state.pose, picture, self._finder.pose(picture))
        tracks, faces = smoothing.track_faces(state.faces, picture, self._finder.faces(picture))
        found: list[Garment] = []
        if pose is not None:
            parts: tuple[Part, ...] = ("upper", "lower") if params.garment == "full" else (params.garment,)
            found = garment_masks.find(
                picture,
                self._finder.person(picture),
                pose,
                garment_masks.wearer(pose, faces),
                parts=parts,
                whole=params.extent == "whole",
                near={worn.garment.part: worn.garment.cloth for worn in state.worn},
            )
        if pose is None or not found:
            if not is_video and params.missing == "error":
                raise NoPerson(
                    "nobody was found who wears this; choose a picture that shows the garment and its wearer's body"
                )
            return frame, _State(pose=poses, faces=tracks)
        worn = tuple(_followed(state.worn, frame, garment) for garment in found)
        if params.prompt is not None:
            return _painted(frame, worn, params), _State()
        return _dressed(frame, worn, pose, params), _State(pose=poses, faces=tracks, worn=worn)


def _followed(before: tuple[_Worn, ...], frame: Tensor, garment: Garment) -> _Worn:
    """A garment with its mask and its lightness smoothed over time."""
    from mayfly.effects.library.fashion import recolour
    from mayfly.effects.shared import colour

    old = next((worn for worn in before if worn.garment.part == garment.part), None)
    mask, alpha = smoothing.track_mask(None if old is None else old.mask, frame[0], garment.alpha)
    lab, weight = colour.srgb_to_oklab(_small(frame)), _small(alpha[None])
    usual = recolour.usual_lightness(lab[0], weight[0])
    if old is not None and abs(usual - old.usual) < _JUMPS:
        usual = old.usual + (usual - old.usual) * _FOLLOWS
    return _Worn(garment=garment, mask=mask, usual=usual)


def _small(image: Tensor) -> Tensor:
    from mayfly.effects.shared import blur

    factor = min(1.0, _FIT_SIDE / blur.area_root(image))
    return blur.reduce(image, (max(1, round(image.shape[-2] * factor)), max(1, round(image.shape[-1] * factor))))


def _dressed(frame: Tensor, worn: tuple[_Worn, ...], pose: Pose, params: FashionParameters) -> Tensor:
    """The frame with its garments in their new look."""
    from mayfly.effects.library.fashion import recolour
    from mayfly.effects.shared import colour

    lab = colour.srgb_to_oklab(frame)
    result = frame
    for item in worn:
        alpha = item.mask.signal.value[None].clamp(0, 1)
        new = _look(lab, alpha, item.usual, pose, params)
        result = torch.lerp(result, recolour.shown(new), alpha * params.strength)
    return result


def _painted(frame: Tensor, worn: tuple[_Worn, ...], params: FashionParameters) -> Tensor:
    """The frame with what the prompt says where its garments are."""
    from mayfly.effects.models import try_on

    assert params.prompt is not None and params.model is not None
    model = try_on.get(params.model, frame.device)
    alpha = torch.stack([item.mask.signal.value for item in worn]).amax(0)[None].clamp(0, 1)
    rows, columns = (torch.nonzero(alpha[0, 0].amax(axis) > 0.02)[:, 0].tolist() for axis in (1, 0))
    more = round(_SURROUNDINGS * max(rows[-1] - rows[0], columns[-1] - columns[0])) + 8
    height, width = frame.shape[-2:]
    place = (
        ...,
        slice(max(0, rows[0] - more), min(height, rows[-1] + 1 + more)),
        slice(max(0, columns[0] - more), min(width, columns[-1] + 1 + more)),
    )
    part, share = frame[place], alpha[place]
    made = model(part, share, params.prompt, steps=params.steps, guidance=params.guidance, seed=params.seed)
    result = frame.clone()
    result[place] = torch.lerp(part, made, share * params.strength)
    return result


def _look(lab: Tensor, alpha: Tensor, usual: float, pose: Pose, params: FashionParameters) -> Tensor:
    """The new cloth everywhere, in the light of the old one: (1, 3, H, W) OKLab."""
    from mayfly.effects.library.fashion import recolour

    fabric = _fabric(params.fabric)
    small, weight = _small(lab), _small(alpha)
    total = weight.sum().clamp_min(1e-6)
    own = (small * weight).sum((2, 3), keepdim=True) / total
    plain = params.pattern == "none" and params.pattern_image is None
    if plain and params.colour is None:
        # Another fabric of the same colours.
        light = recolour.shaded(lab, own, usual, fabric)[:, :1]
        return torch.cat([light, lab[:, 1:] * (light / lab[:, :1].clamp_min(0.05)).clamp(0.5, 1.5)], 1)
    ground = own if params.colour is None else _oklab(params.colour, lab)
    if plain:
        albedo, cloth = recolour.fitted(small, weight, ground, usual, fabric)
        return recolour.shaded(lab, albedo, usual, cloth)
    return recolour.shaded(lab, _patterned(lab, ground, pose, params), usual, fabric)


def _patterned(lab: Tensor, ground: Tensor, pose: Pose, params: FashionParameters) -> Tensor:
    """The evenly lit cloth, laid out from the neck along the shoulders, bent by folds: (1, 3, H, W) OKLab."""
    from mayfly.effects.library.fashion import garments, recolour, weaves
    from mayfly.effects.shared import colour
    from mayfly.effects.vision import pose_points as joint

    size = garments.span(pose)
    repeat = max(2.0, _REPEAT * params.pattern_size * size)
    shoulders = pose.points[[joint.LEFT_SHOULDER, joint.RIGHT_SHOULDER]]
    across = shoulders[0] - shoulders[1]
    length = max(float((across**2).sum() ** 0.5), 1.0)
    # Seen from the side or from behind, the shoulders say nothing about which way is up.
    cosine, sine = (float(across[0]) / length, float(across[1]) / length) if across[0] > 0.5 * size else (1.0, 0.0)
    height, width = lab.shape[-2:]
    rows = torch.arange(height, device=lab.device, dtype=lab.dtype).view(1, 1, -1, 1) + 0.5
    columns = torch.arange(width, device=lab.device, dtype=lab.dtype).view(1, 1, 1, -1) + 0.5
    bend = recolour.relief(lab, 0.03 * size) * (0.02 * size)
    x = columns - float(shoulders[:, 0].mean()) + bend[:, :1]
    y = rows - float(shoulders[:, 1].mean()) + bend[:, 1:]
    x, y = (x * cosine + y * sine) / repeat, (y * cosine - x * sine) / repeat
    if params.pattern_image is not None:
        return colour.srgb_to_oklab(weaves.tiled(_picture(params.pattern_image, lab), x, y, 1 / repeat).clamp(0, 1))
    share, lift = weaves.draw(params.pattern, x, y, 1 / repeat)
    if params.second_colour is not None:
        second = _oklab(params.second_colour, lab)
    else:
        second = _oklab("#f4f1ea" if float(ground[0, 0]) < 0.72 else "#24262b", lab)
    mixed = torch.lerp(ground.expand(-1, -1, height, width), second.expand(-1, -1, height, width), share)
    return torch.cat([(mixed[:, :1] + lift).clamp(0, 1), mixed[:, 1:]], 1)


def _fabric(name: str) -> Fabric:
    from mayfly.effects.library.fashion import recolour

    return {
        "own": recolour.Fabric(),
        "cotton": recolour.Fabric(folds=0.8),
        "silk": recolour.Fabric(folds=1.15, shine=0.45, tightness=1.5),
        "leather": recolour.Fabric(folds=1.25, shine=0.75, tightness=3.0),
    }[name]


def _oklab(text: str, like: Tensor) -> Tensor:
    """A colour as (1, 3, 1, 1) OKLab."""
    from mayfly.effects.shared import colour

    levels = torch.tensor(hex_colours.levels(text), dtype=like.dtype, device=like.device)
    return colour.srgb_to_oklab(levels.view(1, 3, 1, 1))


def _picture(text: str, like: Tensor) -> Tensor:
    """Base64 to (1, 3, h, w) in 0…1."""
    import numpy as np

    pixels = torch.from_numpy(np.array(inline_pictures.read(text)))
    return pixels.permute(2, 0, 1)[None].to(like.device, like.dtype) / 255
