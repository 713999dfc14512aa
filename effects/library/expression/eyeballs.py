"""Eyes between their lids: the ball with its iris is a layer of its own, that lids cover and that a gaze turns."""

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

_EYES = (
    (names.RIGHT_EYE, names.RIGHT_IRIS, names.RIGHT_EYE_OUTER, names.RIGHT_EYE_INNER),
    (names.LEFT_EYE, names.LEFT_IRIS, names.LEFT_EYE_OUTER, names.LEFT_EYE_INNER),
)
# The edge of a lid, and how dark its shadow on the ball is.
_SOFT = 0.5


def put(result: Tensor, part: Tensor, before: Points, after: Points) -> None:
    """Lay the eyes into a face whose skin has moved already.

    Args:
        result: (1, 3, H, W) with the skin in its new place; written to.
        part: (1, 3, H, W), as it was.
        before: (478, 2), the face's points in pixels of both, old places.
        after: new places.
    """
    for outline, iris, outer, inner in _EYES:
        old, new = before[list(outline)], after[list(outline)]
        both = np.vstack([old, new])
        width = float(np.hypot(*(before[outer] - before[inner])))
        margin = 0.15 * width + 2
        (left, top), (right, bottom) = (both.min(0) - margin).tolist(), (both.max(0) + margin).tolist()
        left, top, right, bottom = boxes.clipped((left, top, right, bottom), *part.shape[-2:])
        if right - left < 3 or bottom - top < 3:
            continue
        size, corner = (bottom - top, right - left), np.array([left, top], np.float32)
        ball = _bared(part[..., top:bottom, left:right], old - corner)
        skin = (after - before)[[outer, inner]].mean(0)
        turn = (after - before)[list(iris)].mean(0) - skin
        shown = _turned(ball, turn, skin, before[[outer, inner]] - corner)
        if outlines.area(new) * outlines.area(old) <= 0:
            continue
        cover = outlines.inside(new - corner, size, soft=_SOFT, device=part.device)
        place = result[..., top:bottom, left:right]
        place.copy_(torch.lerp(place, shown, cover))


def _bared(eye: Tensor, outline: Points) -> Tensor:
    """The eye with what lids cover filled in from what is seen of it."""
    size = (eye.shape[-2], eye.shape[-1])
    seen = outlines.inside(outline, size, soft=0, device=eye.device)[None, None]
    seen = (seen > 0.9).to(eye.dtype)
    height = float(np.ptp(outline[:, 1]))
    filled, known = eye * seen, seen
    for reach in (0.06, 0.12, 0.25, 0.5, 1.0):
        near = blur.wide(torch.cat([eye * seen, seen], 1), max(0.6, reach * height))
        fresh = (1 - known) * (near[:, 3:] / 0.02).clamp(0, 1)
        filled = filled + fresh * near[:, :3] / near[:, 3:].clamp_min(1e-4)
        known = known + fresh
    return filled + (1 - known) * eye


def _turned(ball: Tensor, turn: Points, skin: Points, corners: Points) -> Tensor:
    """The ball moved with the skin around it, and turned: all of it but its corners, which stay."""
    height, width = ball.shape[-2:]
    middle, across = corners.mean(0) + skin, (corners[1] - corners[0]) / 2
    x = torch.arange(width, device=ball.device)[None, :] + 0.5
    y = torch.arange(height, device=ball.device)[:, None] + 0.5
    length = max(float((across**2).sum()), 1.0)
    along = ((x - float(middle[0])) * float(across[0]) + (y - float(middle[1])) * float(across[1])) / length
    share = 1 - blur.smoothstep(0.55, 1.0, along.abs())
    where = torch.stack([x - float(skin[0]) - share * float(turn[0]), y - float(skin[1]) - share * float(turn[1])], -1)
    where = where * torch.tensor([2 / width, 2 / height], device=ball.device) - 1
    options = {"mode": "bicubic", "padding_mode": "border", "align_corners": False}
    return functional.grid_sample(ball, where[None], **options)  # type: ignore[arg-type]
