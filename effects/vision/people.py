"""Finds a body's points, and masks of people: only where a body or a face says that there is somebody."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from mayfly.effects.vision import boxes, faces
from mayfly.effects.vision.types import Pose

if TYPE_CHECKING:
    from mayfly.effects.vision.models import Models, Picture, Values

# Larger pictures tell the models nothing more; pixels along the longer side.
_LONGEST = 1024
_LEAST_VISIBLE = 0.5
_MOST_PEOPLE = 8
# As a share of the longer side.
_LEAST_FACE = 0.05


def pose(models: Models, picture: Picture) -> Pose | None:
    """The points of the most prominent person."""
    height, width = picture.shape[:2]
    small = _reduced(picture)
    values = models.pose(small)
    if values is None:
        return None
    scale = np.array([width / small.shape[1], height / small.shape[0]], np.float32)
    return Pose(points=values[:, :2] * scale, visibility=np.clip(values[:, 2], 0, 1))


def mask(models: Models, picture: Picture) -> Values:
    """(H, W) float32, 0…1; the model sees things as people where there are none, so each person is found first."""
    height, width = picture.shape[:2]
    result = np.zeros((height, width), np.float32)
    for box in _people(models, picture):
        left, top, right, bottom = boxes.clipped(box, height, width)
        if right - left < 2 or bottom - top < 2:
            continue
        crop = picture[top:bottom, left:right]
        found = models.person(np.ascontiguousarray(_reduced(crop)))
        whole = cv2.resize(found, (right - left, bottom - top), interpolation=cv2.INTER_LINEAR)
        part = result[top:bottom, left:right]
        np.maximum(part, whole, out=part)
    return np.clip(result, 0, 1, out=result)


def _people(models: Models, picture: Picture) -> list[boxes.Box]:
    """A box around each person, with room for what surrounds them."""
    height, width = picture.shape[:2]
    found: list[boxes.Box] = []
    body = pose(models, picture)
    if body is not None:
        seen = body.points[body.visibility > _LEAST_VISIBLE]
        if len(seen) > 1:
            (left, top), (right, bottom) = seen.min(0).tolist(), seen.max(0).tolist()
            found.append(_grown((left, top, right, bottom), 0.2))
    whole: boxes.Box = (0, 0, width, height)
    if any(_fills(box, picture) for box in found):
        return [whole]
    for face in faces.find(models, picture, _MOST_PEOPLE, _LEAST_FACE):
        left, top, right, bottom = face.box
        if not any(boxes.cover(face.box, box) > 0.9 for box in found):
            size = max(right - left, bottom - top)
            found.append((left - 2.5 * size, top - 1.5 * size, right + 2.5 * size, bottom + 6 * size))
    return [whole] if any(_fills(box, picture) for box in found) else found


def _fills(box: boxes.Box, picture: Picture) -> bool:
    """Whether a crop is not worth it: the model knows whole pictures best."""
    height, width = picture.shape[:2]
    return boxes.area(boxes.clipped(box, height, width)) > 0.4 * height * width


def _grown(box: boxes.Box, share: float) -> boxes.Box:
    margin = share * max(box[2] - box[0], box[3] - box[1])
    return box[0] - margin, box[1] - margin, box[2] + margin, box[3] + margin


def _reduced(picture: Picture) -> Picture:
    height, width = picture.shape[:2]
    factor = _LONGEST / max(height, width)
    if factor >= 1:
        return picture
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
