"""Where a face's points go when its expression changes: smile, frown, jaw, lids, brows, gaze and a turn of the head.

Each motion is what the muscles of that part do, after the action units of Ekman and Friesen, "Facial Action Coding
System" (1978), in lengths of the face's own parts: a mouth moves in widths of the mouth, a lid in heights of the eye.
"""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

import numpy as np

from mayfly.effects.shared import blur
from mayfly.effects.vision import face_points as names

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mayfly.effects.vision.types import Face, Points

    Floats = NDArray[np.float64]

# At 1, in widths of the mouth: corners up and outwards, and how far the jaw drops.
_CORNERS_UP, _CORNERS_OUT, _JAW = 0.13, 0.05, 0.36
# No mouth opens further, in its widths.
_WIDEST = 0.6
# In widths of both eyes together: brows up, down, inner ends together and down.
_BROWS_UP, _BROWS_DOWN, _TOGETHER, _KNIT = 0.085, 0.06, 0.06, 0.07
# In heights and widths of an eye: how much wider it opens; how far the iris goes sideways, up and down.
_WIDER, _SIDEWAYS, _UP = 0.45, 0.22, 0.13
# Radians; from which part of the way to its outline a turning face is held back, lest it folds.
_YAW, _PITCH = math.radians(14), math.radians(10)
_HELD = 0.35


@dataclasses.dataclass(frozen=True)
class _Eye:
    """Points of one eye: lids, the fold above, the skin below, and the iris."""

    upper: list[int]
    lower: list[int]
    fold: list[int]
    under: list[int]
    iris: list[int]


