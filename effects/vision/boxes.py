"""Arithmetic on boxes (left, top, right, bottom in pixels): overlap, and the tiles that cover a picture."""

from __future__ import annotations

import math

Box = tuple[float, float, float, float]

# The share of a tile that the next one has too: a face that is too small for tiles twice as large lies whole in one.
SHARED = 0.2


def area(box: Box) -> float:
    return max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1])


def overlap(one: Box, other: Box) -> float:
    """Intersection over union, 0…1."""
    both = _intersection(one, other)
    return both / max(area(one) + area(other) - both, 1e-9)


def cover(one: Box, other: Box) -> float:
    """The share of the smaller box that lies in the other, 0…1."""
    return _intersection(one, other) / max(min(area(one), area(other)), 1e-9)


def clipped(box: Box, height: int, width: int) -> tuple[int, int, int, int]:
    """The whole pixels that a box touches inside a picture; possibly none."""
    left, top = max(0, math.floor(box[0])), max(0, math.floor(box[1]))
    return left, top, max(left, min(width, math.ceil(box[2]))), max(top, min(height, math.ceil(box[3])))


def tiles(height: int, width: int, side: int) -> list[tuple[int, int, int, int]]:
    """Squares of `side` pixels that share a fifth, but for a pixel, evenly spread; cut at a smaller picture's edge."""
    return [
        (left, top, min(width, left + side), min(height, top + side))
        for top in _starts(height, side)
        for left in _starts(width, side)
    ]


def _starts(length: int, side: int) -> list[int]:
    if length <= side:
        return [0]
    steps = math.ceil((length - side - 1) / (side * (1 - SHARED)))
    return [round(index * (length - side) / steps) for index in range(steps + 1)]


def _intersection(one: Box, other: Box) -> float:
    return area((max(one[0], other[0]), max(one[1], other[1]), min(one[2], other[2]), min(one[3], other[3])))
