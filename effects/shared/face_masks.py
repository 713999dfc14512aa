"""Soft masks of a face's parts, drawn from its points on a small grid that covers the face and its surroundings."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch
from torch import Tensor

from mayfly.effects.shared import blur
from mayfly.effects.vision import boxes
from mayfly.effects.vision.types import Face

if TYPE_CHECKING:
    from types import EllipsisType

    from numpy.typing import NDArray

    Place = tuple[EllipsisType, slice, slice]

# Fractions of a pixel that OpenCV's polygons know, as a power of two.
_SHIFT = 4
_INSIDE, _BORDER = 2, 1


@dataclasses.dataclass(frozen=True, eq=False)
class Grid:
    """Where a face is looked at: a part of the frame, and the smaller grid on which it is worked on.

    Attributes:
        box: left, top, right, bottom in whole pixels of the frame.
        size: height and width of the grid.
        points: (478, 2) float32, the face's points in the grid's pixels.
        unit: the face's size in the grid's pixels; what radii are relative to.
        device: where masks are wanted.
    """

    box: tuple[int, int, int, int]
    size: tuple[int, int]
    points: NDArray[np.float32]
    unit: float
    device: torch.device

    def polygon(self, outline: Sequence[int], *, grow: float = 0.0, feather: float = 0.0) -> Tensor:
        """(1, 1, H, W) float32: 1 inside a closed outline of the face's points, 0 outside.

        Args:
            outline: indices of the points, in order.
            grow: how far the outline is moved outwards, in units; negative is inwards.
            feather: a third of the width of the soft edge, in units.
        """
        return self.polygons([outline], grow=grow, feather=feather)

    def polygons(self, outlines: Sequence[Sequence[int]], *, grow: float = 0.0, feather: float = 0.0) -> Tensor:
        """The union of several outlines that do not overlap; arguments as `polygon`."""
        drawn = np.zeros(self.size, np.uint8)
        # Pixel centres lie at .5 in our coordinates and at whole numbers in OpenCV's.
        corners = [np.round((self.points[list(outline)] - 0.5) * 2**_SHIFT).astype(np.int32) for outline in outlines]
        for outline in corners:
            cv2.fillPoly(drawn, [outline], (_INSIDE,), cv2.LINE_8, _SHIFT)
        # OpenCV fills the pixels of the border as well, so it would be half a pixel too large.
        cv2.polylines(drawn, corners, True, (_BORDER,), 1, cv2.LINE_8, _SHIFT)
        from_border = cv2.distanceTransform((drawn != _BORDER).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
        inwards = np.where(drawn == _INSIDE, from_border, -np.asarray(from_border, np.float32))
        reach, width = grow * self.unit, max(1.0, 3 * feather * self.unit)
        soft = blur.smoothstep(-0.5, 0.5, (reach + inwards) / width)
        return torch.from_numpy(soft.astype(np.float32)).to(self.device)[None, None]

    def around(self, outline: Sequence[int], *, margin: float) -> tuple[Place, Grid]:
        """The smaller grid around some points, and its place in tensors on this one; `margin` in units."""
        chosen, more = self.points[list(outline)], margin * self.unit
        (left, top), (right, bottom) = (chosen.min(0) - more).tolist(), (chosen.max(0) + more).tolist()
        left, top, right, bottom = boxes.clipped((left, top, right, bottom), *self.size)
        # At least one pixel, for points that lie outside.
        left, top = min(left, self.size[1] - 1), min(top, self.size[0] - 1)
        right, bottom = max(right, left + 1), max(bottom, top + 1)
        part = dataclasses.replace(
            self, size=(bottom - top, right - left), points=self.points - np.array([left, top], np.float32)
        )
        return (..., slice(top, bottom), slice(left, right)), part

    def discs(self, centres: Sequence[int], radius: float) -> Tensor:
        """(1, 1, H, W) of 0 and 1: discs around points; `radius` in units."""
        drawn = np.zeros(self.size, np.uint8)
        for centre in centres:
            x, y = np.round(self.points[centre] - 0.5).astype(int).tolist()
            cv2.circle(drawn, (x, y), max(1, round(radius * self.unit)), (1,), cv2.FILLED)
        return torch.from_numpy(drawn).to(self.device, torch.float32)[None, None]


def grid(face: Face, frame: Tensor, *, margin: float, unit: float) -> Grid | None:
    """The grid for a face of a (…, H, W) frame; None where the face lies outside.

    Args:
        face: in the frame's pixels.
        frame: only its size and device are used.
        margin: what is added on every side, in sizes of the face.
        unit: the largest face on the grid, in pixels; smaller faces are worked on at the frame's own size.
    """
    height, width = frame.shape[-2:]
    more = margin * face.size
    left, top, right, bottom = face.box
    box = boxes.clipped((left - more, top - more, right + more, bottom + more), height, width)
    if box[2] - box[0] < 8 or box[3] - box[1] < 8:
        return None
    scale = min(1.0, unit / face.size)
    size = (max(1, round((box[3] - box[1]) * scale)), max(1, round((box[2] - box[0]) * scale)))
    exact = np.array([size[1] / (box[2] - box[0]), size[0] / (box[3] - box[1])], np.float32)
    points = (face.points - np.array(box[:2], np.float32)) * exact
    return Grid(box, size, points, face.size * scale, frame.device)
