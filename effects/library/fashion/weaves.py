"""Patterns of cloth that are made by code: how much of a second colour is where, and the cloth's own small relief."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from mayfly.effects.shared import blur

# Place along x and y in repeats, and the width of soft edges, to the second colour's share and the relief.
Weave = Callable[[Tensor, Tensor, float], tuple[Tensor, Tensor]]


def _bands(phase: Tensor, share: float, soft: float) -> Tensor:
    """1 in a band around every whole number that covers `share` of the way; its edges are `soft` wide."""
    away = (phase - torch.floor(phase + 0.5)).abs()
    return ((share / 2 - away) / soft + 0.5).clamp(0, 1)


def _hash(x: Tensor, y: Tensor, salt: float) -> Tensor:
    """A number in 0…1 for each whole place; the same on every device but for rounding."""
    # Small factors: what float32 keeps of a sine of large numbers differs between devices.
    mixed = torch.sin(x * 1.7 + salt) * 2.1 + torch.sin(y * 2.3 + 1.3 * salt) * 1.9 + torch.sin(x * 0.9 + y * 1.1)
    return mixed * 3.7 - torch.floor(mixed * 3.7)


def _stripes(x: Tensor, _y: Tensor, soft: float) -> tuple[Tensor, Tensor]:
    return _bands(x, 0.4, soft), torch.zeros_like(x)


def _hoops(x: Tensor, y: Tensor, soft: float) -> tuple[Tensor, Tensor]:
    return _bands(y, 0.5, soft), torch.zeros_like(x)


def _checks(x: Tensor, y: Tensor, soft: float) -> tuple[Tensor, Tensor]:
    # Gingham: half the colour where one thread is dyed, all of it where both are.
    return (_bands(x, 0.5, soft) + _bands(y, 0.5, soft)) / 2, torch.zeros_like(x)


def _tartan(x: Tensor, y: Tensor, soft: float) -> tuple[Tensor, Tensor]:
    def thread(way: Tensor) -> Tensor:
        broad, lines = _bands(way, 0.42, soft), _bands(way * 2 + 1, 0.06, 2 * soft)
        return 0.75 * broad + 0.5 * _bands(way + 0.12, 0.05, soft) + 0.5 * _bands(way - 0.12, 0.05, soft) - 0.5 * lines

    twill = torch.sin((x + y) * 2 * math.pi * 16) * min(1.0, 0.03 / soft)
    return ((thread(x) + thread(y)) / 2).clamp(0, 1), 0.015 * twill


def _dots(x: Tensor, y: Tensor, soft: float) -> tuple[Tensor, Tensor]:
    # Rows are shifted by a half, so each dot is as far from all of its neighbours.
    row = torch.floor(y * 2)
    u = x + 0.5 * (row - 2 * torch.floor(row / 2))
    u, v = u - torch.floor(u) - 0.5, (y * 2 - row - 0.5) / 2
    return ((0.17 - torch.sqrt(u * u + v * v)) / soft + 0.5).clamp(0, 1), torch.zeros_like(x)


def _denim(x: Tensor, y: Tensor, soft: float) -> tuple[Tensor, Tensor]:
    fine = min(1.0, 0.04 / soft)
    twill = torch.sin((x * 1.0 + y * 0.7) * 2 * math.pi * 12)
    slub = _hash(torch.floor(x * 14), torch.floor(y * 3), 0.3) - 0.5
    return (0.16 + 0.12 * fine * twill + 0.16 * slub).clamp(0, 1), 0.025 * fine * twill


def _knit(x: Tensor, y: Tensor, soft: float) -> tuple[Tensor, Tensor]:
    # Columns of loops, each half leaning the other way.
    u = x * 6 - torch.floor(x * 6)
    lean = (u - 0.5).abs()
    loops = torch.sin((y * 6 + lean * 1.2) * 2 * math.pi)
    edge = torch.cos(u * 2 * math.pi * 2)
    fine = min(1.0, 0.08 / soft)
    return torch.zeros_like(x), fine * (0.045 * loops - 0.03 * edge)


def _herringbone(x: Tensor, y: Tensor, soft: float) -> tuple[Tensor, Tensor]:
    column = x * 2 - 2 * torch.floor(x)
    lean = (column - 1).abs()
    return _bands((y + lean * 0.5) * 4, 0.5, 4 * soft), torch.zeros_like(x)


def _flowers(x: Tensor, y: Tensor, soft: float) -> tuple[Tensor, Tensor]:
    row = torch.floor(y)
    u = x + 0.5 * (row - 2 * torch.floor(row / 2))
    column = torch.floor(u)
    turn = _hash(column, row, 0.7)
    size = 0.24 + 0.14 * _hash(column, row, 2.1)
    across, up = u - column - 0.5, y - row - 0.5
    radius, angle = torch.sqrt(across * across + up * up), torch.atan2(up, across)
    petals = size * (0.72 + 0.28 * torch.cos(5 * (angle + turn * 6.3)))
    flower = ((petals - radius) / soft + 0.5).clamp(0, 1)
    heart = ((0.07 - radius) / soft + 0.5).clamp(0, 1)
    return flower * (1 - heart), torch.zeros_like(x)


WEAVES: dict[str, Weave] = {
    "stripes": _stripes,
    "hoops": _hoops,
    "checks": _checks,
    "tartan": _tartan,
    "dots": _dots,
    "denim": _denim,
    "knit": _knit,
    "herringbone": _herringbone,
    "flowers": _flowers,
}


def draw(name: str, x: Tensor, y: Tensor, pixel: float) -> tuple[Tensor, Tensor]:
    """One pattern.

    Args:
        name: a key of WEAVES.
        x: place on the cloth in repeats of the pattern, (N, 1, H, W).
        y: the same, downwards.
        pixel: the size of a pixel in repeats, over which edges are softened.

    Returns:
        The share of the second colour, 0…1, and what is added to OKLab's lightness, about −0.08…0.08; shapes as x.
    """
    return WEAVES[name](x, y, max(1.2 * pixel, 1e-3))


def tiled(picture: Tensor, x: Tensor, y: Tensor, pixel: float) -> Tensor:
    """A (1, 3, h, w) picture repeated over a cloth, (N, 3, H, W); arguments as `draw`, one repeat is its width."""
    height, width = picture.shape[-2:]
    # Never smaller than what is shown, or it would flicker; never larger than a repeat.
    shown = min(1.0, 1 / max(pixel * width, 1e-6))
    size = (max(1, round(height * shown)), max(1, round(width * shown)))
    picture = blur.reduce(picture, size)
    # Repeated by one pixel on each side, so that tiles join without a seam.
    joined = functional.pad(picture, (1, 1, 1, 1), mode="circular")
    u, v = x - torch.floor(x), y * (width / height)
    v = v - torch.floor(v)
    places = torch.cat(
        [(u * size[1] + 1) / (size[1] + 2) * 2 - 1, (v * size[0] + 1) / (size[0] + 2) * 2 - 1], 1
    ).permute(0, 2, 3, 1)
    return functional.grid_sample(
        joined.expand(len(x), -1, -1, -1), places, mode="bilinear", padding_mode="border", align_corners=False
    )
