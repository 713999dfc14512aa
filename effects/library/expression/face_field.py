"""The dense field that takes a face from its new points back to its old ones: smooth, but along lids and lips.

Between the points the field is a thin-plate spline (Bookstein 1989), solved from the new places to the old ones, so
that it needs no inversion. Lids and lips slide over each other: above and below such a line there is a spline each,
without the other side's points. The splines are evaluated on small grids; the lines are as sharp as the picture.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from mayfly.effects.shared import blur
from mayfly.effects.vision import boxes
from mayfly.effects.vision import face_points as names

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mayfly.effects.vision.types import Points

    Box = tuple[int, int, int, int]
    Floats = NDArray[np.float64]

# Pixels of the grid along a face, and how much finer it is around eyes and mouth.
_GRID, _FINER = 40, 3
# Around a face, in its sizes: how far it may move anything.
MARGIN = 0.4
# Where nothing moves any more, in sizes of the face's outline.
_STILL = 1.4
# Half the width of a line in pixels; how quickly it is lost beyond its corners, in its length.
_SHARP, _LOST = 0.6, 0.9

_UPPER_LIDS = {*names.RIGHT_UPPER_LID[1:-1], *names.LEFT_UPPER_LID[1:-1]}
_LOWER_LIDS = {*names.RIGHT_LOWER_LID[1:-1], *names.LEFT_LOWER_LID[1:-1]}
# Without them a lid that closes would be stretched unevenly, and show a piece of the eye above its edge.
_ON_LIDS = {*range(names.COUNT, names.COUNT + 2 * len(names.RIGHT_UPPER_LID[1:-1]))}
# How much of the lid, from its edge, is not stretched.
_LASHES = 0.3
_UPPER_LIP = {*names.UPPER_LIP_TOP[1:-1], *names.UPPER_LIP_BOTTOM[1:-1]}
_LOWER_LIP = {*names.LOWER_LIP_TOP[1:-1], *names.LOWER_LIP_BOTTOM[1:-1]}
_OTHERS = {
    *names.FACE_OVAL[::2],
    *names.NOSE,
    *names.NOSE_BRIDGE,
    *names.RIGHT_BROW,
    *names.LEFT_BROW,
    *names.RIGHT_UPPER_FOLD,
    *names.LEFT_UPPER_FOLD,
    *names.RIGHT_UNDER_BROW,
    *names.LEFT_UNDER_BROW,
    *names.RIGHT_LOWER_FOLD,
    *names.LEFT_LOWER_FOLD,
    *names.RIGHT_CHEEK_TOP[::2],
    *names.LEFT_CHEEK_TOP[::2],
    *(names.RIGHT_EYE_OUTER, names.RIGHT_EYE_INNER, names.LEFT_EYE_OUTER, names.LEFT_EYE_INNER),
    *(names.RIGHT_MOUTH_CORNER, names.LEFT_MOUTH_CORNER, names.INNER_LIPS[0], names.INNER_LIPS[10]),
    *(names.RIGHT_CHEEK, names.LEFT_CHEEK),
    # The forehead, beside the mouth, and between lip and chin.
    *(151, 9, 8, 108, 337, 69, 299, 104, 333, 68, 298),
    *(206, 426, 216, 436, 212, 432, 214, 434, 192, 416, 50, 280, 18, 200, 201, 421, 204, 424, 164, 92, 322),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Line:
    """A line along which skin slides over skin: the points above and below, from the person's right to the left."""

    upper: tuple[int, ...]
    lower: tuple[int, ...]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Seam:
    """Around a line: the field of what lies below it, and how much of a pixel does. The field itself is that above.

    Attributes:
        box: left, top, right, bottom in pixels.
        below: (2, h, w), as the field.
        share: (h, w) in 0…1.
    """

    box: Box
    below: Tensor
    share: Tensor


MOUTH = Line(upper=names.UPPER_LIP_BOTTOM, lower=names.LOWER_LIP_TOP)
RIGHT_EYE = Line(upper=names.RIGHT_UPPER_LID, lower=names.RIGHT_LOWER_LID)
LEFT_EYE = Line(upper=names.LEFT_UPPER_LID[::-1], lower=names.LEFT_LOWER_LID[::-1])


