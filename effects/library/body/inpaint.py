"""Finds by which shift a background looks like itself: along its lines, or by a period of its tiles.

After He and Sun, "Statistics of patch offsets for image completion" (ECCV 2012): few shifts explain most of a picture.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from mayfly.effects.shared import blur

if TYPE_CHECKING:
    from torch import Tensor

_SECTORS = 16
# Mean squared differences of colours that count as the same; where there is structure, that of a shift by half a pixel.
_SAME, _HALF = 0.0012, 0.25
# Places at which a shift is made exact.
_EXAMPLES = 600
# Of fewer places none is filled by a shift of their own.
_FEWEST = 24


def found(picture: Tensor, image: Tensor, known: Tensor, wanted: Tensor, depth: float) -> tuple[Tensor, Tensor]:
    """The first of few shifts under which what is around a place is the same there.

    Args:
        picture: (1, 3, H, W) float32 in 0…1.
        image: (1, 3, h, w), the same, smaller.
        known: (1, 1, h, w) float32, 1 where it is background, else 0.
        wanted: (1, 1, h, w) bool: where colours are needed.
        depth: how far into what is hidden that is, in pixels of `image`.

    Returns:
        (1, 2, h, w) rows and columns in pixels of `picture`, and (1, 1, h, w) bool: whether there is such a shift.
    """
    shifts = torch.zeros_like(image[:, :2])
    chosen = torch.zeros_like(wanted)
    reach = 2 * round(depth) + 6
    near = _near(wanted, reach) * known
    options = _options(image, known, near, depth)
    if not options:
        return shifts, chosen
    margin = max(max(abs(rows), abs(columns)) for rows, columns in options)
    padded = functional.pad(torch.cat([image * known, known], 1), (margin,) * 4)
    radius = max(3, round(depth) + 2)
    half = (max(1, known.shape[-2] // 2), max(1, known.shape[-1] // 2))
    slopes = (image[..., 1:, :-1] - image[..., :-1, :-1]) ** 2 + (image[..., :-1, 1:] - image[..., :-1, :-1]) ** 2
    inner = functional.pad(-functional.max_pool2d(-known, 2, 1), (0, 1, 0, 1))
    energy = functional.pad(slopes.sum(1, keepdim=True), (0, 1, 0, 1)) * inner
    allowed = _around(torch.cat([energy, inner], 1), radius, half)
    most = _SAME + _HALF * allowed[:, :1] / allowed[:, 1:].clamp_min(1e-4)
    least = 8 / (2 * radius + 1) ** 2
    scale = torch.tensor([picture.shape[-2] / known.shape[-2], picture.shape[-1] / known.shape[-1]])
    open_ = wanted.clone()
    for rows, columns in options:
        there = blur.shift(padded, rows, columns, margin)
        pairs = there[:, 3:] * known
        difference = (there[:, :3] - image).square().sum(1, keepdim=True) * pairs
        counted = _around(torch.cat([difference, pairs], 1), radius, half)
        same = (counted[:, :1] < most * counted[:, 1:]) & (counted[:, 1:] > least)
        fits = functional.interpolate(same.to(torch.uint8), size=known.shape[-2:], mode="nearest") > 0
        fits = fits & (there[:, 3:] > 0) & open_
        if int(fits.sum()) < _FEWEST:
            continue
        exact = _exact(picture, pairs * energy, fits, radius, scale, (rows, columns))
        shifts = torch.where(fits, exact.to(shifts).view(1, 2, 1, 1), shifts)
        chosen, open_ = chosen | fits, open_ & ~fits
        if not bool(open_.any()):
            break
    return shifts, chosen


def _options(image: Tensor, known: Tensor, near: Tensor, depth: float) -> list[tuple[int, int]]:
    """For each direction the shift under which all that is near fits best, the best first."""
    height, width = known.shape[-2:]
    least, most = 1.2 * depth + 2, min(4 * depth + 16, 0.5 * min(height, width))
    if most <= least or not bool(near.any()):
        return []
    furthest = math.ceil(most)
    size = (height + furthest, width + furthest)
    level = image - (image * near).sum((2, 3), keepdim=True) / near.sum().clamp_min(1)
    square = level.square().sum(1, keepdim=True)
    here = torch.fft.rfft2(torch.cat([near, near * square, near * level], 1), s=size).conj()
    there = torch.fft.rfft2(torch.cat([known * square, known, known * level], 1), s=size)
    # What |a − b|² is when multiplied out.
    differences = here[:, 0] * there[:, 0] + here[:, 1] * there[:, 1] - 2 * (here[:, 2:] * there[:, 2:]).sum(1)
    sums = torch.fft.irfft2(torch.cat([differences, here[:, 0] * there[:, 1]]), s=size)
    steps = torch.arange(-furthest, furthest + 1, device=image.device)
    differences, counts = sums[:, steps % size[0]][:, :, steps % size[1]]
    cost = differences / counts.clamp_min(1)
    length = torch.hypot(steps[:, None].float(), steps[None].float())
    cost = torch.where((length > least) & (length <= most) & (counts > 0.25 * near.sum()), cost, math.inf)
    sector = torch.atan2(steps[:, None].float(), steps[None].float()) * (_SECTORS / (2 * math.pi))
    sector = sector.round().long() % _SECTORS
    best = []
    for number in range(_SECTORS):
        costs = torch.where(sector == number, cost, math.inf).flatten()
        value, index = costs.min(0)
        if math.isfinite(float(value)):
            row, column = divmod(int(index), len(steps))
            best.append((float(value), row - furthest, column - furthest))
    return [(row, column) for _, row, column in sorted(best)]


def _exact(picture: Tensor, energy: Tensor, fits: Tensor, radius: int, scale: Tensor, shift: tuple[int, int]) -> Tensor:
    """A shift in whole pixels of the full picture: rows and columns."""
    coarse = (torch.tensor(shift, dtype=torch.float32) * scale).round()
    reach = math.ceil(float(scale.max()) / 2)
    if float(scale.max()) <= 1:
        return coarse
    around = _near(fits, radius) * energy
    strength, places = around.flatten().topk(min(_EXAMPLES, around.numel()))
    places = places[strength > 0]
    if not len(places):
        return coarse
    height, width = picture.shape[-2:]
    rows = ((places // energy.shape[-1] + 0.5) * float(scale[0])).long()
    columns = ((places % energy.shape[-1] + 0.5) * float(scale[1])).long()
    tries = torch.arange(-reach, reach + 1, device=picture.device)
    more, beside = (grid.flatten()[:, None] for grid in torch.meshgrid(tries, tries, indexing="ij"))
    from_rows = (rows + int(coarse[0]) + more).clamp(0, height - 1)
    from_columns = (columns + int(coarse[1]) + beside).clamp(0, width - 1)
    cost = (picture[0][:, from_rows, from_columns] - picture[0][:, rows, columns][:, None]).square().sum((0, 2))
    best = int((cost + 1e-4 * (more**2 + beside**2)[:, 0]).argmin())
    return coarse + torch.tensor([float(more[best]), float(beside[best])])


def _near(mask: Tensor, radius: int) -> Tensor:
    """1 where anything is true within a square, else 0."""
    return (_window(mask.to(torch.float32), radius) > 0.25 / (2 * radius + 1) ** 2).to(torch.float32)


def _around(image: Tensor, radius: int, half: tuple[int, int]) -> Tensor:
    """The mean over a square, on about half the size, which is enough for it."""
    return _window(functional.adaptive_avg_pool2d(image, half), max(1, round(radius / 2)))


def _window(image: Tensor, radius: int) -> Tensor:
    """The mean over a square of an (N, C, H, W) picture, by running sums; the border counts as 0."""
    for axis in (2, 3):
        length = image.shape[axis]
        padding = (0, 0, radius + 1, radius) if axis == 2 else (radius + 1, radius, 0, 0)
        sums = functional.pad(image, padding).cumsum(axis)
        image = sums.narrow(axis, 2 * radius + 1, length) - sums.narrow(axis, 0, length)
    return image / (2 * radius + 1) ** 2
