"""Separable smoothing and resizing; shifted sums, which on a CPU are far faster than small convolutions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from torch import Tensor
from torch.nn import functional

if TYPE_CHECKING:
    from numpy.typing import NDArray

Values = TypeVar("Values", "Tensor", "NDArray[np.float32]", "NDArray[np.float64]", float)


def separable(image: Tensor, weights: Sequence[float]) -> Tensor:
    """Convolve rows and columns with one symmetric kernel; the border is repeated.

    Args:
        image: (N, C, H, W).
        weights: the kernel's half: weights[0] for the centre, weights[i] for both pixels at distance i.
    """
    return _along(_along(image, weights, 3), weights, 2)


def _along(image: Tensor, weights: Sequence[float], axis: int) -> Tensor:
    radius, length = len(weights) - 1, image.shape[axis]
    if radius == 0:
        return image * weights[0]
    padding = (radius, radius, 0, 0) if axis == 3 else (0, 0, radius, radius)
    padded = functional.pad(image, padding, mode="replicate")
    result = image * weights[0]
    for distance in range(1, radius + 1):
        before = padded.narrow(axis, radius - distance, length)
        after = padded.narrow(axis, radius + distance, length)
        result.add_(before, alpha=weights[distance]).add_(after, alpha=weights[distance])
    return result


def gaussian(image: Tensor, sigma: float) -> Tensor:
    """Gaussian blur of an (N, C, H, W) picture; `sigma` in pixels, 0 leaves it as it is."""
    radius = math.ceil(2.5 * sigma)
    if sigma <= 0.1:
        return image
    half = [math.exp(-0.5 * (distance / sigma) ** 2) for distance in range(radius + 1)]
    total = half[0] + 2 * sum(half[1:])
    return separable(image, [weight / total for weight in half])


def sampled_gaussian(sigma: float, taps: int) -> tuple[list[float], float]:
    """A Gaussian sampled at few points: the kernel's half, taps + 1 weights, and the distance between two in pixels."""
    step = 1.8 * sigma / taps if taps else 0.0
    half = [math.exp(-0.5 * (1.8 * index / taps) ** 2) if taps else 1.0 for index in range(taps + 1)]
    total = half[0] + 2 * sum(half[1:])
    return [weight / total for weight in half], step


def box(image: Tensor, radius: int) -> Tensor:
    """Mean over the square of 2·radius + 1 pixels around each pixel of an (N, C, H, W) picture."""
    return separable(image, [1 / (2 * radius + 1)] * (radius + 1))


def wide(image: Tensor, sigma: float) -> Tensor:
    """Gaussian blur for a large `sigma` in pixels: on a smaller grid, so that its cost does not grow with sigma."""
    factor = max(1, int(sigma / 3))
    if factor == 1:
        return gaussian(image, sigma)
    height, width = image.shape[-2:]
    small = reduce(image, (max(1, height // factor), max(1, width // factor)))
    return enlarge(gaussian(small, sigma / factor), (height, width))


def reduce(image: Tensor, size: tuple[int, int]) -> Tensor:
    """Shrink (N, C, H, W) to `size` (height, width) without aliasing; the same size gives the picture itself."""
    if tuple(image.shape[-2:]) == size:
        return image
    return functional.interpolate(image, size=size, mode="bilinear", align_corners=False, antialias=True)


def enlarge(image: Tensor, size: tuple[int, int], *, smooth: bool = False) -> Tensor:
    """Enlarge (N, C, H, W) to `size`; `smooth` takes the bicubic kernel, which keeps thin lines even."""
    if tuple(image.shape[-2:]) == size:
        return image
    mode = "bicubic" if smooth else "bilinear"
    # Plane by plane: with three channels torch takes a path that is half as fast.
    planes = functional.interpolate(image.flatten(0, 1).unsqueeze(1), size=size, mode=mode, align_corners=False)
    return planes.view(*image.shape[:2], *size)


def smoothstep(low: float, high: float, values: Values) -> Values:
    """0 below `low`, 1 above `high`, a smooth cubic between; of a tensor or an array of any shape, or a number."""
    ramp = (values - low) / (high - low)
    ramp = ramp.clamp_(0, 1) if isinstance(ramp, Tensor) else np.clip(ramp, 0, 1)
    result: Values = ramp * ramp * (3 - 2 * ramp)
    return result


def shift(image: Tensor, rows: int, columns: int, margin: int) -> Tensor:
    """The window of an (N, C, H + 2·margin, W + 2·margin) picture that lies `rows` down and `columns` right."""
    height, width = image.shape[-2] - 2 * margin, image.shape[-1] - 2 * margin
    return image[..., margin + rows : margin + rows + height, margin + columns : margin + columns + width]


def padded(image: Tensor, margin: int) -> Tensor:
    """An (N, C, H, W) picture with its border repeated `margin` pixels outwards."""
    return functional.pad(image, (margin,) * 4, mode="replicate") if margin else image


def area_root(image: Tensor) -> float:
    """The side of the square that has as many pixels: the size to which radii are relative."""
    return math.sqrt(image.shape[-2] * image.shape[-1])
