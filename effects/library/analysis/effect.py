"""Says what is in a picture and what would suit it: faces' places, sharpness, light, noise, colours, framing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import pydantic
from pydantic import Field

from mayfly.effects import registry
from mayfly.effects.contract import Declaration, Effect, Locality, Media, Parameters
from mayfly.effects.lazy import torch
from mayfly.effects.vision import finder

if TYPE_CHECKING:
    from torch import Tensor

    from mayfly.effects.vision.types import Face

# By which words are chosen; the figures beside them are the measure itself.
_SHARP, _SOFT = 0.5, 0.32
_NOISY, _GRAINY = 8.0, 3.0
_DARK, _BRIGHT, _BURNT = 0.27, 0.72, 0.15
_TINTED = 0.45  # stops
_LEVEL = 0.7  # degrees
# The least face, as a share of the longer side: smaller ones cost twice the search.
_SMALLEST = 0.05
# A face's share of the picture's width, or of its height.
_SMALL_FACE, _PORTRAIT, _LITTLE_ROOM, _MUCH_ROOM = 0.06, 0.16, 0.03, 0.45

Box = tuple[float, float, float, float]


class AnalysisParameters(Parameters):
    """Nothing to choose but how many faces are looked for."""

    faces: int = Field(8, ge=0, le=8, description="faces that are looked for at most")


class _Model(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(frozen=True)


class FaceFound(_Model):
    """A face's place; nothing of whose it is."""

    box: Box = Field(description="left, top, width and height, as shares of the picture")
    sharpness: float | None = Field(description="as the picture's, of the face alone")


class Sharpness(_Model):
    """How crisp the picture is when it is looked at as a whole."""

    value: float | None = Field(description="0 blurred to 1 crisp; none where there is nothing to judge")
    word: Literal["sharp", "soft", "blurred", "unknown"]


class Exposure(_Model):
    """How the light is spread."""

    mean: float = Field(description="mean lightness, 0…1")
    contrast: float = Field(description="lightness from the 5th to the 95th percentile")
    black: float = Field(description="share of black pixels")
    burnt: float = Field(description="share of burnt-out pixels")
    word: Literal["under", "good", "over"]


class Noise(_Model):
    """How much each pixel is off by chance."""

    levels: float | None = Field(description="standard deviation in levels of 255; none where it cannot be seen")
    word: Literal["clean", "grainy", "noisy", "unknown"]


class WhiteBalance(_Model):
    """The colour of the light."""

    warmth: float = Field(description="red over blue in stops; 0 is neutral")
    tint: float = Field(description="green over red and blue in stops; below 0 is magenta")
    word: Literal["cool", "neutral", "warm", "green", "magenta"]


class Colour(_Model):
    """One of the colours that make up the picture."""

    hex: str
    share: float


class Advice(_Model):
    """One thing that would make the framing better."""

    code: Literal["straighten", "face_cut", "more_headroom", "less_headroom", "come_closer", "off_centre"]
    text: str


class Framing(_Model):
    """How the picture is cut."""

    tilt: float | None = Field(description="degrees clockwise, by level and upright lines; none where there are none")
    advice: list[Advice]
    crop: Box | None = Field(description="left, top, width and height of a closer cut with a face, as shares")


class Suit(_Model):
    """An effect that suits the picture."""

    effect: str
    parameters: dict[str, Any]
    why: Literal["dark", "noisy", "blurred", "small", "portrait", "person", "any"]


class Analysis(_Model):
    """All that is said of a picture."""

    version: Literal[1] = 1
    width: int
    height: int
    faces: list[FaceFound]
    sharpness: Sharpness
    exposure: Exposure
    noise: Noise
    white_balance: WhiteBalance
    colours: list[Colour]
    framing: Framing
    suits: list[Suit]


@registry.register
class Analyse(Effect[AnalysisParameters]):
    """Measure what can be measured, find faces, and draw plain conclusions."""

    declaration = Declaration(
        name="analysis",
        summary="Reports faces' places, sharpness, light, noise, colours, framing and what suits the picture.",
        parameters=AnalysisParameters,
        media=frozenset({Media.IMAGE}),
        locality=Locality.DEVICE,
        report=True,
        dtype="uint8",
    )

    def setup(self, device: torch.device) -> None:
        self._finder = finder.Finder()

    def report(self, frame: Tensor, params: AnalysisParameters) -> Analysis:
        from mayfly.effects.library.analysis import measures

        picture = frame.permute(1, 2, 0).contiguous().cpu().numpy()
        height, width = picture.shape[:2]
        faces = self._finder.faces(frame, params.faces, smallest=_SMALLEST)
        # Light and colours need no more than the smaller one.
        viewed = measures.reduced(picture, measures.VIEWED)
        small = measures.reduced(viewed, measures.LIGHT_SIDE)
        sharp, noise = measures.sharpness(viewed), measures.noise(picture)
        mean, contrast, black, burnt = measures.exposure(small)
        warmth, tint = measures.cast(small)
        found = [
            FaceFound(
                box=_shares(face, width, height),
                sharpness=_rounded(measures.sharpness(_cut(picture, face))),
            )
            for face in faces
        ]
        light = Exposure(
            mean=_rounded(mean),
            contrast=_rounded(contrast),
            black=_rounded(black),
            burnt=_rounded(burnt),
            word="under" if mean < _DARK else "over" if mean > _BRIGHT or burnt > _BURNT else "good",
        )
        # A portrait whose background is blurred is sharp where its face is.
        best = max([one for one in (sharp, *(face.sharpness for face in found)) if one is not None], default=None)
        crispness = Sharpness(value=_rounded(sharp), word=_word(best, _SOFT, _SHARP, ("blurred", "soft", "sharp")))
        grain = Noise(levels=_rounded(noise), word=_word(noise, _GRAINY, _NOISY, ("clean", "grainy", "noisy")))
        return Analysis(
            width=width,
            height=height,
            faces=found,
            sharpness=crispness,
            exposure=light,
            noise=grain,
            white_balance=WhiteBalance(warmth=_rounded(warmth), tint=_rounded(tint), word=_cast(warmth, tint)),
            colours=[
                Colour(hex=f"#{red:02x}{green:02x}{blue:02x}", share=_rounded(share))
                for (red, green, blue), share in measures.colours(small)
            ],
            framing=_framing(measures.tilt(viewed), found),
            suits=_suits(light, crispness, grain, found, max(width, height)),
        )


