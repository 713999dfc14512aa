"""Where people are in whole pictures, with a second look at where they were seen first."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import cv2
import numpy as np

from mayfly.effects.vision import boxes, people

if TYPE_CHECKING:
    from mayfly.effects.vision.models import Models, Picture, Values

# The model itself looks at 256 × 256; pixels along the longer side.
_LONGEST = 512
# The least share of a picture that is believed at first sight to be a person with a face.
_LEAST_SHARE = 0.01
# Parts of a mask of this share of the picture, this sure on average, are people even without a face.
_LARGE, _HARDLY_DOUBTED = 0.03, 0.95
# What surrounds people in the second look, as a share of their longer side, and from which size on it is not worth it.
_MARGIN, _MOST = 0.12, 0.85


class Silhouettes:
    """Finds people in single pictures, a few times as fast as Finder.person where a face is near.

    Made in an effect's set-up, shared by threads; remembers nothing between calls.
    """

    def __init__(self, models: Models | None = None) -> None:
        """Cheap: models are loaded on first use. `models` defaults to MediaPipe's."""
        self._models = models
        self._lock = threading.Lock()

    def find(self, picture: Picture) -> Values | None:
        """(H, W) float32, 1 where people are and 0 elsewhere, unsure between; None where nobody is.

        Args:
            picture: (H, W, 3) uint8 RGB; what is larger than 512 pixels tells no more.
        """
        if min(picture.shape[:2]) < 32:
            return None
        with self._lock:
            models = self._loaded()
            mask = models.person(picture)
            if not _has_face(models, picture, mask):
                # The model sees people where there are none: a body or a smaller face has to say so.
                found = people.mask(models, picture)
                if _around(found) is None:
                    return None
                # Where somebody is, others may be whose faces are not seen.
                return np.maximum(found, _sure_parts(mask))
            box = _around(mask)
            if box is None:
                return None
            left, top, right, bottom = box
            if (right - left) * (bottom - top) > _MOST * mask.size:
                return mask
            looked = np.zeros_like(mask)
            looked[top:bottom, left:right] = models.person(np.ascontiguousarray(picture[top:bottom, left:right]))
        return looked

    def _loaded(self) -> Models:
        if self._models is None:
            from mayfly.effects.vision.mediapipe_models import MediapipeModels

            self._models = MediapipeModels()
        return self._models


def reduced(planes: Picture, longest: int = _LONGEST) -> Picture:
    """(3, H, W) uint8 to (h, w, 3) of at most `longest` pixels along the longer side."""
    height, width = planes.shape[1:]
    # Far larger pictures are thinned out first: half as fine as wanted is still fine enough to average.
    step = max(1, max(height, width) // (2 * longest))
    factor = min(1.0, longest / max(height, width))
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    if factor == 1:
        return np.ascontiguousarray(planes.transpose(1, 2, 0))
    thinned = [
        cv2.resize(np.ascontiguousarray(plane[::step, ::step]), size, None, 0, 0, cv2.INTER_AREA) for plane in planes
    ]
    return np.asarray(cv2.merge(thinned), np.uint8)


def _has_face(models: Models, picture: Picture, mask: Values) -> bool:
    """Whether a face near enough to be seen at once is among what was seen as people."""
    if float((mask > 0.5).mean()) < _LEAST_SHARE:
        return False
    height, width = mask.shape
    for found in models.near_faces(picture):
        left, top, right, bottom = boxes.clipped(found.box, height, width)
        if right > left and bottom > top and float(mask[top:bottom, left:right].mean()) > 0.5:
            return True
    return False


def _sure_parts(mask: Values) -> Values:
    """Only what is large and hardly doubted of a mask."""
    count, labels, facts, _ = cv2.connectedComponentsWithStats((mask > 0.5).astype(np.uint8))
    keep = np.zeros(count, bool)
    for part in range(1, count):
        large = facts[part, cv2.CC_STAT_AREA] >= _LARGE * mask.size
        keep[part] = large and float(mask[labels == part].mean()) > _HARDLY_DOUBTED
    return np.where(keep[labels], mask, 0).astype(np.float32)


def _around(mask: Values) -> tuple[int, int, int, int] | None:
    """The box of what is rather a person, with what surrounds it; None where nothing is."""
    height, width = mask.shape
    rows, columns = np.flatnonzero((mask > 0.5).any(1)), np.flatnonzero((mask > 0.5).any(0))
    if len(rows) < 2 or len(columns) < 2:
        return None
    left, top, right, bottom = float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)
    more = _MARGIN * max(right - left, bottom - top)
    return boxes.clipped((left - more, top - more, right + more, bottom + more), height, width)
