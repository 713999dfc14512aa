"""What shows between open lips: the teeth that were seen before, or drawn ones, a tongue, and the dark behind them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from mayfly.effects.library.expression import outlines
from mayfly.effects.shared import blur
from mayfly.effects.vision import boxes
from mayfly.effects.vision import face_points as names

if TYPE_CHECKING:
    from mayfly.effects.vision.types import Points

# In widths of the mouth: an opening below which no teeth are seen, and how long upper teeth look.
_SEEN, _TEETH = 0.045, 0.12
# Where one tooth ends and the next begins, from the middle, in half widths of the mouth, and how wide the gap is.
_BETWEEN, _GAP = (0.0, 0.23, 0.4, 0.57, 0.74), 0.014

# Where the lips' colour and the light on the face are seen.
_LIPS = (*names.LOWER_LIP_BOTTOM[3:-3], *names.UPPER_LIP_TOP[3:-3])
_CHEEKS = (50, 280, names.RIGHT_CHEEK, names.LEFT_CHEEK, 151)


def put(result: Tensor, part: Tensor, before: Points, after: Points, shut: Points) -> None:
    """Lay the inside of the mouth between lips that have moved already.

    Args:
        result: (1, 3, H, W) in 0…1 with the lips in their new place; written to.
        part: (1, 3, H, W), as it was.
        before: (478, 2), the face's points in pixels of both, old places.
        after: new places.
        shut: `after` without what the jaw does: the part of the skull that teeth are fixed to.
    """
    old, new = before[list(names.INNER_LIPS)], after[list(names.INNER_LIPS)]
    wide = float(np.hypot(*(after[names.LEFT_MOUTH_CORNER] - after[names.RIGHT_MOUTH_CORNER])))
    if abs(outlines.area(new)) < 0.004 * wide * wide:
        return
    both = np.vstack([old, new])
    (left, top), (right, bottom) = (both.min(0) - 3).tolist(), (both.max(0) + 3).tolist()
    left, top, right, bottom = boxes.clipped((left, top, right, bottom), *part.shape[-2:])
    if right - left < 3 or bottom - top < 3:
        return
    corner = np.array([left, top], np.float32)
    source, place = part[..., top:bottom, left:right], result[..., top:bottom, left:right]
    size = (bottom - top, right - left)
    cover = outlines.inside(new - corner, size, soft=max(0.5, 0.006 * wide), device=part.device)
    inside = _Inside(before - corner, after - corner, shut - corner, size, part.device)
    if not inside.drops() and abs(outlines.area(old)) < 0.004 * wide * wide:
        return
    inside.lips = _colour(part, before, _LIPS)
    inside.light = _colour(part, before, _CHEEKS).amax().clamp_max(0.95).view(1, 1, 1, 1)
    place.copy_(torch.lerp(place, inside.drawn(source), cover).clamp(0, 1))


class _Inside:
    """A mouth's own coordinates, and the tones of the face around it."""

    lips: Tensor
    light: Tensor

    def __init__(
        self, before: Points, after: Points, shut: Points, size: tuple[int, int], device: torch.device
    ) -> None:
        self.before, self.after, self.shut, self.size, self.device = before, after, shut, size, device
        first, last = after[names.INNER_LIPS[0]], after[names.INNER_LIPS[10]]
        self.half = max(float(np.hypot(*(last - first))) / 2, 1.0)
        across = (last - first) / (2 * self.half)
        down = np.array([-across[1], across[0]])
        middle = (first + last) / 2
        x = torch.arange(size[1], device=device)[None, :] + (0.5 - float(middle[0]))
        y = torch.arange(size[0], device=device)[:, None] + (0.5 - float(middle[1]))
        self.along = (x * float(across[0]) + y * float(across[1])) / self.half
        self.depth = x * float(down[0]) + y * float(down[1])
        self._axes = (across / self.half, down, middle)
        self._x, self._y = x + float(middle[0]), y + float(middle[1])

    def drawn(self, source: Tensor) -> Tensor:
        """(1, 3, h, w): the inside everywhere, to be seen between the lips."""
        upper, lower = (self._line(self.after, points) for points in (names.UPPER_LIP_BOTTOM, names.LOWER_LIP_TOP))
        gap = (lower - upper).clamp_min(1e-3)
        below = ((self.depth - upper) / gap).clamp(0, 1)
        dark = self._dark(below)
        gaps = self.before[list(names.LOWER_LIP_TOP), 1] - self.before[list(names.UPPER_LIP_BOTTOM), 1]
        if float(gaps.max()) > _SEEN * 2 * self.half:
            return self._kept(source, dark)
        return self._with_teeth(dark, gap, upper)

    def _dark(self, below: Tensor) -> Tensor:
        """The palate's and throat's dark, with a tongue in front of it."""
        red = self.light * torch.tensor([0.17, 0.05, 0.05], device=self.device).view(1, 3, 1, 1)
        base, tongue = red.expand(-1, -1, *self.size), (self.lips * 0.6 + red).expand(-1, -1, *self.size)
        bump = blur.smoothstep(0.45, 0.95, below + 0.12 * (1 - self.along.clamp(-1, 1) ** 2))
        bump = bump * (1 - blur.smoothstep(0.45, 0.9, self.along.abs()))
        shade = torch.lerp(base, tongue, bump * min(1.0, self._opening() / (0.7 * self.half)))
        # Under the upper lip and at the corners it is darkest.
        return shade * (0.55 + 0.45 * below) * (1 - 0.5 * blur.smoothstep(0.5, 1.0, self.along.abs()))

    def _with_teeth(self, dark: Tensor, gap: Tensor, upper: Tensor) -> Tensor:
        """Drawn upper teeth, which are as long as the opening lets them be seen."""
        seen = blur.smoothstep(_SEEN, 3 * _SEEN, gap.new_tensor(self._opening() / (2 * self.half)))
        profile = (1 - (self.along / 0.86) ** 2).clamp_min(0) ** 0.35
        length = torch.minimum(_TEETH * 2 * self.half * profile, 0.55 * gap)
        distance = self.depth - upper
        edge = max(0.7, 0.012 * self.half)
        teeth = blur.smoothstep(-edge, edge, length - distance) * (profile > 0) * seen
        tone = self.light * torch.tensor([1.0, 0.95, 0.86], device=self.device).view(1, 3, 1, 1)
        shade = 0.82 + 0.18 * blur.smoothstep(0.0, 0.5, distance / length.clamp_min(1))
        shade = shade * (1 - 0.55 * self.along**2).clamp_min(0.2)
        for place in _BETWEEN:
            for side in (-1, 1) if place else (1,):
                away = (self.along - side * place) / _GAP
                shade = shade * (1 - 0.14 * torch.exp(-0.5 * away**2))
        return torch.lerp(dark, tone * shade, teeth)

    def _kept(self, source: Tensor, dark: Tensor) -> Tensor:
        """What was seen before, which is fixed to the skull, in front of the dark."""
        outline = self.before[list(names.INNER_LIPS)]
        seen = outlines.inside(outline, self.size, soft=0, device=self.device)[None, None]
        seen = (seen > 0.9).to(source.dtype)
        filled, known = source * seen, seen
        for reach in (0.03, 0.06, 0.12, 0.25):
            near = blur.wide(torch.cat([source * seen, seen], 1), max(0.6, reach * 2 * self.half))
            fresh = (1 - known) * (near[:, 3:] / 0.02).clamp(0, 1)
            filled = filled + fresh * near[:, :3] / near[:, 3:].clamp_min(1e-4)
            known = known + fresh
        # It bends with the lips as far as the jaw has no part in it.
        middles = [
            (self._line(points, names.UPPER_LIP_BOTTOM) + self._line(points, names.LOWER_LIP_TOP)) / 2
            for points in (self.before, self.shut)
        ]
        lift = middles[0] - middles[1]
        down = self._axes[1]
        height, width = self.size
        where = torch.stack(
            [(self._x + lift * float(down[0])) * (2 / width) - 1, (self._y + lift * float(down[1])) * (2 / height) - 1],
            -1,
        )
        both = functional.grid_sample(
            torch.cat([filled, known.clamp(0, 1)], 1), where[None], padding_mode="border", align_corners=False
        )
        # Sideways and under the upper lip it goes on; where the jaw has dropped it does not.
        old, new = (self._line(points, names.LOWER_LIP_TOP) for points in (self.before, self.shut))
        bottom = torch.maximum(old - lift, new)
        edge = max(0.8, 0.03 * self.half)
        upto = 1 - blur.smoothstep(-2.0 * edge, 0.3 * edge, self.depth - bottom) if self.drops() else 1.0
        return torch.lerp(dark, both[:, :3], (upto * both[:, 3:]).clamp(0, 1))

    def drops(self) -> bool:
        lips = list(names.LOWER_LIP_TOP)
        return float(np.abs(self.after[lips] - self.shut[lips]).max()) > 0.02 * self.half

    def _opening(self) -> float:
        gaps = self.after[list(names.LOWER_LIP_TOP)] - self.after[list(names.UPPER_LIP_BOTTOM)]
        return float(np.hypot(*gaps.T).max())

    def _line(self, points: Points, indices: tuple[int, ...]) -> Tensor:
        """How deep a lip's edge lies at each place along the mouth, in pixels."""
        across, down, middle = self._axes
        local = points[list(indices)] - middle
        bend = np.polyfit(local @ across, local @ down, 4)
        inside = self.along.clamp(-1.05, 1.05)
        curve = torch.zeros_like(inside)
        for factor in bend:
            curve = curve * inside + float(factor)
        return curve


def _colour(part: Tensor, points: Points, indices: tuple[int, ...]) -> Tensor:
    """The mean colour at some points, (1, 3, 1, 1)."""
    places = np.round(points[list(indices)] - 0.5).astype(int)
    x, y = np.clip(places[:, 0], 0, part.shape[-1] - 1), np.clip(places[:, 1], 0, part.shape[-2] - 1)
    return part[0][:, y, x].mean(1).view(1, 3, 1, 1)