_RIGHT = _Eye(
    list(names.RIGHT_UPPER_LID),
    list(names.RIGHT_LOWER_LID),
    list(names.RIGHT_UPPER_FOLD),
    list(names.RIGHT_LOWER_FOLD),
    list(names.RIGHT_IRIS),
)
_LEFT = _Eye(
    list(names.LEFT_UPPER_LID),
    list(names.LEFT_LOWER_LID),
    list(names.LEFT_UPPER_FOLD),
    list(names.LEFT_LOWER_FOLD),
    list(names.LEFT_IRIS),
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Expression:
    """How much of each motion, −1…1; all at 0 is the face as it is.

    Attributes:
        smile: corners of the mouth up, cheeks with them; below 0 down.
        frown: inner ends of the brows together and down; below 0 apart and up.
        mouth_open: the jaw drops; below 0 an open mouth closes, and lips are pressed together.
        eyes_open: lids apart; at −1 they meet.
        brows: up; below 0 down.
        gaze_x, gaze_y: to the right of the picture, up.
        turn_x, turn_y: of the head, to the right of the picture, up.
    """

    smile: float = 0.0
    frown: float = 0.0
    mouth_open: float = 0.0
    eyes_open: float = 0.0
    brows: float = 0.0
    gaze_x: float = 0.0
    gaze_y: float = 0.0
    turn_x: float = 0.0
    turn_y: float = 0.0

    @property
    def opens_mouth(self) -> bool:
        """Whether the lips move against each other."""
        return bool(self.mouth_open or self.smile)

    @property
    def moves_eyes(self) -> bool:
        """Whether lids or irises move against each other."""
        return bool(self.eyes_open or self.gaze_x or self.gaze_y)

    @property
    def is_neutral(self) -> bool:
        """Whether nothing moves."""
        return not any(dataclasses.astuple(self))


def moved(face: Face, change: Expression) -> Points:
    """The face's points with another expression.

    Args:
        face: any.
        change: what is asked.

    Returns:
        (478, 2) float32 in the frame's pixels.
    """
    axes = _axes(face.points.astype(np.float64))
    points = (face.points.astype(np.float64) - face.points[names.BETWEEN_EYES]) @ axes.T
    shift = np.zeros_like(points)
    _smile(points, shift, change.smile)
    _brows(points, shift, change.brows)
    _frown(points, shift, change.frown)
    _jaw(points, shift, change.mouth_open)
    for eye in (_RIGHT, _LEFT):
        _lids(points, shift, change.eyes_open, eye)
        _gaze(points, shift, change, eye)
    result = points + shift
    lips = (list(names.UPPER_LIP_BOTTOM), list(names.LOWER_LIP_TOP))
    for upper, lower in ((_RIGHT.upper, _RIGHT.lower), (_LEFT.upper, _LEFT.lower), lips):
        _not_through_each_other(result, upper, lower)
    depth = face.depth.astype(np.float64)
    result = result + _turned(points, depth, change.turn_x * _YAW, change.turn_y * _PITCH)
    return np.asarray(result @ axes + face.points[names.BETWEEN_EYES], np.float32)


def _axes(points: Floats) -> Floats:
    """The face's own directions as rows: along the eyes to the picture's right, and down to the chin."""
    across = points[names.LEFT_EYE_OUTER] - points[names.RIGHT_EYE_OUTER]
    across = across / max(float(np.hypot(*across)), 1e-6)
    return np.array([across, [-across[1], across[0]]])


def _smile(points: Floats, shift: Floats, amount: float) -> None:
    if not amount:
        return
    corners = points[[names.RIGHT_MOUTH_CORNER, names.LEFT_MOUTH_CORNER]]
    width = _distance(*corners)
    for corner, side in zip(corners, (-1.0, 1.0), strict=True):
        share = _near(points, corner, 0.24 * width)
        shift[:, 1] -= amount * _CORNERS_UP * width * share
        shift[:, 0] += amount * (_CORNERS_OUT if amount > 0 else 0.4 * _CORNERS_OUT) * side * width * share
    for cheek in (names.RIGHT_CHEEK, names.LEFT_CHEEK):
        shift[:, 1] -= amount * 0.05 * width * _near(points, points[cheek], 0.35 * width)
    # The nose has no part in it.
    shift[list(names.NOSE)] *= 0.3


def _brows(points: Floats, shift: Floats, amount: float) -> None:
    if not amount:
        return
    width = _distance(points[names.RIGHT_EYE_OUTER], points[names.LEFT_EYE_OUTER])
    reach = (_BROWS_UP if amount > 0 else _BROWS_DOWN) * width
    shares = np.zeros(len(points))
    for brow, under, fold in (
        (names.RIGHT_BROW, names.RIGHT_UNDER_BROW, names.RIGHT_UPPER_FOLD),
        (names.LEFT_BROW, names.LEFT_UNDER_BROW, names.LEFT_UPPER_FOLD),
    ):
        above = _above(points, brow)
        near = np.exp(-0.5 * (_nearest(points, points[list(brow)]) / (0.2 * width)) ** 2)
        shares = np.maximum(shares, near * above)
        shares[list(under)] = np.maximum(shares[list(under)], 0.6)
        shares[list(fold)[1:-1]] = np.maximum(shares[list(fold)[1:-1]], 0.25)
        shares[list(brow)] = 1.0
    shift[:, 1] -= amount * reach * shares


def _frown(points: Floats, shift: Floats, amount: float) -> None:
    if not amount:
        return
    width = _distance(points[names.RIGHT_EYE_OUTER], points[names.LEFT_EYE_OUTER])
    eyes = [*names.RIGHT_EYE, *names.LEFT_EYE, *names.RIGHT_IRIS, *names.LEFT_IRIS]
    for brow, side in ((names.RIGHT_BROW, 1.0), (names.LEFT_BROW, -1.0)):
        inner = points[[brow[4], brow[5]]].mean(0)
        share = _near(points, inner, 0.11 * width)
        share[eyes] = 0
        shift[:, 0] += amount * _TOGETHER * width * side * share
        shift[:, 1] += amount * (_KNIT if amount > 0 else 0.7 * _KNIT) * width * share


def _jaw(points: Floats, shift: Floats, amount: float) -> None:
    if not amount:
        return
    right, left = points[names.RIGHT_MOUTH_CORNER], points[names.LEFT_MOUTH_CORNER]
    width, middle = _distance(right, left), (right + left) / 2
    upper, lower = list(names.UPPER_LIP_BOTTOM), list(names.LOWER_LIP_TOP)
    gaps = points[lower, 1] - points[upper, 1]
    along = (points[:, 0] - middle[0]) / (0.5 * width)
    opening = 1 - np.clip(np.abs(along), 0, 1) ** 2.5
    if amount > 0:
        drop = amount * min(_JAW, max(0.0, _WIDEST - float(gaps.max()) / width)) * width
        lift = 0.1 * drop
    else:
        # The lips meet, and are pressed a little.
        drop, lift = amount * 0.8 * float(gaps.max()), amount * 0.2 * float(gaps.max())
    line = np.interp(along, np.linspace(-1, 1, len(upper)), (points[upper, 1] + points[lower, 1]) / 2)
    below = (points[:, 1] - line) / width
    share = np.exp(-0.5 * ((points[:, 0] - middle[0]) / (0.75 * width)) ** 2) * blur.smoothstep(0.0, 0.35, below)
    share = share * (opening + (1 - opening) * blur.smoothstep(0.1, 0.8, below))
    lips = sorted({*names.LOWER_LIP_TOP, *names.LOWER_LIP_BOTTOM})
    share[lips] = opening[lips]
    above = list({*names.UPPER_LIP_TOP, *names.UPPER_LIP_BOTTOM})
    share[above] = 0
    shift[:, 1] += drop * share
    shift[above, 1] -= lift * opening[above]
    corners = _near(points, right, 0.15 * width) - _near(points, left, 0.15 * width)
    if amount > 0:
        shift[:, 0] += 0.2 * drop * corners
        shift[:, 1] += 0.1 * drop * np.abs(corners) * (share < 0.05)
    else:
        for line_points, outline, way in (
            (upper, names.UPPER_LIP_TOP, 1.0),
            (lower, names.LOWER_LIP_BOTTOM, -1.0),
        ):
            thick = np.abs(points[line_points, 1] - points[list(outline), 1])
            shift[list(outline), 1] -= amount * 0.25 * way * thick


def _lids(points: Floats, shift: Floats, amount: float, eye: _Eye) -> None:
    if not amount:
        return
    gap = np.maximum(points[eye.lower, 1] - points[eye.upper, 1], 0)
    if amount < 0:
        # The upper lid does nearly all of it, and takes the skin above it along.
        shift[eye.upper, 1] -= amount * 0.87 * gap
        shift[eye.lower, 1] += amount * 0.13 * gap
        shift[eye.fold, 1] -= amount * 0.4 * gap
        shift[eye.under, 1] += amount * 0.06 * gap
    else:
        shift[eye.upper, 1] -= amount * 0.75 * _WIDER * gap
        shift[eye.lower, 1] += amount * 0.25 * _WIDER * gap
        shift[eye.fold, 1] -= amount * 0.5 * _WIDER * gap
        shift[eye.under, 1] += amount * 0.1 * _WIDER * gap


def _gaze(points: Floats, shift: Floats, change: Expression, eye: _Eye) -> None:
    width = _distance(points[eye.upper[0]], points[eye.upper[-1]])
    shift[eye.iris, 0] += change.gaze_x * _SIDEWAYS * width
    up = change.gaze_y * _UP * width
    shift[eye.iris, 1] -= up
    # Lids follow the eye as far as they are open.
    follows = up * (1 + min(change.eyes_open, 0.0))
    shift[eye.upper[1:-1], 1] -= 0.6 * follows
    shift[eye.lower[1:-1], 1] -= 0.25 * follows


def _turned(points: Floats, depth: Floats, yaw: float, pitch: float) -> Floats:
    """How points shift when the head turns by a small angle while its outline stays where it is."""
    if not (yaw or pitch):
        return np.zeros_like(points)
    oval = list(names.FACE_OVAL)
    low, high = points[oval].min(0), points[oval].max(0)
    middle, half = (low + high) / 2, np.maximum((high - low) / 2, 1e-6)
    off = np.hypot(*((points - middle) / half).T)
    # Nearer is less deep.
    out = np.maximum(depth[oval].mean() - depth, 0) * (1 - blur.smoothstep(_HELD, 1.0, off))
    return np.column_stack([out * math.sin(yaw), -out * math.sin(pitch)])


def _not_through_each_other(points: Floats, upper: list[int], lower: list[int]) -> None:
    over = np.maximum(points[upper, 1] - points[lower, 1], 0)
    # Corners belong to both.
    over[[0, -1]] = 0
    points[upper, 1] -= over / 2
    points[lower, 1] += over / 2


def _above(points: Floats, brow: tuple[int, ...]) -> Floats:
    """1 above a brow's lower edge, 0 below."""
    edge = points[list(brow)[5:]]
    order = np.argsort(edge[:, 0])
    line = np.interp(points[:, 0], edge[order, 0], edge[order, 1])
    return np.asarray((points[:, 1] <= line + 1e-6).astype(np.float64))


def _near(points: Floats, place: Floats, reach: float) -> Floats:
    """1 at a place, less and less away from it."""
    return np.asarray(np.exp(-0.5 * ((points - place) ** 2).sum(-1) / max(reach, 1e-6) ** 2))


def _nearest(points: Floats, places: Floats) -> Floats:
    return np.asarray(np.hypot(*(points[:, None] - places[None]).transpose(2, 0, 1)).min(1))


def _distance(one: Floats, other: Floats) -> float:
    return float(np.hypot(*(one - other)))
