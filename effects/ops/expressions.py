"""Gives a face another expression: skin by a dense field, then eyes and the inside of the mouth as layers behind it."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor
from torch.nn import functional

from effects.ops import eyeballs, face_field, mouth_inside, muscles
from effects.vision import boxes
from effects.vision.types import Face

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
    shift = face_field.shifts(before, after, size, eyes=asked.moves_eyes, mouth=asked.opens_mouth, device=frame.device)
    x = torch.arange(size[1], device=frame.device)[None, :] + 0.5
    y = torch.arange(size[0], device=frame.device)[:, None] + 0.5
    where = torch.stack([(x + shift[0]) * (2 / size[1]) - 1, (y + shift[1]) * (2 / size[0]) - 1], -1)
    result = functional.grid_sample(part, where[None], mode="bicubic", padding_mode="reflection", align_corners=False)
    result = torch.where(shift.abs().amax(0) > _LEAST, result.clamp_(0, 1), part)
    if asked.moves_eyes:
        eyeballs.put(result, part, before, after)
    if asked.opens_mouth:
        mouth_inside.put(result, part, before, after, shut)
    part.copy_(result)
