"""How much of each motion a face's points show, in distances of its eyes, so that pictures of any size compare."""

import numpy as np

from mayfly.effects.vision import face_points as names


def directions(points):
    """The face's own directions as rows, of length 1: along the eyes to the picture's right, and down to the chin."""
    across = (points[names.LEFT_EYE_OUTER] - points[names.RIGHT_EYE_OUTER]).astype(np.float64)
    across /= np.hypot(*across)
    return np.array([across, [-across[1], across[0]]])


def _frame(points):
    """The points in the face's own directions, from between the eyes, in distances of the eyes' outer corners."""
    points = points.astype(np.float64)
    left, right = points[names.LEFT_EYE_OUTER], points[names.RIGHT_EYE_OUTER]
    return (points - (left + right) / 2) @ directions(points).T / np.hypot(*(left - right))


def smile(points):
    return -_frame(points)[[names.RIGHT_MOUTH_CORNER, names.LEFT_MOUTH_CORNER], 1].mean()


def frown(points):
    local = _frame(points)
    return local[[55, 107], 0].mean() - local[[285, 336], 0].mean()


def mouth_open(points):
    local = _frame(points)
    return local[17, 1] - local[0, 1]


def eyes_open(points):
    local = _frame(points)
    return (local[[145, 153, 374, 380], 1] - local[[159, 158, 386, 385], 1]).mean()


def brows(points):
    local = _frame(points)
    return -local[[*names.RIGHT_BROW, *names.LEFT_BROW], 1].mean()


def gaze_x(points):
    local = _frame(points)
    corners = local[[names.RIGHT_EYE_OUTER, names.RIGHT_EYE_INNER, names.LEFT_EYE_OUTER, names.LEFT_EYE_INNER]]
    return local[[names.RIGHT_PUPIL, names.LEFT_PUPIL], 0].mean() - corners[:, 0].mean()


def gaze_y(points):
    local = _frame(points)
    corners = local[[names.RIGHT_EYE_OUTER, names.RIGHT_EYE_INNER, names.LEFT_EYE_OUTER, names.LEFT_EYE_INNER]]
    return corners[:, 1].mean() - local[[names.RIGHT_PUPIL, names.LEFT_PUPIL], 1].mean()


def turn_x(points):
    local = _frame(points)
    return local[names.NOSE_TIP, 0] - local[[names.RIGHT_JAW[0], names.LEFT_JAW[0]], 0].mean()


def turn_y(points):
    local = _frame(points)
    return local[[names.FOREHEAD_TOP, names.CHIN], 1].mean() - local[names.NOSE_TIP, 1]


MEASURES = {
    function.__name__: function
    for function in (smile, frown, mouth_open, eyes_open, brows, gaze_x, gaze_y, turn_x, turn_y)
}