def _framing(tilt: float | None, faces: list[FaceFound]) -> Framing:
    advice = []
    if tilt is not None and abs(tilt) >= _LEVEL:
        side = "left" if tilt > 0 else "right"
        advice.append(Advice(code="straighten", text=f"turn the picture by {abs(tilt):.1f}° to the {side}"))
    if not faces:
        return Framing(tilt=_rounded(tilt), advice=advice, crop=None)
    left, top, width, height = faces[0].box
    if left < 0.005 or top < 0.005 or left + width > 0.995 or top + height > 0.995:
        advice.append(Advice(code="face_cut", text="the edge cuts the largest face: leave room around it"))
    elif top < _LITTLE_ROOM:
        advice.append(Advice(code="more_headroom", text="leave more room above the head"))
    elif top > _MUCH_ROOM and len(faces) == 1:
        advice.append(Advice(code="less_headroom", text="there is much room above the head: cut some off"))
    if not 0.15 < left + width / 2 < 0.85:
        advice.append(Advice(code="off_centre", text="the largest face is at the very side: move it towards a third"))
    crop = None
    if width < _SMALL_FACE:
        advice.append(Advice(code="come_closer", text="faces are small: come closer, or cut the picture"))
        crop = _crop(faces[0].box)
    return Framing(tilt=_rounded(tilt), advice=advice, crop=crop)


def _crop(face: Box) -> Box:
    """A cut of the picture's own shape in which the face is a fifth of the height, its middle a third from the top."""
    left, top, width, height = face
    side = min(1.0, max(height * 5, width * 5))
    x = min(max(left + width / 2 - side / 2, 0), 1 - side)
    y = min(max(top + height / 2 - side / 3, 0), 1 - side)
    return _rounded(x), _rounded(y), _rounded(side), _rounded(side)


def _suits(light: Exposure, sharp: Sharpness, noise: Noise, faces: list[FaceFound], longest: int) -> list[Suit]:
    """What would make the picture better first, what would make it another last; effects that there are."""
    enhance: dict[str, Any] = {}
    why: Literal["dark", "noisy", "blurred", "small"] | None = None
    if light.word == "under":
        enhance["low_light"], why = 0.8, "dark"
    if sharp.word in ("blurred", "soft"):
        enhance["deblur"], why = (0.8 if sharp.word == "blurred" else 0.4), why or "blurred"
    if noise.word in ("grainy", "noisy"):
        enhance["strength"], why = 1.0, why or "noisy"
    if longest < 1000:
        enhance["scale"], why = 2, why or "small"
    elif why:
        enhance["scale"] = 1
    found: list[Suit] = []
    if why:
        found.append(Suit(effect="enhance", parameters=enhance, why=why))
    if faces and max(face.box[2] for face in faces) >= _PORTRAIT:
        found += [Suit(effect=name, parameters={}, why="portrait") for name in ("retouch", "expression")]
    if faces:
        found.append(Suit(effect="segment", parameters={"output": "blur"}, why="person"))
        found += [Suit(effect=name, parameters={}, why="person") for name in ("fashion", "body")]
    found.append(Suit(effect="anime", parameters={}, why="any"))
    known = registry.load()
    return [one for one in found if one.effect in known]


def _cut(picture: Any, face: Face) -> Any:
    left, top, right, bottom = (round(max(side, 0)) for side in face.box)
    return picture[top : max(bottom, top + 1), left : max(right, left + 1)]


def _shares(face: Face, width: int, height: int) -> Box:
    left, right = (min(max(x / width, 0.0), 1.0) for x in (face.box[0], face.box[2]))
    top, bottom = (min(max(y / height, 0.0), 1.0) for y in (face.box[1], face.box[3]))
    return _rounded(left), _rounded(top), _rounded(right - left), _rounded(bottom - top)


def _word(value: float | None, low: float, high: float, words: tuple[Any, Any, Any]) -> Any:
    if value is None:
        return "unknown"
    return words[0] if value < low else words[1] if value < high else words[2]


def _cast(warmth: float, tint: float) -> Literal["cool", "neutral", "warm", "green", "magenta"]:
    if max(abs(warmth), abs(tint)) < _TINTED:
        return "neutral"
    if abs(warmth) >= abs(tint):
        return "warm" if warmth > 0 else "cool"
    return "green" if tint > 0 else "magenta"


def _rounded(value: Any) -> Any:
    return None if value is None else round(float(value), 3)