class _Grid:
    """Places over a box, (1, w) and (h, 1) in pixels; `scale` 1 is every pixel."""

    def __init__(self, box: Box, scale: float, device: torch.device) -> None:
        self.box = box
        left, top, right, bottom = box
        width, height = max(2, round((right - left) * scale)), max(2, round((bottom - top) * scale))
        self.x = ((torch.arange(width, device=device) + 0.5) * ((right - left) / width) + left)[None, :]
        self.y = ((torch.arange(height, device=device) + 0.5) * ((bottom - top) / height) + top)[:, None]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class _Spline:
    """A thin-plate spline: its centres, (N, 2), and weights, (N + 3, 2), in units of `unit` pixels."""

    centres: Tensor
    weights: Tensor
    unit: float

    def on(self, grid: _Grid) -> Tensor:
        """(2, h, w): its values on a grid."""
        count = len(self.centres)
        x, y = grid.x[0] / self.unit, grid.y[:, 0] / self.unit
        by_x, by_y = (x[:, None] - self.centres[:, 0]) ** 2, (y[:, None] - self.centres[:, 1]) ** 2
        squares = (by_y[:, None] + by_x[None]).clamp_min_(1e-12)
        field = (squares.log().mul_(squares).mul_(0.5).view(-1, count) @ self.weights[:count]).view(len(y), len(x), 2)
        plane = self.weights[count] + x[None, :, None] * self.weights[count + 1] + y[:, None, None] * self.weights[-1]
        return (field + plane).permute(2, 0, 1)


def shifts(
    before: Points, after: Points, size: tuple[int, int], *, eyes: bool, mouth: bool, device: torch.device
) -> tuple[Tensor, list[Seam]]:
    """Where each pixel of a part comes from, relative to itself: (2, H, W) float32, x and y in pixels, and its seams.

    Args:
        before: (478, 2), a face's points in the part's pixels, old places.
        after: new places.
        size: height and width of the part; at its border nothing moves.
        eyes: whether lids move against each other.
        mouth: whether lips do.
        device: where it is wanted.
    """
    height, width = size
    before, after = _with_lids(before, after)
    above_mouth = _OTHERS | _UPPER_LIP | (set() if mouth else _LOWER_LIP)
    top = _spline(before, after, above_mouth | _UPPER_LIDS | _ON_LIDS | (set() if eyes else _LOWER_LIDS), size, device)
    middle = _spline(before, after, above_mouth | _LOWER_LIDS, size, device) if eyes else top
    bottom = _spline(before, after, _OTHERS | _LOWER_LIP | _LOWER_LIDS, size, device) if mouth else middle

    face = before[list(names.FACE_OVAL)]
    scale = min(1.0, _GRID / max(float((face.max(0) - face.min(0)).max()), 1.0))
    whole = _Grid((0, 0, width, height), scale, device)
    field = top.on(whole)
    if eyes:
        field = torch.lerp(field, middle.on(whole), _below_eyes(after, whole))
    if mouth:
        field = torch.lerp(field, bottom.on(whole), _below(after, MOUTH, whole)[0])
    result, seams = _enlarged(field, whole.box), []
    # Around the lines once more: on a finer grid, and the lines as sharp as the picture.
    for line in ([RIGHT_EYE, LEFT_EYE] if eyes else []) + ([MOUTH] if mouth else []):
        points = [*line.upper, *line.lower]
        box = _around(np.vstack([before[points], after[points]]), size)
        if box[2] - box[0] > 1 and box[3] - box[1] > 1:
            fine = _Grid(box, min(1.0, _FINER * scale), device)
            first, second = (middle, bottom) if line is MOUTH else (top, middle)
            above, below = _enlarged(first.on(fine), box), _enlarged(second.on(fine), box)
            share, sharp = _below(after, line, _Grid(box, 1, device))
            mixed = torch.lerp(above, below, share)
            result[:, box[1] : box[3], box[0] : box[2]] = torch.lerp(mixed, above, sharp)
            seams.append(Seam(box=box, below=torch.lerp(mixed, below, sharp), share=share))
    window = _window(size, device)
    for seam in seams:
        seam.below.mul_(window[seam.box[1] : seam.box[3], seam.box[0] : seam.box[2]])
    return result * window, seams


def _with_lids(before: Points, after: Points) -> tuple[Points, Points]:
    """A face's points and more of them: above the edges of the upper lids, which go along with their lashes."""
    old, new = [before], [after]
    for lid, fold in ((names.RIGHT_UPPER_LID, names.RIGHT_UPPER_FOLD), (names.LEFT_UPPER_LID, names.LEFT_UPPER_FOLD)):
        edge, above = list(lid)[1:-1], list(fold)[1:-1]
        strip = _LASHES * (before[above] - before[edge])
        old.append(before[edge] + strip)
        # A lid that opens has less room.
        room = np.linalg.norm(after[above] - after[edge], axis=1) / np.maximum(np.linalg.norm(strip, axis=1), 1e-3)
        new.append(after[edge] + strip * np.minimum(1, 0.7 * room)[:, None])
    return np.concatenate(old).astype(np.float32), np.concatenate(new).astype(np.float32)


def _enlarged(field: Tensor, box: Box) -> Tensor:
    """(2, h, w) on a grid over a box to (2, H, W)."""
    size = (box[3] - box[1], box[2] - box[0])
    return functional.interpolate(field[None], size=size, mode="bicubic", align_corners=False)[0]


