"""Turns pictures into drawn animation: ink lines, flat colour, cel-shaded light and a clean palette."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from effects import registry
from effects.contract import Declaration, Effect, Parameters, Tag
from effects.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

# Drawn on a grid of about this many pixels squared: more costs time, and a drawing has no finer detail.
_WORK_SIDE = 640
# Radii are given for a picture of this many pixels squared and grow with the picture.
_UNIT_SIDE = 540
# Below this flatness the source shines through.
_FULLY_FLAT = 0.2


class AnimeParameters(Parameters):
    """What a designer can turn; with everything at 0 the picture stays as it is."""

    lines: float = Field(0.85, ge=0, le=1, description="strength of the ink lines; 0 draws none")
    line_width: float = Field(1.0, ge=0.5, le=3, description="thickness of the lines, relative to a fine pen")
    line_detail: float = Field(0.5, ge=0, le=1, description="how faint a feature still gets a line")
    flatness: float = Field(0.6, ge=0, le=1, description="how much texture turns into flat colour; 0 keeps it all")
    shading: float = Field(0.7, ge=0, le=1, description="how crisply light is cut into tones; 0 keeps it smooth")
    shades: int = Field(3, ge=2, le=6, description="how many tones light and shadow of one surface are cut into")
    colour: float = Field(0.5, ge=0, le=1, description="how much clearer and richer colours become; 0 keeps them")


@registry.register
class Anime(Effect[AnimeParameters]):
    """Flatten, shade, colour, ink: each step on OKLab or luma, all radii relative to the picture's size."""

    declaration = Declaration(
        name="anime",
        summary="Redraws the picture as hand-painted animation: ink lines, flat colour and cel-shaded light.",
        parameters=AnimeParameters,
        tag=Tag.GPU,
        batch=4,
    )

    def apply(self, frames: Tensor, params: AnimeParameters) -> Tensor:
        if not (params.lines or params.flatness or params.shading or params.colour):
            return frames.clone()
        if frames.device.type != "cpu":
            return _draw(frames, params)
        # One frame at a time stays in the CPU's caches and needs the least memory.
        result = torch.empty_like(frames)
        for index, frame in enumerate(frames.split(1)):
            result[index] = _draw(frame, params)[0]
        return result


def _draw(frames: Tensor, params: AnimeParameters) -> Tensor:
    from effects.ops import blur, colour, edge_preserving, flow, lines

    # Decoders hand out frames whose channels lie together; planes are several times faster here.
    frames = frames.contiguous()
    size = (frames.shape[-2], frames.shape[-1])
    scale = min(1.0, _WORK_SIDE / blur.area_root(frames))
    work = blur.reduce(frames, (max(1, round(size[0] * scale)), max(1, round(size[1] * scale))))
    unit = blur.area_root(work) / _UNIT_SIDE

    lab = colour.srgb_to_oklab(work)
    tensor = flow.structure_tensor(blur.gaussian(lab, 0.7), 2.5 * unit)
    direction = flow.tangents(tensor)
    # Strokes end where the flow is unsure: at corners, in letters and in eyes.
    stroke = direction * blur.smoothstep(0, 0.6, flow.anisotropy(tensor))
    flat = _flatten(lab, stroke, unit, params.flatness)
    lightness, shade = _light(flat[:, :1], unit, params)
    painted = _paint(lightness, flat[:, 1:], shade, params.colour)
    luma = colour.luma(work)
    if work is not frames:
        slope, offset = edge_preserving.guided_coefficients(luma, painted, 1, noise=0.02)
        guided = blur.enlarge(slope, size).mul_(colour.luma(frames)).add_(blur.enlarge(offset, size)).clamp_(0, 1)
        if params.flatness < _FULLY_FLAT:
            source = (frames + blur.enlarge(painted - work, size)).clamp_(0, 1)
            guided = torch.lerp(source, guided, params.flatness / _FULLY_FLAT)
        painted = guided
    if not params.lines:
        return painted

    response = lines.flow_lines(
        0.4 * luma + 0.6 * flat[:, :1],
        0.5 * (direction + stroke),
        sigma=max(0.4, max(0.6, 0.7 * unit) * params.line_width),
        length=2.4 * unit,
        surround=9 * unit,
        crowding=0.45,
    )
    faintest = 0.0176 - 0.0132 * params.line_detail
    ink = blur.smoothstep(0.5 * faintest, 2 * faintest, blur.enlarge(response, size, smooth=True)).mul_(params.lines)
    # A line is a deep shade of the colour it crosses, never plain black.
    return painted.mul_(1 - ink + ink * 0.35 * painted)


