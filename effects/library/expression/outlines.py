"""Smooth masks inside closed outlines of points, at a picture's own size."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from mayfly.effects.vision.types import Points

# Fractions of a pixel that OpenCV's polygons know, as a power of two; pixels are drawn so many times as fine.
_SHIFT, _FINER = 4, 4


def inside(outline: Points, size: tuple[int, int], *, soft: float, device: torch.device) -> Tensor:
    """(H, W) float32: 1 inside, 0 outside.

    Args:
        outline: (N, 2), in order, in pixels; a smooth curve is laid through it.
        size: height and width.
        soft: standard deviation of the edge in pixels.
        device: where it is wanted.
    """
    height, width = size
    curve = _smooth(np.asarray(outline, np.float64)) * _FINER - 0.5
    drawn = np.zeros((height * _FINER, width * _FINER), np.uint8)
    cv2.fillPoly(drawn, [np.round(curve * 2**_SHIFT).astype(np.int32)], (255,), cv2.LINE_AA, _SHIFT)
    small = cv2.resize(drawn, (width, height), None, 0, 0, cv2.INTER_AREA).astype(np.float32) / 255
    if soft > 0:
        small = np.asarray(cv2.GaussianBlur(small, (0, 0), soft), np.float32)
    return torch.from_numpy(small).to(device)


def area(outline: Points) -> float:
    """Square pixels inside, negative where it runs the other way round."""
    x, y = np.asarray(outline, np.float64).T
    return float((x * np.roll(y, -1) - np.roll(x, -1) * y).sum() / 2)


def _smooth(points: Points, steps: int = 6) -> Points:
    """A closed Catmull-Rom spline."""
    before, after, beyond = np.roll(points, 1, 0), np.roll(points, -1, 0), np.roll(points, -2, 0)
    parts = []
    for t in np.arange(steps) / steps:
        parts.append(
            0.5
            * (
                2 * points
                + (after - before) * t
                + (2 * before - 5 * points + 4 * after - beyond) * t**2
                + (3 * points - before - 3 * after + beyond) * t**3
            )
        )
    return np.asarray(np.stack(parts, 1).reshape(-1, 2))
