"""What is found in a picture: a face's points and a body's points, in memory only and never stored.

Coordinates are continuous pixels: column i of a picture covers i…i+1 and its centre is at i + 0.5, so that a flip takes
x to width − x and an enlargement multiplies. "Left" and "right" are the person's own.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Points = NDArray[np.float32]


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Face:
    """One face.

    Attributes:
        points: (478, 2) float32, x and y in pixels; mayfly.effects.vision.face_points names them. May lie outside the
            frame.
        depth: (478,) float32, in the scale of the pixels; smaller is nearer, 0 is about the head's centre.
        box: left, top, right, bottom of the points.
        score: how sure the detector is, 0…1.
        number: 1 for the largest face; in a video a face keeps its number.
    """

    points: Points
    depth: Points
    box: tuple[float, float, float, float]
    score: float
    number: int = 1

    @property
    def size(self) -> float:
        """The longer side of the box in pixels."""
        return max(self.box[2] - self.box[0], self.box[3] - self.box[1])


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Pose:
    """One body.

    Attributes:
        points: (33, 2) float32, x and y in pixels; mayfly.effects.vision.pose_points names them. May lie outside the
            frame.
        visibility: (33,) float32, 0…1: how surely the point is in the frame and not hidden.
    """

    points: Points
    visibility: Points
