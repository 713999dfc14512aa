"""A provider of vision's models that looks at each picture once, since tests look at the same ones again and again."""

from __future__ import annotations

import collections
import copy
import hashlib
import threading
from typing import TYPE_CHECKING, Any

import numpy as np

from mayfly.effects.vision.models import Detection, Models, Region

if TYPE_CHECKING:
    from mayfly.effects.vision.models import Picture, Values

MOST = 256  # answers that are kept; a mask has up to two megabytes


class Remembered:
    """Implements mayfly.effects.vision.models.Models by another provider, which gives the same picture the same answer.

    That it does is what tests/effects/vision show, which use none of this.
    """

    def __init__(self, models: Models) -> None:
        self._models = models
        self._answers: collections.OrderedDict[tuple[Any, ...], Any] = collections.OrderedDict()
        self._lock = threading.Lock()

    def near_faces(self, picture: Picture) -> list[Detection]:
        return self._once("near_faces", picture)

    def far_faces(self, picture: Picture) -> list[Detection]:
        return self._once("far_faces", picture)

    def face_points(self, picture: Picture, region: Region) -> Values | None:
        return self._once("face_points", picture, region)

    def pose(self, picture: Picture) -> Values | None:
        return self._once("pose", picture)

    def person(self, picture: Picture) -> Values:
        return self._once("person", picture)

    def _once(self, name: str, picture: Picture, *more: Any) -> Any:
        key = (name, picture.shape, hashlib.blake2b(np.ascontiguousarray(picture)).digest(), *more)
        with self._lock:
            if key not in self._answers:
                self._answers[key] = getattr(self._models, name)(picture, *more)
            self._answers.move_to_end(key)
            if len(self._answers) > MOST:
                self._answers.popitem(last=False)
            # Whoever asks may change what it gets.
            return copy.deepcopy(self._answers[key])
