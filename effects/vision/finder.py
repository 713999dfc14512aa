"""The one thing that effects ask for faces, bodies and people; made in an effect's set-up, shared by threads."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from mayfly.effects.errors import NoFace
from mayfly.effects.lazy import torch
from mayfly.effects.vision.types import Face, Pose

if TYPE_CHECKING:
    from torch import Tensor

    from mayfly.effects.vision.models import Models, Picture

# Neither faces nor bodies can be told in anything narrower, in pixels.
_LEAST_SIDE = 32


class Finder:
    """Finds in single frames. Remembers nothing between calls: the same frame always gives the same answer.

    Frames are (3, H, W) RGB on any device, float32 in 0…1 or uint8. Frames with a side of less than 32 pixels hold
    nothing that can be found.
    """

    def __init__(self, models: Models | None = None) -> None:
        """Cheap: models are loaded on first use. `models` defaults to MediaPipe's."""
        self._models = models
        self._lock = threading.Lock()

    def faces(self, frame: Tensor, most: int = 8, *, smallest: float = 0.025) -> list[Face]:
        """The faces of a frame, from the largest to the smallest; face i has the number i + 1.

        Args:
            frame: (3, H, W).
            most: at most so many.
            smallest: the least face worth finding, its width as a share of the frame's longer side; faces of less
                than about 24 pixels are not searched for. Twice as large costs about a third of the time.
        """
        from mayfly.effects.vision import faces

        if _is_small(frame) or most < 1:
            return []
        picture = _picture(frame)
        with self._lock:
            return faces.find(self._loaded(), picture, most, smallest)

    def pose(self, frame: Tensor) -> Pose | None:
        """The body of the most prominent person of a (3, H, W) frame, None where there is none."""
        from mayfly.effects.vision import people

        if _is_small(frame):
            return None
        picture = _picture(frame)
        with self._lock:
            return people.pose(self._loaded(), picture)

    def person(self, frame: Tensor) -> Tensor:
        """(1, H, W) float32 on the frame's device: 1 where people are, 0 elsewhere, edges between; zeros for nobody."""
        from mayfly.effects.vision import people

        if _is_small(frame):
            return torch.zeros(1, *frame.shape[-2:], device=frame.device)
        picture = _picture(frame)
        with self._lock:
            mask = people.mask(self._loaded(), picture)
        return torch.from_numpy(mask)[None].to(frame.device)

    def _loaded(self) -> Models:
        if self._models is None:
            from mayfly.effects.vision.mediapipe_models import MediapipeModels

            self._models = MediapipeModels()
        return self._models


def chosen(faces: list[Face], number: int, *, required: bool = True) -> list[Face]:
    """The faces to treat.

    Args:
        faces: of one frame.
        number: 0 for all, else the face with this number: 1 is the largest.
        required: whether it is an error that there is none; in a video a face may leave the picture.

    Raises NoFace.
    """
    kept = [face for face in faces if number in (0, face.number)]
    if required and not faces:
        raise NoFace("no face was found; choose a picture in which a face is large enough and well lit")
    if required and not kept:
        raise NoFace("there are fewer faces than that; choose a lower number for face, or 0 for all of them")
    return kept


def _is_small(frame: Tensor) -> bool:
    return min(frame.shape[-2:]) < _LEAST_SIDE


def _picture(frame: Tensor) -> Picture:
    """(3, H, W) of either dtype on any device to (H, W, 3) uint8 in plain memory."""
    if frame.dtype != torch.uint8:
        frame = frame.to(torch.float32).nan_to_num(0).mul(255).round().clamp(0, 255).to(torch.uint8)
    return frame.permute(1, 2, 0).contiguous().cpu().numpy()
