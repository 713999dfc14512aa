"""Puts a changed body back into its picture: the person moves by a field, the background stays exactly where it is."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional

from mayfly.effects.library.body import backdrop, body_field, body_shape, foreground
from mayfly.effects.shared import blur

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from mayfly.effects.library.body.body_field import Change
    from mayfly.effects.library.body.body_shape import Values
    from mayfly.effects.vision.types import Pose

# Edges and fills are found at so many pixels along the longer side of what moves.
_WORK_SIDE = 208
# Widths of bodies are measured on masks of so many pixels along the longer side.
_RULER_SIDE = 256
# Shifts in pixels: below the first nothing moves, above the second all does.
_STILL, _MOVES = 0.1, 0.7
# How much of a fill stays from frame to frame of a video, if colours differ by less than the second, or the third.
_STEADY, _ALIKE, _OTHER = 0.8, 0.06, 0.25
# What is more of a person than this is no background, nor is what is next to it, in widths of the shoulders.
_TRACE, _RIM = 0.03, 0.02


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Fill:
    """What was filled in behind a body in a video's last frame.

    Attributes:
        colours: (1, 3, H, W).
        there: (1, 1, H, W), 1 where they are, else 0.
    """

    colours: Tensor
    there: Tensor


def reshaped(
    frame: Tensor, mask: Tensor, pose: Pose, change: Change, before: Fill | None = None, *, remember: bool = False
) -> tuple[Tensor, Fill | None]:
    """A frame with a body changed, and what was filled in.

    Args:
        frame: (1, 3, H, W) float32 in 0…1.
        mask: (1, 1, H, W) float32: where people are.
        pose: the body's, in the frame's pixels.
        change: what to change.
        before: what was filled in in the video's last frame, which this one stays close to.
        remember: whether what is filled in is wanted.

    Returns:
        (1, 3, H, W), the frame itself where no part that is to change is in view; and what was filled in.
    """
    size = (frame.shape[-2], frame.shape[-1])
    factor = min(1.0, _RULER_SIDE / max(size))
    small = blur.reduce(mask, (max(1, round(size[0] * factor)), max(1, round(size[1] * factor))))
    ruler = np.ascontiguousarray(small[0, 0].cpu().numpy())
    body = body_shape.measure(pose, ruler, size)
    person = None if body is None else _box(ruler > 0.1, (0, 0, size[1], size[0]), 0.25 * body.unit, size)
    if body is None or person is None:
        return frame, None
    field = body_field.moves(body, change, person, size, _edges(ruler))
    far = np.linalg.norm(field, axis=-1)
    # No further than the change reaches.
    box = _box(far > _STILL, person, 0.12 * body.unit + 8, size)
    if box is None:
        return frame, None
    flow = _within(field, person, box)
    left, top, right, bottom = box
    part = frame[..., top:bottom, left:right]
    result = frame.clone()
    inside = (slice(None), slice(None), slice(top, bottom), slice(left, right))
    fill = Fill(colours=torch.zeros_like(frame), there=torch.zeros_like(mask)) if remember else None
    last, now = (one and Fill(colours=one.colours[inside], there=one.there[inside]) for one in (before, fill))
    core = torch.from_numpy(body_shape.core(body, pose, box, _work(part))).to(frame)
    result[inside] = _composed(part, mask[inside], core[None, None], flow, body.unit, last, now)
    return result, fill


def _edges(mask: Values) -> Values:
    """How much people touch the left, top, right and bottom border."""
    lines = (mask[:, :2], mask[:2], mask[:, -2:], mask[-2:])
    return np.array([blur.smoothstep(0.02, 0.06, float((line > 0.5).mean())) for line in lines], np.float32)


def _box(
    where: NDArray[np.bool_], place: tuple[int, int, int, int], margin: float, size: tuple[int, int]
) -> tuple[int, int, int, int] | None:
    """The pixels of a frame around what is true on a grid over `place`."""
    rows, columns = np.flatnonzero(where.any(1)), np.flatnonzero(where.any(0))
    if not len(rows):
        return None
    left, top, right, bottom = place
    across, down = (right - left) / where.shape[1], (bottom - top) / where.shape[0]
    box = (
        max(0, int(left + columns[0] * across - margin)),
        max(0, int(top + rows[0] * down - margin)),
        min(size[1], int(left + (columns[-1] + 1) * across + margin) + 1),
        min(size[0], int(top + (rows[-1] + 1) * down + margin) + 1),
    )
    return box if box[2] - box[0] > 3 and box[3] - box[1] > 3 else None


def _within(field: Values, place: tuple[int, int, int, int], box: tuple[int, int, int, int]) -> Values:
    """A field over `place` resampled over a box: (n, m, 2), at least two nodes a side."""
    import cv2

    left, top, right, bottom = place
    across, down = (right - left) / field.shape[1], (bottom - top) / field.shape[0]
    columns = max(2, round((box[2] - box[0]) / across))
    rows = max(2, round((box[3] - box[1]) / down))
    x = (box[0] + (np.arange(columns) + 0.5) * (box[2] - box[0]) / columns - left) / across - 0.5
    y = (box[1] + (np.arange(rows) + 0.5) * (box[3] - box[1]) / rows - top) / down - 0.5
    grid_x, grid_y = np.meshgrid(x.astype(np.float32), y.astype(np.float32))
    # Outside of the person's box nothing moves.
    return np.asarray(cv2.remap(field, grid_x, grid_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.float32)


def _composed(
    part: Tensor, mask: Tensor, core: Tensor, flow: Values, unit: float, before: Fill | None, fill: Fill | None
) -> Tensor:
    """A part of a frame with the person moved by a field; at full size only where something changes.

    What is filled in is written to `fill`.
    """
    height, width = part.shape[-2:]
    work = _work(part)
    factor = work[0] / height
    small = blur.reduce(part, work)
    person = foreground.estimated(small, blur.reduce(mask, work), core, max(2, round(0.03 * unit * factor)))
    # What is next to the person still holds a little of it.
    ring = 1 + round(_RIM * unit * factor)
    hidden = functional.max_pool2d((person.alpha > _TRACE).to(part.dtype), 2 * ring + 1, 1, ring)
    field = torch.from_numpy(flow).permute(2, 0, 1)[None].to(part.device)
    # In halves of the part, as grid_sample counts.
    field = field * torch.tensor([2 / width, 2 / height], device=part.device).view(1, 2, 1, 1)
    moved_alpha = _sampled(person.alpha, _places(blur.enlarge(field, work)))
    far = functional.max_pool2d(torch.from_numpy(np.linalg.norm(flow, axis=-1))[None, None].to(part.device), 3, 1, 1)
    gate = blur.smoothstep(_STILL, _MOVES, far)
    moves = blur.enlarge(gate, work) > 0
    inside = (functional.max_pool2d(1 - moved_alpha, 3, 1, 1) < 0.01) & moves
    rim = ((functional.max_pool2d(moved_alpha, 3, 1, 1) > 0.01) | (hidden > 0)) & moves & ~inside
    depth = float(np.linalg.norm(flow, axis=-1).max()) * factor + ring
    plan = backdrop.plan(part, small, 1 - hidden, rim & (moved_alpha < 0.99), depth)
    where = _places(blur.enlarge(field, (height, width)))
    moved = _sampled(part, where, mode="bicubic").clamp_(0, 1)
    whole = torch.where(_nearest(inside, (height, width)), moved, part)
    rows, columns = torch.nonzero(_nearest(rim, (height, width))[0, 0], as_tuple=True)
    if len(rows):
        here = torch.stack([(columns + 0.5) * (2 / width) - 1, (rows + 0.5) * (2 / height) - 1], -1)
        alpha, own = foreground.extracted(_listed(person.planes, where[rows, columns]), moved[0][:, rows, columns])
        behind, sure = backdrop.colours(part, plan, here)
        # Rather what may hold a little of the person than a guess.
        old = part[0][:, rows, columns]
        covered = foreground.extracted(_listed(person.planes, here), old)[0]
        behind = torch.where(covered < _TRACE, torch.lerp(old, behind, sure), behind)
        if before is not None:
            behind = _steady(behind, before.colours[0][:, rows, columns], before.there[0][:, rows, columns])
        if fill is not None:
            fill.colours[0][:, rows, columns] = behind
            fill.there[0][:, rows, columns] = 1
        new = torch.lerp(behind, own, alpha)
        whole[0][:, rows, columns] = torch.lerp(old, new, _listed(gate, here))
    return whole


def _work(part: Tensor) -> tuple[int, int]:
    """The size at which a part's edges and fills are found."""
    height, width = part.shape[-2:]
    factor = min(1.0, _WORK_SIDE / max(height, width))
    return max(2, round(height * factor)), max(2, round(width * factor))


