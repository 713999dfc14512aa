"""The style `cel`: ink lines, flat colour and light in few tones, as on the cels of hand-drawn animation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from mayfly.effects.library.anime import canvas, flow, tone
from mayfly.effects.shared import blur, colour, edge_preserving

if TYPE_CHECKING:
    from mayfly.effects.library.anime.canvas import Canvas
    from mayfly.effects.library.anime.parameters import AnimeParameters


def draw(given: Canvas, params: AnimeParameters) -> Tensor:
    """(N, 3, H, W) sRGB in 0…1."""
    flat = canvas.flattened(given, params.flatness)
    lightness, shade = light(flat[:, :1], given.unit, params)
    painted = canvas.carried(given, _paint(lightness, flat[:, 1:], shade, params.colour), params.flatness)
    if not params.lines:
        return painted
    ink = canvas.pen(given, flat[:, :1], params)
    # A line is a deep shade of the colour it crosses, never plain black.
    return painted.mul_(1 - ink + ink * 0.35 * painted)


def light(lightness: Tensor, unit: float, params: AnimeParameters) -> tuple[Tensor, Tensor]:
    """Cut the light on each surface into tones: the new lightness, and the shade in it (negative is shadow)."""
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


def _paint(lightness: Tensor, chroma: Tensor, shade: Tensor, amount: float) -> Tensor:
    """OKLab planes to sRGB with richer colour, clear lights and shadows that lean to violet."""
    if amount:
        strength = (chroma * chroma).sum(1, keepdim=True).sqrt()
        # Neither greys, which would turn blotchy, nor colours near the gamut's border.
        gain = blur.smoothstep(0.01, 0.06, strength) * (1 - blur.smoothstep(0.1, 0.25, strength))
        lean = (-shade).clamp(0, 0.15) * lightness * (0.25 * amount)
        chroma = chroma * (1 + 0.4 * amount * gain) + torch.cat([lean, -lean], 1)
        lightness = lightness + 0.24 * amount * lightness * (1 - lightness)
    return colour.oklab_to_srgb(torch.cat([lightness, chroma], 1)).clamp_(0, 1)
