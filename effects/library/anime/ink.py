"""The style `ink`: a pen drawing on paper, with filled shadows, hatching and washes of grey."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from mayfly.effects.library.anime import canvas, paper
from mayfly.effects.shared import blur, colour, edge_preserving

if TYPE_CHECKING:
    from mayfly.effects.library.anime.canvas import Canvas
    from mayfly.effects.library.anime.parameters import AnimeParameters

_PAPER = (0.972, 0.958, 0.925)
_INK = (0.085, 0.085, 0.105)
# Directions of the hatching, in degrees, from the first layer to the one in the deepest shadow.
_ANGLES = (-45.0, 38.0, -80.0, 8.0, -20.0, 62.0)
# OKLab lightness at which hatching begins, and below which all is ink.
_LIGHT, _DARK, _BLACK = 0.70, 0.36, 0.23
# Distance of two hatches, in units.
_PERIOD = 4.6


def draw(given: Canvas, params: AnimeParameters) -> Tensor:
    """(N, 3, H, W) sRGB in 0…1."""
    flat = canvas.flattened(given, params.flatness)
    smooth = edge_preserving.guided(flat[:, :1], 4 * given.unit, noise=0.06)
    # Tones keep their edges, which hatching follows, but nothing fine.
    tone = blur.enlarge(0.7 * smooth + 0.3 * flat[:, :1], given.size)
    like, unit = given.frames, given.full_unit
    covered = _hatching(tone, unit, params.shades).mul_(params.shading)
    black = 1 - blur.smoothstep(_BLACK - 0.04, _BLACK + 0.04, tone)
    covered = torch.maximum(covered, black)
    covered = torch.maximum(covered, canvas.pen(given, flat[:, :1], params, crowding=0.35, bold=1.3))
    # Dry spots, where the paper's grain took no ink.
    grain = paper.noise(like, 1.3 * unit, seed=11)
    covered = covered * (0.95 + 0.03 * grain)
    ground = _ground(given, flat, smooth, params) * (1 + 0.006 * grain)
    return torch.lerp(ground, canvas.colour_of(_INK, like), covered.clamp_(0, 1)).clamp_(0, 1)


def _ground(given: Canvas, flat: Tensor, smooth: Tensor, params: AnimeParameters) -> Tensor:
    """(N, 3, H, W): paper with soft washes of grey, or of the picture's colours."""
    wash = 1 - 0.34 * params.shading * (1 - blur.smoothstep(0.15, 0.85, smooth))
    white = canvas.colour_of(_PAPER, given.frames)
    washed = white * wash
    tint = max(0.0, 2 * params.colour - 1)
    if tint:
        chroma = blur.gaussian(flat[:, 1:], 1.5 * given.unit) * 1.15
        light = 1 - 0.62 * (1 - smooth)
        coloured = colour.oklab_to_srgb(torch.cat([light, chroma], 1)).clamp_(0, 1) * white
        washed = torch.lerp(washed, coloured, tint)
    return blur.enlarge(washed, given.size)


def _hatching(tone: Tensor, unit: float, layers: int) -> Tensor:
    """(N, 1, H, W) in 0…1: parallel strokes that grow thicker as the tone darkens, crossed by further layers."""
    height, width = tone.shape[-2:]
    down = torch.arange(height, device=tone.device, dtype=tone.dtype).view(1, 1, -1, 1)
    right = torch.arange(width, device=tone.device, dtype=tone.dtype).view(1, 1, 1, -1)
    period = max(3.0, _PERIOD * unit)
    # No hand draws a straight line or presses evenly.
    sway = paper.noise(tone, 60 * unit, seed=21) * 0.35 * period
    pressure = paper.noise(tone, 12 * unit, seed=22) * 0.025
    covered = torch.zeros_like(tone)
    for layer in range(layers):
        angle = math.radians(_ANGLES[layer])
        begins = _LIGHT + (_DARK - _LIGHT) * layer / max(1, layers - 1)
        across = down * (math.cos(angle) / period) + right * (math.sin(angle) / period) + sway / period
        ridge = ((across - across.floor()) - 0.5).abs_().mul_(2)
        thickness = ((begins + pressure - tone) / 0.22).clamp_(0, 1).mul_(0.42)
        # One pixel of softness on each side.
        soft = 2.0 / period
        stroke = ((thickness * (1 + soft) - ridge) / soft).clamp_(0, 1)
        covered = torch.maximum(covered, stroke)
    return covered * 0.88
