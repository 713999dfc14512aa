"""Moves parts of a face a little: slimmer cheeks, larger eyes; pixels out of their reach stay exactly as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from mayfly.effects.shared import blur
from mayfly.effects.vision import face_points as points
from mayfly.effects.vision.types import Face

if TYPE_CHECKING:
    from mayfly.effects.vision.types import Points

# At the strongest: the share of a cheek's distance from the middle that it moves, and by how much an eye grows.
_SLIMMER, _LARGER = 0.12, 0.22
# How far the field reaches: in half widths of the face, and in widths of an eye.
_REACH, _EYE_REACH = 1.7, 1.15
# Shifts in pixels below which a pixel is not touched.
_LEAST = 0.02


def reach(face: Face) -> tuple[float, float, float, float]:
    """The part of a frame that can move: left, top, right, bottom in its pixels."""
    left, top, right, bottom = face.box
    return left - 0.6 * face.size, top - 0.2 * face.size, right + 0.6 * face.size, bottom + 0.4 * face.size


def warped(part: Tensor, face: Face, *, corner: tuple[int, int], slim: float, eye_size: float) -> Tensor:
    """A part of a frame with the face's form changed.

    Args:
        part: (1, 3, H, W) float32; large enough for `reach`, or cut by the frame's border.
        face: in the frame's pixels.
        corner: left and top of the part in the frame.
        slim: −1 wider … 1 slimmer.
        eye_size: −1 smaller … 1 larger.
    """
    height, width = part.shape[-2:]
    x = torch.arange(width, device=part.device).view(1, -1) + (0.5 + corner[0])
    y = torch.arange(height, device=part.device).view(-1, 1) + (0.5 + corner[1])
    move = torch.zeros(height, width, 2, device=part.device)
    if slim:
        _slim(move, x, y, face, slim)
    if eye_size:
        for outer, inner in (
            (points.RIGHT_EYE_OUTER, points.RIGHT_EYE_INNER),
            (points.LEFT_EYE_OUTER, points.LEFT_EYE_INNER),
        ):
            _grow(move, x, y, face.points[[outer, inner]], eye_size)
    # The frame's own border stays where it is.
    moved = (move.abs().amax(-1) > _LEAST).view(1, 1, height, width)
    where = torch.stack([x - corner[0] + move[..., 0], y - corner[1] + move[..., 1]], -1)
    where = where * torch.tensor([2 / width, 2 / height], device=part.device) - 1
    result = functional.grid_sample(part, where[None], mode="bicubic", padding_mode="reflection", align_corners=False)
    return torch.where(moved, result.clamp(0, 1), part)


def _slim(move: Tensor, x: Tensor, y: Tensor, face: Face, amount: float) -> None:
    """Cheeks and jaw towards the face's middle line, most at the jaw, nothing above the eyes."""
    top, chin = face.points[points.BETWEEN_EYES], face.points[points.CHIN]
    length = max(float(np.linalg.norm(chin - top)), 1.0)
    down = (chin - top) / length
    along = ((x - float(top[0])) * float(down[0]) + (y - float(top[1])) * float(down[1])) / length
    across, height = np.stack([down[1], -down[0]]), along.cpu().numpy()
    side = (x - float(top[0])) * float(across[0]) + (y - float(top[1])) * float(across[1])
    for sign, contour in ((-1.0, points.RIGHT_JAW), (1.0, points.LEFT_JAW)):
        edge = face.points[list(contour)] - top
        wide = sign * (edge @ across)
        # How wide this side is at each height; the chin's narrow end would pinch.
        widths = np.maximum(wide, 0.5 * max(float(wide.max()), 0.15 * length))
        order = np.argsort(edge @ down)
        half = np.interp(height, (edge @ down)[order] / length, widths[order])
        local = torch.from_numpy(half.astype(np.float32)).to(x.device)
        out = (side * sign / local).clamp_min(0)
        # Nothing at the nose, all at the contour, nothing again beyond the reach.
        share = blur.smoothstep(0.3, 1.0, out) * (1 - blur.smoothstep(0.95, _REACH, out))
        share *= blur.smoothstep(-0.05, 0.6, along) * (1 - blur.smoothstep(0.8, 1.3, along))
        shift = amount * _SLIMMER * local * sign * share
        move[..., 0].add_(shift * float(across[0]))
        move[..., 1].add_(shift * float(across[1]))


def _grow(move: Tensor, x: Tensor, y: Tensor, corners: Points, amount: float) -> None:
    """Enlarge around the middle of an eye, less and less outwards."""
    middle = corners.mean(0)
    radius = max(_EYE_REACH * float(np.linalg.norm(corners[1] - corners[0])), 1.0)
    across, down = x - float(middle[0]), y - float(middle[1])
    falling = (1 - (across * across + down * down) / radius**2).clamp_min(0) ** 2
    share = (amount * _LARGER / (1 + max(amount, 0) * _LARGER)) * falling
    move[..., 0].sub_(across * share)
    move[..., 1].sub_(down * share)