def _steady(now: Tensor, before: Tensor, there: Tensor) -> Tensor:
    """Colours that stay close to those before, where they are not others altogether."""
    other = blur.smoothstep(_ALIKE, _OTHER, (now - before).abs().amax(0, keepdim=True))
    return torch.lerp(now, before, _STEADY * there * (1 - other))


def _places(shift: Tensor) -> Tensor:
    """Where pixels come from, (H, W, 2), x and y from −1 to 1; shifts are (1, 2, H, W) in these units."""
    height, width = shift.shape[-2:]
    x = (torch.arange(width, device=shift.device, dtype=shift.dtype) + 0.5) * (2 / width) - 1
    y = (torch.arange(height, device=shift.device, dtype=shift.dtype) + 0.5) * (2 / height) - 1
    return torch.stack([shift[0, 0] + x, shift[0, 1] + y[:, None]]).permute(1, 2, 0)


def _sampled(image: Tensor, places: Tensor, mode: str = "bilinear") -> Tensor:
    return functional.grid_sample(image, places[None], mode=mode, padding_mode="border", align_corners=False)


def _listed(planes: Tensor, places: Tensor) -> Tensor:
    """(1, C, h, w) at (N, 2) places: (C, N)."""
    return _sampled(planes, places[None])[0, :, 0]


def _nearest(mask: Tensor, size: tuple[int, int]) -> Tensor:
    return functional.interpolate(mask.to(torch.uint8), size=size, mode="nearest") > 0