def _light(lightness: Tensor, unit: float, params: AnimeParameters) -> tuple[Tensor, Tensor]:
    """Cut the light on each surface into tones: the new lightness, and the shade in it (negative is shadow)."""
    from effects.ops import blur, edge_preserving, flow, tone

    # A surface's own tone, the shading around it, and what is too fine to be either.
    smooth = edge_preserving.guided(lightness, 4 * unit, noise=0.05)
    surface = edge_preserving.guided(smooth, 65 * unit, noise=0.16)
    fine = lightness - smooth
    fine = fine * (1 - params.flatness * (1 - blur.smoothstep(0, 0.05, fine.abs())))
    xx, _, yy = flow.structure_tensor(smooth, unit).split(1, 1)
    near = blur.gaussian(xx + yy, 2 * unit).sqrt() * unit
    # Gentle gradients, as of a sky or a wall, stay gradients.
    slope = (xx + yy).sqrt() * unit
    steepness = blur.smoothstep(0.0015, 0.0045, slope) * (1 - blur.smoothstep(0.03, 0.08, near))
    shade = tone.soft_steps(smooth - surface, 0.225 / params.shades, 1 + 9 * params.shading * steepness)
    return surface + fine + shade * (1 + 0.15 * params.shading), shade


def _flatten(lab: Tensor, stroke: Tensor, unit: float, flatness: float) -> Tensor:
    """Flat regions and brush strokes along the flow; fine, strong structure that stands alone is kept."""
    from effects.ops import blur, edge_preserving, flow

    if not flatness:
        return lab
    kept = flow.along(lab, stroke, *blur.sampled_gaussian(1.6 * unit, taps=2))
    flat = kept
    for radius in (1.5, 1.1):
        flat = edge_preserving.kuwahara(flat, radius * unit * (0.4 + flatness), noise=0.015)
    flat = flow.along(flat, stroke, *blur.sampled_gaussian(2.4 * unit, taps=2))
    lightness = kept[:, :1]
    mean = blur.gaussian(lightness, 1.2 * unit)
    deviation = (blur.gaussian(lightness * lightness, 1.2 * unit) - mean * mean).clamp_min_(0).sqrt_()
    crowd = blur.wide(deviation, 10 * unit) / (deviation + 1e-3)
    keep = blur.smoothstep(0.015, 0.07, deviation) * (1 - 0.5 * blur.smoothstep(0.5, 1.0, crowd))
    flat = torch.lerp(flat, kept, keep)
    return torch.lerp(lab, flat, min(1.0, flatness / _FULLY_FLAT))


def _paint(lightness: Tensor, chroma: Tensor, shade: Tensor, amount: float) -> Tensor:
    """OKLab planes to sRGB with richer colour, clear lights and shadows that lean to violet."""
    from effects.ops import blur, colour

    if amount:
        strength = (chroma * chroma).sum(1, keepdim=True).sqrt()
        # Neither greys, which would turn blotchy, nor colours near the gamut's border.
        gain = blur.smoothstep(0.01, 0.06, strength) * (1 - blur.smoothstep(0.1, 0.25, strength))
        lean = (-shade).clamp(0, 0.15) * lightness * (0.25 * amount)
        chroma = chroma * (1 + 0.4 * amount * gain) + torch.cat([lean, -lean], 1)
        lightness = lightness + 0.24 * amount * lightness * (1 - lightness)
    return colour.oklab_to_srgb(torch.cat([lightness, chroma], 1)).clamp_(0, 1)