def _around(points: Points, size: tuple[int, int]) -> Box:
    """A box around some points, with a quarter of its width on every side."""
    more = 0.25 * float(np.ptp(points[:, 0])) + 2
    (left, top), (right, bottom) = (points.min(0) - more).tolist(), (points.max(0) + more).tolist()
    return boxes.clipped((left, top, right, bottom), *size)


def _spline(before: Points, after: Points, points: set[int], size: tuple[int, int], device: torch.device) -> _Spline:
    """The spline through some of the points, still outside the face."""
    places, values = _anchored(before, after, sorted(points), size)
    # In units of the part's longer side, which keeps the system well conditioned.
    unit = float(max(size))
    centres = places / unit
    count = len(centres)
    system = np.zeros((count + 3, count + 3))
    system[:count, :count] = _thin_plate(((centres[:, None] - centres[None]) ** 2).sum(-1)) + 1e-5 * np.eye(count)
    system[:count, count:] = np.column_stack([np.ones(count), centres])
    system[count:, :count] = system[:count, count:].T
    weights = np.linalg.solve(system, np.vstack([values, np.zeros((3, 2))]))
    known, solved = (torch.from_numpy(part.astype(np.float32)).to(device) for part in (centres, weights))
    return _Spline(centres=known, weights=solved, unit=unit)


def _anchored(before: Points, after: Points, points: list[int], size: tuple[int, int]) -> tuple[Floats, Floats]:
    """Places and what is known of the field there: at the points, around the face, and at the part's border."""
    height, width = size
    oval = before[list(names.FACE_OVAL)[::2]].astype(np.float64)
    around = oval.mean(0) + (oval - oval.mean(0)) * _STILL
    across, down = np.meshgrid(np.linspace(0, width, 5), np.linspace(0, height, 5))
    border = np.column_stack([across.ravel(), down.ravel()])
    edge = (border[:, 0] % width == 0) | (border[:, 1] % height == 0)
    still = np.vstack([around, border[edge]])
    places = np.vstack([after[points].astype(np.float64), still])
    values = np.vstack([(before - after)[points].astype(np.float64), np.zeros_like(still)])
    return places, values


def _thin_plate(squares: Floats) -> Floats:
    """r² log r of squared distances."""
    return np.asarray(0.5 * squares * np.log(np.maximum(squares, 1e-12)))


def _window(size: tuple[int, int], device: torch.device) -> Tensor:
    """(H, W): 1 within, exactly 0 along the border."""

    def along(count: int) -> Tensor:
        place = (torch.arange(count, device=device) + 0.5) / count
        return blur.smoothstep(0.02, 0.14, torch.minimum(place, 1 - place))

    return along(size[0])[:, None] * along(size[1])


def _below_eyes(after: Points, grid: _Grid) -> Tensor:
    """(h, w): 1 below the lids' line, 0 above."""
    right, left = (_below(after, line, grid)[0] for line in (RIGHT_EYE, LEFT_EYE))
    inner = after[[names.RIGHT_EYE_INNER, names.LEFT_EYE_INNER]].astype(np.float64)
    across = inner[1] - inner[0]
    length = max(float((across**2).sum()), 1.0)
    x, y = grid.x, grid.y
    along = ((x - inner[0, 0]) * across[0] + (y - inner[0, 1]) * across[1]) / length
    return torch.lerp(right, left, blur.smoothstep(0.2, 0.8, along))


def _below(after: Points, line: Line, grid: _Grid) -> tuple[Tensor, Tensor]:
    """(h, w): 1 below a line, 0 above, ever softer beyond the line's corners; and 1 where it is sharp, 0 beyond."""
    between = (after[list(line.upper)].astype(np.float64) + after[list(line.lower)]) / 2
    first, last = between[0], between[-1]
    half = max(float(np.hypot(*(last - first))) / 2, 1.0)
    across = (last - first) / (2 * half)
    down = np.array([-across[1], across[0]])
    local = between - (first + last) / 2
    bend = np.polyfit(local @ across / half, local @ down, 4)
    x, y = grid.x - float((first + last)[0] / 2), grid.y - float((first + last)[1] / 2)
    along = (x * float(across[0]) + y * float(across[1])) / half
    inside = along.clamp(-1, 1)
    curve = torch.zeros_like(along)
    for factor in bend:
        curve = curve * inside + float(factor)
    off = x * float(down[0]) + y * float(down[1]) - curve
    soft = _SHARP + (along.abs() - 0.96).clamp_min(0) * (_LOST * 2 * half)
    return blur.smoothstep(-1.0, 1.0, off / soft), 1 - blur.smoothstep(0.85, 1.05, along.abs())
