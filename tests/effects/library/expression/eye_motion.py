"""How far irises and lids moved between two pictures of a face, by matching patches of the picture, not by points.

Points say where to look in the first picture only. All is done on upright crops in which an iris has a radius of 24
pixels; results are in pixels of the picture, along the face's own directions: to its left on the picture, and down.
"""

import cv2
import numpy as np
from scipy import signal

from mayfly.effects.vision import face_points as names
from tests.effects.library.expression import grimaces

_RADIUS, _WIDTH, _HEIGHT = 24, 288, 240
# The iris with its rim; a lid's edge with so much skin beyond it and so much of what lies before it.
_DISC = 1.25 * _RADIUS
_SKIN, _BALL = 20, 3
# How far is searched.
_FAR = 40
# The least share of an iris that must be seen to match it.
_SEEN = 0.35


class _Eye:
    """One eye of a face and a crop around it."""

    def __init__(self, face, iris, outline):
        centre = face.points[iris[0]]
        self.scale = _RADIUS / np.hypot(*(face.points[list(iris[1:])] - centre).T).mean()
        turn = self.scale * grimaces.directions(face.points)
        middle = np.array([_WIDTH / 2, _HEIGHT / 2])
        self._matrix = np.column_stack([turn, middle - turn @ (centre - 0.5)])
        self._outline = list(outline)

    def crop(self, picture):
        grey = cv2.cvtColor(np.ascontiguousarray(picture), cv2.COLOR_RGB2GRAY).astype(np.float32)
        size = (_WIDTH, _HEIGHT)
        return cv2.warpAffine(grey, self._matrix, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)

    def local(self, points):
        return (points - 0.5) @ self._matrix[:, :2].T + self._matrix[:, 2]

    def opening(self, points):
        """(H, W) bool: between the lids, without their edges."""
        drawn = np.zeros((_HEIGHT, _WIDTH), np.uint8)
        cv2.fillPoly(drawn, [np.round(self.local(points[self._outline])).astype(np.int32)], 1)
        return cv2.erode(drawn, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))) > 0


def _eyes(face):
    yield _Eye(face, names.RIGHT_IRIS, names.RIGHT_EYE), names.RIGHT_UPPER_LID, names.RIGHT_LOWER_LID
    yield _Eye(face, names.LEFT_IRIS, names.LEFT_EYE), names.LEFT_UPPER_LID, names.LEFT_LOWER_LID


def iris_shift(before, after, face, lids):
    """(2,), the mean of both irises.

    Args:
        before, after: (H, W, 3) uint8.
        face: of `before`.
        lids: (478, 2), where the lids are in `after`, which cover some of the iris.
    """
    shifts = []
    y, x = np.mgrid[:_HEIGHT, :_WIDTH]
    disc = (x - _WIDTH / 2) ** 2 + (y - _HEIGHT / 2) ** 2 < _DISC**2
    for eye, _, _ in _eyes(face):
        first, second = eye.crop(before).astype(float), eye.crop(after).astype(float)
        iris, seen = (disc & eye.opening(face.points)).astype(float), eye.opening(lids).astype(float)
        count = np.round(_sums(seen, iris))
        # The sum of (second - first)², where the iris is seen.
        error = _sums(seen * second**2, iris) - 2 * _sums(seen * second, iris * first) + _sums(seen, iris * first**2)
        error = np.where(count > _SEEN * iris.sum(), error / np.maximum(count, 1), np.inf)
        down, right = np.unravel_index(np.argmin(error), error.shape)
        shifts.append(np.array([right - _FAR, down - _FAR]) / eye.scale)
    return np.mean(shifts, 0)


def _sums(picture, patch):
    """(2 × far + 1)²: the sum of picture times patch for each shift of the patch, down and to the right."""
    found = signal.fftconvolve(picture, patch[::-1, ::-1])
    return found[_HEIGHT - 1 - _FAR : _HEIGHT + _FAR, _WIDTH - 1 - _FAR : _WIDTH + _FAR]


def opening_change(before, after, face):
    """How much further apart the lids' edges are, the mean of both eyes; arguments as `iris_shift`."""
    changes = []
    for eye, upper, lower in _eyes(face):
        first, second = eye.crop(before), eye.crop(after)
        above, below = (
            _edge_shift(first, second, eye.local(face.points[list(lid)]), outwards)
            for lid, outwards in ((upper, -1), (lower, 1))
        )
        changes.append((below - above) / eye.scale)
    return np.mean(changes)


def _edge_shift(first, second, lid, outwards):
    """How far down a lid's edge went, in pixels of the crops, over the pupil."""
    columns = np.arange(_WIDTH / 2 - 20, _WIDTH / 2 + 21, 2)
    order = np.argsort(lid[:, 0])
    rows = np.interp(columns, lid[order, 0], lid[order, 1])[:, None] + outwards * np.arange(-_BALL, _SKIN + 1)
    columns = np.broadcast_to(columns[:, None], rows.shape)
    patch = _at(first, columns, rows)
    found = []
    for down in np.arange(-_FAR, _FAR + 0.5, 0.5):
        error = _at(second, columns, rows + down) - patch
        found.append((error.var(), down))
    return min(found)[1]


def _at(crop, columns, rows):
    return cv2.remap(crop, columns.astype(np.float32), rows.astype(np.float32), cv2.INTER_LINEAR)
