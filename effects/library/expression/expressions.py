"""Gives a face another expression: skin by a dense field, then eyes and the inside of the mouth as layers behind it."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor
from torch.nn import functional

from mayfly.effects.library.expression import eyeballs, face_field, mouth_inside, muscles
from mayfly.effects.vision import boxes
from mayfly.effects.vision.types import Face

# Shifts in pixels below which a pixel stays exactly as it is.
_LEAST = 0.02


def change(frame: Tensor, face: Face, asked: muscles.Expression) -> None:
    """Change the expression of one face in place.

    Args:
        frame: (1, 3, H, W) float32 in 0…1; written to within 0.4 sizes of the face around its box.
        face: in the frame's pixels.
        asked: what it is to show.
    """
    more = face_field.MARGIN * face.size
    left, top, right, bottom = face.box
    left, top, right, bottom = boxes.clipped(
        (left - more, top - more, right + more, bottom + more), frame.shape[-2], frame.shape[-1]
    )
    if right - left < 16 or bottom - top < 16:
        return
    part = frame[..., top:bottom, left:right]
    corner = part.new_tensor([left, top]).cpu().numpy()
    before, after = face.points - corner, muscles.moved(face, asked) - corner
    shut = muscles.moved(face, dataclasses.replace(asked, mouth_open=min(asked.mouth_open, 0.0))) - corner
    size = (bottom - top, right - left)
    shift, seams = face_field.shifts(
        before, after, size, eyes=asked.moves_eyes, mouth=asked.opens_mouth, device=frame.device
    )
    result = _sampled(part, shift, (0, 0))
    for seam in seams:
        box = (..., slice(seam.box[1], seam.box[3]), slice(seam.box[0], seam.box[2]))
        # Colours are mixed, and not places: between two places lies something else.
        result[box] = torch.lerp(result[box], _sampled(part, seam.below, seam.box[:2]), seam.share)
    if asked.moves_eyes:
        eyeballs.put(result, part, before, after)
    if asked.opens_mouth:
        mouth_inside.put(result, part, before, after, shut)
    part.copy_(result)


def _sampled(part: Tensor, shift: Tensor, corner: tuple[int, int]) -> Tensor:
    """The (1, 3, H, W) part as it is `shift`, (2, h, w), away from a box whose left and top are given."""
    height, width = part.shape[-2:]
    left, top = corner
    bottom, right = top + shift.shape[1], left + shift.shape[2]
    x = torch.arange(left, right, device=part.device)[None, :] + 0.5
    y = torch.arange(top, bottom, device=part.device)[:, None] + 0.5
    where = torch.stack([(x + shift[0]) * (2 / width) - 1, (y + shift[1]) * (2 / height) - 1], -1)
    moved = functional.grid_sample(part, where[None], mode="bicubic", padding_mode="reflection", align_corners=False)
    return torch.where(shift.abs().amax(0) > _LEAST, moved.clamp_(0, 1), part[..., top:bottom, left:right])
