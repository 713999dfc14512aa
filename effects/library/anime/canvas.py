"""What every style draws on: the picture on a small grid, its flow, and the way back to its full size."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from mayfly.effects.library.anime import flow, lines
from mayfly.effects.shared import blur, colour, edge_preserving

if TYPE_CHECKING:
    from mayfly.effects.library.anime.features import Features
    from mayfly.effects.library.anime.parameters import AnimeParameters

# Drawn on a grid of about this many pixels squared: more costs time, and a drawing has no finer detail.
_WORK_SIDE = 640
# Radii are given for a picture of this many pixels squared and grow with the picture.
_UNIT_SIDE = 540
# Below this flatness the source shines through.
_FULLY_FLAT = 0.2


@dataclasses.dataclass(frozen=True)
class Canvas:
    """A picture, ready to be drawn.

    Attributes:
        frames: (N, 3, H, W) sRGB in 0…1, the source.
        work: (N, 3, h, w), the source on the grid that it is drawn on.
        lab: (N, 3, h, w), the same in OKLab.
        luma: (N, 1, h, w), for lines.
        direction: (N, 2, h, w) unit vectors along the picture's flow.
        stroke: (N, 2, h, w), the same, shorter where the flow is unsure.
        unit: the pixels of the grid that a radius of 1 stands for.
        features: what is known of the faces in it.
    """

    frames: Tensor
    work: Tensor
    lab: Tensor
    luma: Tensor
    direction: Tensor
    stroke: Tensor
    unit: float
    features: Features | None = None

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the source."""
        return self.frames.shape[-2], self.frames.shape[-1]

    @property
    def full_unit(self) -> float:
        """The pixels of the source that a radius of 1 stands for."""
        return blur.area_root(self.frames) / _UNIT_SIDE


def prepare(frames: Tensor) -> Canvas:
    """Reduce (N, 3, H, W) sRGB in 0…1 to the grid and find its flow."""
    # Decoders hand out frames whose channels lie together; planes are several times faster here.
    frames = frames.contiguous()
    scale = min(1.0, _WORK_SIDE / blur.area_root(frames))
    work = blur.reduce(frames, (max(1, round(frames.shape[-2] * scale)), max(1, round(frames.shape[-1] * scale))))
    unit = blur.area_root(work) / _UNIT_SIDE
    lab = colour.srgb_to_oklab(work)
    tensor = flow.structure_tensor(blur.gaussian(lab, 0.7), 2.5 * unit)
    direction = flow.tangents(tensor)
    # Strokes end where the flow is unsure: at corners, in letters and in eyes.
    stroke = direction * blur.smoothstep(0, 0.6, flow.anisotropy(tensor))
    return Canvas(frames, work, lab, colour.luma(work), direction, stroke, unit)


def flattened(canvas: Canvas, flatness: float, *, passes: int = 2) -> Tensor:
    """Flat regions and strokes along the flow; fine, strong structure that stands alone is kept.

    Args:
        canvas: the picture.
        flatness: 0…1.
        passes: 1 is quicker, for what is smoothed further.

    Returns:
        (N, 3, h, w) OKLab.
    """
    lab, stroke, unit = canvas.lab, canvas.stroke, canvas.unit
    if not flatness:
        return lab
    kept = flow.along(lab, stroke, *blur.sampled_gaussian(1.6 * unit, taps=2))
    flat = kept
    for radius in (1.5, 1.1)[:passes]:
        flat = edge_preserving.kuwahara(flat, radius * unit * (0.4 + flatness), noise=0.015)
    flat = flow.along(flat, stroke, *blur.sampled_gaussian(2.4 * unit, taps=2))
    lightness = kept[:, :1]
    mean = blur.gaussian(lightness, 1.2 * unit)
    deviation = (blur.gaussian(lightness * lightness, 1.2 * unit) - mean * mean).clamp_min_(0).sqrt_()
    crowd = blur.wide(deviation, 10 * unit) / (deviation + 1e-3)
    keep = blur.smoothstep(0.015, 0.07, deviation) * (1 - 0.5 * blur.smoothstep(0.5, 1.0, crowd))
    flat = torch.lerp(flat, kept, keep)
    return torch.lerp(lab, flat, min(1.0, flatness / _FULLY_FLAT))


def carried(canvas: Canvas, painted: Tensor, flatness: float) -> Tensor:
    """A painting on the grid, (N, 3, h, w) in 0…1, carried to the full size along the source's edges."""
    frames, size = canvas.frames, canvas.size
    if canvas.work is frames:
        return painted
    slope, offset = edge_preserving.guided_coefficients(colour.luma(canvas.work), painted, 1, noise=0.02)
    guided = blur.enlarge(slope, size).mul_(colour.luma(frames)).add_(blur.enlarge(offset, size)).clamp_(0, 1)
    if flatness < _FULLY_FLAT:
        source = (frames + blur.enlarge(painted - canvas.work, size)).clamp_(0, 1)
        guided = torch.lerp(source, guided, flatness / _FULLY_FLAT)
    return guided


def pen(
    canvas: Canvas, lightness: Tensor, params: AnimeParameters, *, crowding: float = 0.45, bold: float = 1.0
) -> Tensor:
    """(N, 1, H, W) in 0…1: how much ink a pen leaves at each pixel of the full size.

    Args:
        canvas: the picture.
        lightness: (N, 1, h, w) flattened OKLab lightness.
        params: width, detail and strength of the lines.
        crowding: how much lines that crowd inhibit each other.
        bold: thickens the lines, and draws fainter ones.
    """
    unit = canvas.unit
    response = lines.flow_lines(
        0.4 * canvas.luma + 0.6 * lightness,
        0.5 * (canvas.direction + canvas.stroke),
        sigma=max(0.4, max(0.6, 0.7 * unit) * params.line_width * bold),
        length=2.4 * unit,
        surround=9 * unit,
        crowding=crowding,
    )
    faintest = (0.0176 - 0.0132 * params.line_detail) / bold**2
    full = blur.enlarge(response, canvas.size, smooth=True)
    ink = blur.smoothstep(0.5 * faintest, 2 * faintest, full)
    if canvas.features is not None:
        known = canvas.features
        # Where a face's own lines are drawn, chance draws none.
        ink = ink * (1 - blur.enlarge(0.85 * known.skin, canvas.size))
        ink = torch.maximum(ink, known.lines)
    return ink.mul_(params.lines)


def colour_of(value: tuple[float, float, float], like: Tensor) -> Tensor:
    """One sRGB colour as (1, 3, 1, 1), of the dtype and device of `like`."""
    return torch.tensor(value, dtype=like.dtype, device=like.device).view(1, 3, 1, 1)
