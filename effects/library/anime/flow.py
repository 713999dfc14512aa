"""The direction in which a picture runs: the smoothed structure tensor, and filters along that direction."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from mayfly.effects.shared import blur


def structure_tensor(image: Tensor, sigma: float) -> Tensor:
    """Outer products of the gradient, summed over channels (Di Zenzo 1986) and smoothed.

    Args:
        image: (N, C, H, W).
        sigma: smoothing in pixels.

    Returns:
        (N, 3, H, W): xx, xy and yy, in squared units of `image` per pixel.
    """
    padded = blur.padded(image, 1)
    # Scharr's kernels turn with the gradient better than Sobel's.
    rows = 0.625 * padded[..., 1:-1, :] + 0.1875 * (padded[..., :-2, :] + padded[..., 2:, :])
    columns = 0.625 * padded[..., 1:-1] + 0.1875 * (padded[..., :-2] + padded[..., 2:])
    across = 0.5 * (rows[..., 2:] - rows[..., :-2])
    down = 0.5 * (columns[..., 2:, :] - columns[..., :-2, :])
    pairs = ((across, across), (across, down), (down, down))
    return blur.wide(torch.cat([(first * second).sum(1, keepdim=True) for first, second in pairs], 1), sigma)


def tangents(tensor: Tensor) -> Tensor:
    """The direction of least change: the minor eigenvector of a structure tensor (Kyprianidis and Kang 2011).

    Args:
        tensor: (N, 3, H, W), as structure_tensor returns it.

    Returns:
        (N, 2, H, W) unit vectors (x, y), up to their sign.
    """
    xx, xy, yy = tensor.split(1, 1)
    # Half of the double angle is the gradient's direction; the tangent lies across.
    angle = 0.5 * torch.atan2(xy, (xx - yy) * 0.5)
    return torch.cat([-angle.sin(), angle.cos()], 1)


def anisotropy(tensor: Tensor) -> Tensor:
    """How surely a structure tensor has one direction: (N, 1, H, W), 0 at corners and in noise, 1 on straight edges."""
    xx, xy, yy = tensor.split(1, 1)
    half = (xx - yy) * 0.5
    sureness: Tensor = (half * half + xy * xy).sqrt() / ((xx + yy) * 0.5 + 1e-7)
    return sureness


def along(image: Tensor, direction: Tensor, weights: Sequence[float], step: float = 1.0) -> Tensor:
    """Convolve each pixel's neighbourhood along its own direction with a symmetric kernel.

    The neighbourhood is straight; used twice, it bends with the flow as a line integral convolution does.

    Args:
        image: (N, C, H, W).
        direction: (N, 2, H, W) vectors (x, y); shorter ones than of unit length shorten the kernel.
        weights: the kernel's half: weights[0] for the centre, weights[i] for both sides at i steps.
        step: pixels between two weights.
    """
    height, width = image.shape[-2:]
    place = image.device
    ys = (torch.arange(height, device=place) * 2 + 1) / height - 1
    xs = (torch.arange(width, device=place) * 2 + 1) / width - 1
    centres = torch.stack(torch.meshgrid(xs, ys, indexing="xy"), -1)
    pixel = torch.tensor([2 * step / width, 2 * step / height], device=place)
    unit = direction.permute(0, 2, 3, 1).contiguous() * pixel
    reach = len(weights) - 1
    result = image * weights[0]
    where = centres - unit * reach
    for distance in range(-reach, reach + 1):
        if distance:
            sampled = functional.grid_sample(image, where, padding_mode="border", align_corners=False)
            result.add_(sampled, alpha=weights[abs(distance)])
        where.add_(unit)
    return result
