"""Paper: smooth noise that is fixed to the picture, the same for each frame and each run."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from mayfly.effects.shared import blur


def noise(like: Tensor, cell: float, seed: int) -> Tensor:
    """(1, 1, H, W) of zero mean and deviation about 1 that changes over about `cell` pixels.

    Drawn on a grid that follows the picture's size, so that a picture and its enlargement have the same paper.

    Args:
        like: (N, C, H, W); its size, dtype and device are taken.
        cell: in pixels.
        seed: other seeds give other paper.
    """
    height, width = like.shape[-2:]
    rows, columns = max(1, math.ceil(height / cell)), max(1, math.ceil(width / cell))
    # On the CPU, so that every device draws the same.
    drawn = torch.randn(1, 1, rows, columns, generator=torch.Generator().manual_seed(seed))
    return blur.enlarge(drawn.to(like.device, like.dtype), (height, width), smooth=True)


def clouds(like: Tensor, cell: float, seed: int, octaves: int = 3) -> Tensor:
    """(1, 1, H, W): noise of `cell` pixels and of finer cells, each half as strong (Perlin 1985)."""
    total = noise(like, cell, seed)
    for octave in range(1, octaves):
        total = total + noise(like, max(1.0, cell / 2**octave), seed + octave) / 2**octave
    return total * 0.85
