"""Finds every face of a picture, small ones too, and its points: detect in tiles, then look at each face closely."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

import cv2
import numpy as np

from mayfly.effects.vision import boxes, face_points
from mayfly.effects.vision.models import Detection, Region
from mayfly.effects.vision.types import Face

if TYPE_CHECKING:
    from mayfly.effects.vision.models import Models, Picture, Values

# The far detector's input in pixels a side, and the least face that it finds as a share of that.
_TILE_INPUT = 192
_LEAST_SHARE = 0.09
# Faces of so many pixels are searched for, at least; those of fewer than the second have no features to put points on.
_SEARCHED = 24
_LEAST_FACE = 16
_MOST_TILES = 64
# In tiles there is more to be mistaken for a face.
_TILE_SCORE = 0.65
# Sizes are near enough within this factor.
_NEAR = 1.08
# The points' model looks at a square this much larger than the face, as in MediaPipe's face_landmarks_to_roi; its
# input is 192 pixels a side, so a closer look is enlarged or reduced to about that.
_REGION = 1.5
_CLOSEST, _WIDEST = 192, 256


def find(models: Models, picture: Picture, most: int, smallest: float) -> list[Face]:
    """Faces from the largest to the smallest, at most `most`; `smallest`: mayfly.effects.vision.finder.Finder.faces."""
    found: list[Face] = []
    for detection in detect(models, picture, smallest):
        face = _face(models, picture, detection)
        if face is not None and not any(_same(face.box, other.box) for other in found):
            found.append(face)
        if len(found) == most:
            break
    found.sort(key=lambda face: (-boxes.area(face.box), face.box))
    return [dataclasses.replace(face, number=index + 1) for index, face in enumerate(found)]


def detect(models: Models, picture: Picture, smallest: float) -> list[Detection]:
    """Where faces may be, each once, from the largest to the smallest."""
    found: list[Detection] = []
    for detection in sorted(_detections(models, picture, smallest), key=lambda item: (-item.score, item.box)):
        if not any(_same(detection.box, other.box) for other in found):
            found.append(detection)
    return sorted(found, key=lambda item: (-boxes.area(item.box), item.box))


def _same(one: boxes.Box, other: boxes.Box) -> bool:
    return boxes.overlap(one, other) > 0.3 or boxes.cover(one, other) > 0.7


def _detections(models: Models, picture: Picture, smallest: float) -> Iterator[Detection]:
    height, width = picture.shape[:2]
    longer, shorter = max(height, width), min(height, width)
    whole = _resized(picture, _TILE_INPUT / longer)
    for detection in (*models.near_faces(whole), *models.far_faces(whole)):
        yield _moved(detection, longer / _TILE_INPUT, 0, 0)
    side, across, enough = float(longer), 1, _NEAR * smallest * longer
    # A long strip needs smaller tiles, whatever is asked for.
    while _LEAST_SHARE * side > _SEARCHED and (_LEAST_SHARE * side > enough or side > _NEAR * shorter):
        across *= 2
        side = longer / (across - (across - 1) * boxes.SHARED)
        # Two rows of tiles are a waste where one nearly does.
        side = shorter if side < shorter < _NEAR * side else side
        scaled = _resized(picture, _TILE_INPUT / side)
        places = boxes.tiles(scaled.shape[0], scaled.shape[1], _TILE_INPUT)
        if len(places) > _MOST_TILES:
            return
        for left, top, right, bottom in places:
            for detection in models.far_faces(np.ascontiguousarray(scaled[top:bottom, left:right])):
                if detection.score >= _TILE_SCORE:
                    yield _moved(detection, side / _TILE_INPUT, left, top)


def _face(models: Models, picture: Picture, detection: Detection) -> Face | None:
    """The points, found twice: the second look is centred by the first, so the detector's error does not matter."""
    left, top, right, bottom = detection.box
    side = _REGION * max(right - left, bottom - top)
    values = _look(models, picture, Region(x=(left + right) / 2, y=(top + bottom) / 2, side=side, turn=detection.turn))
    if values is not None:
        values = _look(models, picture, _around(values))
    if values is None:
        return None
    (left, top), (right, bottom) = values[:, :2].min(0).tolist(), values[:, :2].max(0).tolist()
    if max(right - left, bottom - top) < _LEAST_FACE:
        return None
    return Face(
        points=np.ascontiguousarray(values[:, :2]),
        depth=np.ascontiguousarray(values[:, 2]),
        box=(left, top, right, bottom),
        score=detection.score,
    )


def _around(values: Values) -> Region:
    """The square around a face's points that is upright with its eyes."""
    x, y = (values[face_points.LEFT_EYE_OUTER] - values[face_points.RIGHT_EYE_OUTER])[:2]
    (left, top), (right, bottom) = values[:, :2].min(0).tolist(), values[:, :2].max(0).tolist()
    side = _REGION * max(right - left, bottom - top)
    return Region(x=(left + right) / 2, y=(top + bottom) / 2, side=side, turn=math.atan2(float(y), float(x)))


def _look(models: Models, picture: Picture, region: Region) -> Values | None:
    """The points in a region of a large picture, from a crop of it that has the size that the model likes."""
    # Half the diagonal of a turned square, and some.
    reach = 0.75 * region.side
    box = (region.x - reach, region.y - reach, region.x + reach, region.y + reach)
    left, top, right, bottom = boxes.clipped(box, *picture.shape[:2])
    if right - left < 2 or bottom - top < 2:
        return None
    factor = min(max(1.0, _CLOSEST / region.side), _WIDEST / region.side)
    crop = _resized(picture[top:bottom, left:right], factor)
    scale = np.array([crop.shape[1] / (right - left), crop.shape[0] / (bottom - top), factor], np.float32)
    place = Region(
        x=(region.x - left) * float(scale[0]),
        y=(region.y - top) * float(scale[1]),
        side=region.side * factor,
        turn=region.turn,
    )
    values = models.face_points(crop, place)
    if values is None:
        return None
    return values / scale + np.array([left, top, 0], np.float32)


def _moved(detection: Detection, factor: float, left: float, top: float) -> Detection:
    """From a tile's pixels to the picture's."""
    near, above, far, below = detection.box
    box = ((near + left) * factor, (above + top) * factor, (far + left) * factor, (below + top) * factor)
    return Detection(box=box, turn=detection.turn, score=detection.score)


def _resized(picture: Picture, factor: float) -> Picture:
    """Reduced without aliasing, or enlarged smoothly."""
    size = (max(1, round(picture.shape[1] * factor)), max(1, round(picture.shape[0] * factor)))
    if size == (picture.shape[1], picture.shape[0]):
        return np.ascontiguousarray(picture)
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(picture, size, interpolation=how), np.uint8)
