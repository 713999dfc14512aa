"""From a rough mask to an exact one: a cut by colours, then opacity along its edge at the picture's full size.

Along the edge opacity is a line in colour: near each place, the mean colours of what lies surely inside and surely
outside, and how they scatter, give the direction that tells them apart best (Fisher's discriminant, as in Bayesian
matting, Chuang et al. 2001, with one normal distribution a side). The line's coefficients change slowly, so they are
found on a small grid and applied to the full picture, as the fast guided filter does (He and Sun 2015).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING

import cv2
import numpy as np

from mayfly.effects.shared import grab_cut

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Bytes = NDArray[np.uint8]
    Floats = NDArray[np.float32]

# Pixels along the longer side of what the cut looks at.
_CUT_SIDE = 256
# What the rough mask is sure of.
_SURELY_NOT, _SURELY = 0.05, 0.95
# Parts of less than this share of the largest one are no part of it.
_LEAST_PART = 0.02
# Half the width of the unsure edge and the size of a neighbourhood, in roots of the mask's area.
EDGE = 0.018
_NEAR = 3
# Variance of colour that is noise; how little the sides must differ to be told apart; how much steeper edges are.
_NOISE, _ALIKE, _STEEPER = 0.0008, 2.8, 1.3
# Pixels a side of the tiles in which edges are worked on at full size.
_TILE = 192

_UPPER = ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))


@dataclasses.dataclass(frozen=True, eq=False)
class Edge:
    """What is known along a mask's edge, on a small grid.

    Attributes:
        sure: (h, w) uint8: 0 surely outside, 255 surely inside, 128 between.
        lines: (h, w, 4) float32: opacity is about red·l0 + green·l1 + blue·l2 + l3, colours in 0…1.
        limits: (h, w, 4) float32: how much the line is to be believed, opacity without it, least and most opacity.
        inside, outside: (h, w, 4) float32: the mean colour of each side nearby, 0…1, and how much of it is near.
    """

    sure: Bytes
    lines: Floats
    limits: Floats
    inside: Floats
    outside: Floats


def cut(picture: Bytes, rough: Floats) -> Bytes:
    """Settle what a rough mask is unsure of by colours (`shared/grab_cut.py`).

    Args:
        picture: (H, W, 3) uint8.
        rough: (H, W) in 0…1.

    Returns:
        (H, W) uint8, 0 or 1.
    """
    height, width = rough.shape
    rows, columns = np.flatnonzero((rough > 0.2).any(1)), np.flatnonzero((rough > 0.2).any(0))
    if not len(rows):
        return np.zeros((height, width), np.uint8)
    more = max(4, round(0.08 * max(len(rows), len(columns))))
    top, bottom = max(0, rows[0] - more), min(height, rows[-1] + 1 + more)
    left, right = max(0, columns[0] - more), min(width, columns[-1] + 1 + more)
    part, known = picture[top:bottom, left:right], rough[top:bottom, left:right]
    factor = min(1.0, _CUT_SIDE / max(known.shape))
    size = (max(1, round(known.shape[1] * factor)), max(1, round(known.shape[0] * factor)))
    seen = np.asarray(cv2.resize(part, size, None, 0, 0, cv2.INTER_AREA), np.uint8)
    small = cv2.resize(known, size, None, 0, 0, cv2.INTER_AREA)
    labels = np.where(small > 0.5, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    labels[small > _SURELY], labels[small < _SURELY_NOT] = cv2.GC_FGD, cv2.GC_BGD
    enough = min(np.count_nonzero(labels == cv2.GC_FGD), np.count_nonzero(labels == cv2.GC_BGD)) > 20
    found = grab_cut.settled(seen, labels, rounds=1) if enough else grab_cut.foreground(labels)
    settled = _large_parts(found)
    whole = cv2.resize(settled.astype(np.float32), known.shape[::-1], None, 0, 0, cv2.INTER_LINEAR)
    result = np.zeros((height, width), np.uint8)
    result[top:bottom, left:right] = whole > 0.5
    return result


def edge(picture: Bytes, mask: Bytes, *, width: float = 1.0) -> Edge:
    """What is known along the edge of a mask.

    Args:
        picture: (H, W, 3) uint8.
        mask: (H, W) uint8, 0 or 1.
        width: of the unsure edge, as a multiple of the usual one.
    """
    reach = max(2, round(EDGE * width * float(np.count_nonzero(mask)) ** 0.5))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    # Beyond its border a picture goes on.
    inner = cv2.erode(mask, disc, borderType=cv2.BORDER_REPLICATE)
    outer = cv2.dilate(mask, disc, borderType=cv2.BORDER_REPLICATE)
    window = 2 * _NEAR * reach + 1
    colours = picture.astype(np.float32) * np.float32(1 / 255)
    share_in, inside, spread_in = _normal(colours, inner.astype(np.float32), window)
    share_out, outside, spread_out = _normal(colours, (1 - outer).astype(np.float32), window)
    apart = inside - outside
    direction = _solved(spread_in + spread_out, apart)
    distance = (direction * apart).sum(-1)
    belief = distance / (distance + _ALIKE)
    belief *= (share_in > 1e-3) & (share_out > 1e-3)
    steep = direction * (_STEEPER / np.maximum(distance, 1e-6))[..., None]
    offset = 0.5 - (steep * (inside + outside)).sum(-1) / 2
    ramp = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), max(0.7, reach / 4))
    sure = np.full(mask.shape, 128, np.uint8)
    sure[inner > 0], sure[outer == 0] = 255, 0
    return Edge(
        sure=sure,
        lines=np.dstack([steep, offset]).astype(np.float32),
        limits=np.dstack([belief, ramp, inner, outer]).astype(np.float32),
        inside=np.dstack([inside, share_in]),
        outside=np.dstack([outside, share_out]),
    )


def opacity(planes: Bytes, found: Edge) -> Bytes:
    """The mask at full size: (3, H, W) uint8 and what is known of its edge to (H, W) uint8."""
    height, width = planes.shape[1:]
    result = np.asarray(cv2.resize(found.sure, (width, height), None, 0, 0, cv2.INTER_NEAREST), np.uint8)
    for rows, columns in tiles(found, height, width):
        colours = planes[:, rows, columns].astype(np.float32) * np.float32(1 / 255)
        lines, limits = (at(plane, rows, columns, (height, width)) for plane in (found.lines, found.limits))
        line = np.einsum("chw,hwc->hw", colours, lines[..., :3])
        line += lines[..., 3]
        np.clip(line, 0, 1, out=line)
        alpha = limits[..., 1] + (line - limits[..., 1]) * limits[..., 0]
        result[rows, columns] = np.clip(alpha, limits[..., 2], limits[..., 3]) * 255 + 0.5
    return result


def foreground(planes: Bytes, alpha: Bytes, found: Edge) -> Bytes:
    """The colours of what is inside, without what shone through of the outside; (3, H, W) uint8 as the picture.

    A pixel is α·inside + (1 − α)·outside, so that its inside is the pixel + (1 − α)·(inside − outside), of which the
    difference changes slowly: that of the means nearby is taken. On known composites it is nearer to the truth than
    blur fusion (Forte, "Approximate fast foreground colour estimation", 2021).

    Args:
        planes: (3, H, W) uint8.
        alpha: (H, W) uint8, what `opacity` says.
        found: what is known of the edge.
    """
    result = planes.copy()
    size = (alpha.shape[0], alpha.shape[1])
    means = _everywhere(found.inside), _everywhere(found.outside)
    for rows, columns in tiles(found, *size):
        colours = planes[:, rows, columns].transpose(1, 2, 0).astype(np.float32) * np.float32(1 / 255)
        share = alpha[rows, columns, None].astype(np.float32) * np.float32(1 / 255)
        inside, outside = (at(plane, rows, columns, size) for plane in means)
        pure = np.clip(colours + (1 - share) * (inside - outside), 0, 1) * 255 + 0.5
        result[:, rows, columns] = pure.transpose(2, 0, 1)
    return result


def turned(found: Edge) -> Edge:
    """The edge as it is seen from the other side, for what `foreground` does."""
    return dataclasses.replace(found, inside=found.outside, outside=found.inside)


def tiles(found: Edge, height: int, width: int) -> Iterator[tuple[slice, slice]]:
    """The parts of a height × width picture in which something of the edge lies: rows and columns."""
    unsure = (found.sure == 128).astype(np.uint8)
    small_height, small_width = unsure.shape
    for top in range(0, height, _TILE):
        for left in range(0, width, _TILE):
            bottom, right = min(height, top + _TILE), min(width, left + _TILE)
            rows = slice(top * small_height // height, -(-bottom * small_height // height) + 1)
            columns = slice(left * small_width // width, -(-right * small_width // width) + 1)
            if unsure[max(0, rows.start - 1) : rows.stop, max(0, columns.start - 1) : columns.stop].any():
                yield slice(top, bottom), slice(left, right)


def at(plane: Floats, rows: slice, columns: slice, size: tuple[int, int]) -> Floats:
    """A part of a small (h, w, C) plane as it is when enlarged to `size` (height, width)."""
    across, down = plane.shape[1] / size[1], plane.shape[0] / size[0]
    shift_x, shift_y = (columns.start + 0.5) * across - 0.5, (rows.start + 0.5) * down - 0.5
    matrix = np.array([[across, 0, shift_x], [0, down, shift_y]])
    part = (columns.stop - columns.start, rows.stop - rows.start)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(plane, matrix, part, None, flags, cv2.BORDER_REPLICATE), np.float32)


def _large_parts(mask: Bytes) -> Bytes:
    count, labels, facts, _ = cv2.connectedComponentsWithStats(mask)
    if count < 3:
        return mask
    areas = facts[:, cv2.CC_STAT_AREA]
    keep = areas >= _LEAST_PART * areas[1:].max()
    keep[0] = False
    return np.asarray(keep[labels], np.uint8)


def _normal(colours: Floats, weight: Floats, window: int) -> tuple[Floats, Floats, Floats]:
    """How much of a neighbourhood counts, (H, W), its mean colour (H, W, 3) and covariance's upper half (H, W, 6)."""
    share = np.asarray(cv2.blur(weight, (window, window)), np.float32)
    scale = (1 / (share + 1e-6))[..., None]
    weighted = colours * weight[..., None]
    mean = cv2.blur(weighted, (window, window)) * scale
    products = [weighted[..., i] * colours[..., j] for i, j in _UPPER]
    squares = np.dstack([cv2.blur(np.dstack(half), (window, window)) for half in (products[:3], products[3:])])
    spread = squares * scale - np.dstack([mean[..., i] * mean[..., j] for i, j in _UPPER])
    return share, np.asarray(mean, np.float32), np.asarray(spread, np.float32)


def _solved(spread: Floats, vector: Floats) -> Floats:
    """The inverse of symmetric 3 × 3 matrices, by their upper halves (H, W, 6), times vectors (H, W, 3)."""
    a, b, c, d, e, f = (spread[..., index] for index in range(6))
    a, d, f = a + _NOISE, d + _NOISE, f + _NOISE
    aa, bb, cc, dd, ee, ff = d * f - e * e, c * e - b * f, b * e - c * d, a * f - c * c, b * c - a * e, a * d - b * b
    x, y, z = (vector[..., index] for index in range(3))
    scale = 1 / np.maximum(a * aa + b * bb + c * cc, 1e-12)
    rows = (aa * x + bb * y + cc * z, bb * x + dd * y + ee * z, cc * x + ee * y + ff * z)
    return np.asarray(np.dstack(rows) * scale[..., None], np.float32)


def _everywhere(side: Floats) -> Floats:
    """Mean colours nearby, and where there are none, of the whole side: (h, w, 4) to (h, w, 3)."""
    weight = np.minimum(side[..., 3:] * 100, 1)
    mean = side[..., :3] * weight
    whole = mean.sum((0, 1)) / max(float(weight.sum()), 1e-6)
    return np.asarray(mean + whole * (1 - weight), np.float32)
