"""Smoothing that keeps edges: Kuwahara's idea in its smooth form, and the guided filter."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from mayfly.effects.shared import blur


def kuwahara(image: Tensor, radius: float, *, sharpness: float = 4.0, noise: float = 0.01) -> Tensor:
    """Every pixel becomes the mean of the calmest neighbourhoods around it: flat regions, crisp edges.

    The generalised Kuwahara filter (Papari et al. 2007) with Gaussian sectors on a ring and soft weights. As every
    sector is a shifted copy of one blur, all of it is a normalised convolution.

    Args:
        image: (N, C, H, W).
        radius: of the ring, in pixels; below 0.5 the picture is returned as it is.
        sharpness: the power of the inverse variance that weighs a sector.
        noise: the standard deviation below which sectors count as equally calm.
    """
    if radius < 0.5:
        return image
    mean = blur.gaussian(image, radius * 0.5)
    variance = (blur.gaussian(image * image, radius * 0.5) - mean * mean).sum(1, keepdim=True).clamp_min_(0)
    weight = variance.div_(noise**2).add_(1).pow_(-sharpness)
    ring = {(0, 0)}
    for sector in range(8):
        angle = sector * math.pi / 4
        ring.add((round(radius * math.sin(angle)), round(radius * math.cos(angle))))
    total, weighted = _sum_shifted(weight, ring), _sum_shifted(mean * weight, ring)
    # In the middle of an edge there may be no calm sector at all.
    return weighted.add_(mean, alpha=1e-20).div_(total.add_(1e-20))


def _sum_shifted(image: Tensor, offsets: set[tuple[int, int]]) -> Tensor:
    margin = max(max(abs(rows), abs(columns)) for rows, columns in offsets)
    padded = blur.padded(image, margin)
    total = torch.zeros_like(image)
    for rows, columns in sorted(offsets):
        total.add_(blur.shift(padded, rows, columns, margin))
    return total


def guided_coefficients(guide: Tensor, image: Tensor, radius: int, noise: float) -> tuple[Tensor, Tensor]:
    """The guided filter's local lines, not yet averaged: image ≈ slope·guide + offset (He et al. 2010).

    Enlarged, which averages them, and applied to a larger guide they carry a small result to the full picture
    (He and Sun, "Fast guided filter", 2015).

    Args:
        guide: (N, 1, H, W).
        image: (N, C, H, W).
        radius: of the windows, in pixels.
        noise: the standard deviation of the guide below which a window is flat.

    Returns:
        slope and offset, each (N, C, H, W).
    """
    mean_guide, mean_image = blur.box(guide, radius), blur.box(image, radius)
    variance = blur.box(guide * guide, radius).sub_(mean_guide * mean_guide).clamp_min_(0)
    slope = blur.box(guide * image, radius).sub_(mean_guide * mean_image).div_(variance.add_(noise**2))
    offset = mean_image.sub_(slope * mean_guide)
    return slope, offset


def guided(image: Tensor, radius: float, *, noise: float) -> Tensor:
    """Smooth an (N, 1, H, W) picture by itself, keeping edges stronger than `noise` (fast guided filter).

    Args:
        image: (N, 1, H, W).
        radius: in pixels; large ones are computed on a smaller grid (He and Sun, "Fast guided filter", 2015).
        noise: the standard deviation below which a window is smoothed.
    """
    size = (image.shape[-2], image.shape[-1])
    factor = max(1, int(radius / 3))
    small = blur.reduce(image, (max(1, size[0] // factor), max(1, size[1] // factor)))
    window = max(1, round(radius / factor))
    slope, offset = (blur.box(plane, window) for plane in guided_coefficients(small, small, window, noise))
    return blur.enlarge(slope, size) * image + blur.enlarge(offset, size)
