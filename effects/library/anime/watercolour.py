"""The style `watercolour`: transparent washes that bleed and gather at their edges, on grained paper."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

from mayfly.effects.library.anime import canvas, paper, tone
from mayfly.effects.shared import blur, colour, edge_preserving

if TYPE_CHECKING:
    from mayfly.effects.library.anime.canvas import Canvas
    from mayfly.effects.library.anime.parameters import AnimeParameters

_PAPER = (0.99, 0.985, 0.965)
_PENCIL = (0.33, 0.29, 0.30)


def draw(given: Canvas, params: AnimeParameters) -> Tensor:
    """(N, 3, H, W) sRGB in 0…1.

    The density of pigment is modulated by its edges, by slow turbulence and by the paper, as in Bousseau et al.,
    "Interactive watercolor rendering with temporal coherence and abstraction" (2006).
    """
    unit, like = given.unit, given.frames
    flat = canvas.flattened(given, params.flatness, passes=1)
    wash = edge_preserving.kuwahara(flat, (1 + 2.2 * params.flatness) * unit, noise=0.02)
    if given.features is not None:
        # Eyes and lips are painted with the smallest brush.
        wash = torch.lerp(wash, flat, given.features.details)
    wash = _bled(wash, unit)
    density = 1 + _gathered(wash, unit) + 0.22 * paper.clouds(wash, 60 * unit, seed=31)
    painted = _dense(_pigment(wash, params), density).clamp_(0, 1)
    painted = canvas.carried(given, painted, 1.0)
    if params.lines:
        pencil = canvas.pen(given, flat[:, :1], params) * 0.5
        if given.features is not None:
            pencil = torch.maximum(pencil, 0.8 * params.lines * given.features.lines)
        painted = torch.lerp(painted, painted * canvas.colour_of(_PENCIL, like), pencil)
    calm = None if given.features is None else blur.enlarge(given.features.whole, given.size)
    painted = _wobbled(painted, given.full_unit, calm)
    grain = paper.clouds(like, max(1.0, 2.6 * given.full_unit), seed=41, octaves=2)
    return _dense(painted, 1 + 0.16 * grain).mul_(canvas.colour_of(_PAPER, like) * (1 + 0.012 * grain)).clamp_(0, 1)


def _dense(painted: Tensor, density: Tensor) -> Tensor:
    """So many times the pigment: what the paper sends back is squared at twice the density; this is its tangent."""
    return painted - painted * (1 - painted) * (density - 1)


def _bled(lab: Tensor, unit: float) -> Tensor:
    """Washes that run softly into each other where the paper is wet."""
    soft = blur.gaussian(lab, 3.5 * unit)
    lightness = lab[:, :1]
    # Strong edges were painted on dry paper.
    contrast = (lightness - soft[:, :1]).abs()
    wet = blur.smoothstep(-0.4, 1.4, paper.noise(lab, 70 * unit, seed=51)) * (1 - blur.smoothstep(0.02, 0.09, contrast))
    bled = torch.lerp(lab, soft, 0.75 * wet)
    # Colour runs further than form.
    return torch.cat([bled[:, :1], torch.lerp(bled[:, 1:], soft[:, 1:], 0.55)], 1)


def _wobbled(image: Tensor, unit: float, calm: Tensor | None) -> Tensor:
    """Moved to and fro with the paper, as no brush follows a border exactly; less where `calm`, (N, 1, H, W), is 1."""
    height, width = image.shape[-2:]
    ys = (torch.arange(height, device=image.device, dtype=image.dtype) * 2 + 1) / height - 1
    xs = (torch.arange(width, device=image.device, dtype=image.dtype) * 2 + 1) / width - 1
    grid = torch.stack(torch.meshgrid(xs, ys, indexing="xy"), -1)[None]
    moved = [
        paper.noise(image, 9 * unit, seed)[0] * (1.3 * unit * 2 / side) for seed, side in ((61, width), (62, height))
    ]
    move = torch.stack(moved, -1)
    grid = grid + (move if calm is None else move * (1 - 0.75 * calm[:, 0, ..., None]))
    return functional.grid_sample(
        image, grid.expand(len(image), -1, -1, -1), padding_mode="border", align_corners=False
    )


def _gathered(wash: Tensor, unit: float) -> Tensor:
    """(N, 1, h, w): the pigment that a drying wash leaves along its border, on the darker side."""
    lightness = wash[:, :1]
    around = blur.gaussian(lightness, 2.2 * unit)
    darker = (around - lightness).clamp_min_(0)
    return 1.1 * blur.smoothstep(0.004, 0.06, darker) - 0.25 * blur.smoothstep(0.01, 0.1, (lightness - around))


def _pigment(wash: Tensor, params: AnimeParameters) -> Tensor:
    """(N, 3, h, w) sRGB: the washes in few layers of transparent, clear colour."""
    lightness, chroma = wash[:, :1], wash[:, 1:]
    layers = tone.soft_steps(lightness, 0.36 / params.shades, 1 + 2.5 * params.shading * torch.ones_like(lightness))
    # Paper shines through: no wash is black, and light places stay unpainted.
    clear = 0.23 + 0.79 * layers + 0.10 * blur.smoothstep(0.55, 0.95, layers)
    strength = (chroma * chroma).sum(1, keepdim=True).sqrt()
    gain = 1 + 0.7 * params.colour * (1 - blur.smoothstep(0.1, 0.25, strength))
    return colour.oklab_to_srgb(torch.cat([clear.clamp(0, 1), chroma * gain], 1)).clamp_(0, 1)
