"""What a provider of models can do; mediapipe_models is the first one, and another can take its place.

Pictures are (H, W, 3) uint8 RGB; coordinates are pixels of the picture that is given.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Protocol

from mayfly.effects.vision.boxes import Box

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Picture = NDArray[np.uint8]
    Values = NDArray[np.float32]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Detection:
    """Where a face probably is: its box, its turn in radians (clockwise, 0 is upright) and a score 0…1."""

    box: Box
    turn: float
    score: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Region:
    """A turned square to look into: centre x and y, side in pixels, turn in radians (clockwise)."""

    x: float
    y: float
    side: float
    turn: float


class Models(Protocol):
    """Stateless: the same picture gives the same answer. Calls come from one thread at a time."""

    def near_faces(self, picture: Picture) -> list[Detection]:
        """Faces wider than about a sixth of the picture."""

    def far_faces(self, picture: Picture) -> list[Detection]:
        """Faces between about a twelfth and half of the picture."""

    def face_points(self, picture: Picture, region: Region) -> Values | None:
        """(478, 3): x, y and depth of the face in a region, None where there is none."""

    def pose(self, picture: Picture) -> Values | None:
        """(33, 3): x, y and visibility of the most prominent person."""

    def person(self, picture: Picture) -> Values:
        """(H, W): 1 where people are, 0 elsewhere; may be wrong in a picture without people."""
