"""From a frame and what was found in it to the soft masks of garments, at the frame's own size."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from mayfly.effects.library.fashion import garments
from mayfly.effects.shared import blur, colour
from mayfly.effects.vision import pose_points as joint

if TYPE_CHECKING:
    from mayfly.effects.library.fashion.garments import Part
    from mayfly.effects.library.fashion.materials import Material
    from mayfly.effects.vision.types import Face, Pose

# Garments are told apart on a picture of so many pixels along the longer side; edges are then found at full size.
_WORK_SIDE = 384


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Garment:
    """One garment of a frame.

    Attributes:
        part: which.
        alpha: (1, H, W) float32, 0…1, on the frame's device.
        cloth: its main cloth, to know it again in a video's next frame.
    """

    part: Part
    alpha: Tensor
    cloth: Material | None


def wearer(pose: Pose, faces: list[Face]) -> Face | None:
    """The face of the body: the one nearest to its nose, if it is near."""
    nose = pose.points[joint.NOSE]
    near = [
        (float(np.hypot(*(face.points.mean(0) - nose))), index)
        for index, face in enumerate(faces)
        if np.hypot(*(face.points.mean(0) - nose)) < face.size
    ]
    return faces[min(near)[1]] if near else None


def find(
    frame: Tensor,
    person: Tensor,
    pose: Pose,
    face: Face | None,
    *,
    parts: tuple[Part, ...],
    whole: bool,
    near: dict[Part, Material | None],
) -> list[Garment]:
    """The garments of a frame that are in view.

    Args:
        frame: (3, H, W) float32 in 0…1.
        person: (1, H, W) float32 in 0…1, from mayfly.effects.vision.finder.Finder.person.
        pose: of the wearer.
        face: of the wearer.
        parts: which garments.
        whole: see mayfly.effects.library.fashion.garments.find.
        near: each part's main cloth in the frame before, where there was one.
    """
    size = (frame.shape[-2], frame.shape[-1])
    factor = min(1.0, _WORK_SIDE / max(size))
    small = (max(1, round(size[0] * factor)), max(1, round(size[1] * factor)))
    work = blur.reduce(frame[None], small)
    subject = garments.Subject(
        lab=np.ascontiguousarray(colour.srgb_to_oklab(work)[0].permute(1, 2, 0).cpu().numpy()),
        person=blur.reduce(person[None], small)[0, 0].cpu().numpy(),
        pose=dataclasses.replace(pose, points=pose.points * np.float32(factor)),
        face=None if face is None else _scaled(face, factor),
    )
    found = []
    for part in parts:
        if garments.is_in_view(subject.pose, part, small[0]):
            mask, cloth = garments.find(subject, part, whole=whole, near=near.get(part))
            if mask.any():
                alpha = torch.from_numpy(mask.astype(np.float32))[None, None].to(frame.device)
                found.append(Garment(part=part, alpha=_refined(alpha, frame[None], person[None])[0], cloth=cloth))
    return found


def _scaled(face: Face, factor: float) -> Face:
    left, top, right, bottom = face.box
    box = (left * factor, top * factor, right * factor, bottom * factor)
    return dataclasses.replace(face, points=face.points * np.float32(factor), box=box)


def _refined(mask: Tensor, frame: Tensor, person: Tensor) -> Tensor:
    """A small hard mask (1, 1, h, w) to a soft one that follows the edges of the full frame (1, 3, H, W).

    The guided filter with a guide in colour (He, Sun and Tang, 2010).
    """
    height, width = frame.shape[-2:]
    grown = functional.interpolate(mask, size=(height, width), mode="bilinear", align_corners=False)
    radius = max(1, round(2 * height / mask.shape[-2]))
    guide = np.ascontiguousarray(frame[0].permute(1, 2, 0).cpu().numpy())
    filtered = cv2.ximgproc.guidedFilter(guide, grown[0, 0].cpu().numpy(), radius, 3e-4)
    guided = torch.from_numpy(filtered)[None, None].to(frame.device)
    # Not beyond a few pixels of what was found, whatever the filter made of it.
    reach = blur.enlarge(functional.max_pool2d(mask, 3, 1, 1), (height, width))
    gate = blur.smoothstep(0.2, 0.5, person) * reach
    return blur.smoothstep(0.06, 0.62, guided).mul(gate).clamp_(0, 1)
