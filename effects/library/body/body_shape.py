"""Where a body's parts are in a picture and how wide: its pose and its mask, measured across each bone."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from mayfly.effects.shared import blur
from mayfly.effects.vision import pose_points as joint

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mayfly.effects.vision.types import Pose

    Values = NDArray[np.float32]

ARMS = (
    (joint.LEFT_SHOULDER, joint.LEFT_ELBOW, joint.LEFT_WRIST),
    (joint.RIGHT_SHOULDER, joint.RIGHT_ELBOW, joint.RIGHT_WRIST),
)
LEGS = ((joint.LEFT_HIP, joint.LEFT_KNEE, joint.LEFT_ANKLE), (joint.RIGHT_HIP, joint.RIGHT_KNEE, joint.RIGHT_ANKLE))

# Where the trunk is measured: 0 at the shoulders, 1 at the hips.
LEVELS = np.linspace(-0.1, 1.5, 17).astype(np.float32)
# Joints surer than the second are in view, those below the first are guesses.
_GUESS, _SURE = 0.2, 0.5
# How much less happens to waist and hips for each hand in front of them.
_COVERED = 0.4
# The share of the trunk between the joints that nothing but the person can be.
_INSIDE = 0.75
# Half widths of a slim body in widths of its shoulders: trunk at the shoulders and at the hips, then limbs.
_TRUNK = (0.56, 0.5)
_UPPER_ARM, _FOREARM, _THIGH, _SHIN = 0.16, 0.12, 0.22, 0.15


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Bone:
    """One bone of a limb: from `start` to `end`, (2,) in pixels; half as wide as `radius`; `seen` 0…1."""

    start: Values
    end: Values
    radius: float
    seen: float


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Body:
    """A body in a frame's pixels; left and right of the trunk are the picture's.

    Attributes:
        unit: the width of the shoulders, or what the trunk's length says where it is seen from the side.
        chest, hips: (2,), the middle of the shoulders and of the hips.
        widths: (2, 17): the trunk's half width to the left and to the right at each of LEVELS.
        head: (2,), its middle; head_radius in pixels.
        arms, legs: bones, those next to the trunk first.
        tilt: of the shoulders against the horizontal, in radians.
        feet: (2,), where the legs leave the picture or stand.
        seen: how surely each part is in the frame, 0…1.
    """

    unit: float
    chest: Values
    hips: Values
    widths: Values
    head: Values
    head_radius: float
    arms: tuple[tuple[Bone, Bone], ...]
    legs: tuple[tuple[Bone, Bone], ...]
    tilt: float
    feet: Values
    seen: dict[str, float]

    def at(self, level: float) -> Values:
        """(2,), the point of the trunk's axis at a level."""
        return np.asarray(self.chest + level * (self.hips - self.chest), np.float32)


def measure(pose: Pose, mask: Values, size: tuple[int, int]) -> Body | None:
    """The body of a pose.

    Args:
        pose: in the frame's pixels.
        mask: (h, w) float32, 0…1, of the whole frame at any size.
        size: the frame's height and width.

    Returns:
        None where the shoulders are not in view: nothing else can be placed without them.
    """
    points, sure = pose.points, blur.smoothstep(_GUESS, _SURE, pose.visibility)
    shoulders = points[[joint.LEFT_SHOULDER, joint.RIGHT_SHOULDER]]
    trusted = float(sure[[joint.LEFT_SHOULDER, joint.RIGHT_SHOULDER]].min())
    chest, hips = shoulders.mean(0), points[[joint.LEFT_HIP, joint.RIGHT_HIP]].mean(0)
    across = shoulders[0] - shoulders[1]
    unit = max(float(np.linalg.norm(across)), 0.6 * float(np.linalg.norm(hips - chest)))
    if trusted <= 0 or unit < 4 or np.linalg.norm(hips - chest) < 0.3 * unit:
        return None
    ruler = _Ruler(mask, size)
    ears = points[[joint.LEFT_EAR, joint.RIGHT_EAR]].mean(0)
    eyes, mouth = (
        points[list(pair)].mean(0)
        for pair in ((joint.LEFT_EYE, joint.RIGHT_EYE), (joint.MOUTH_LEFT, joint.MOUTH_RIGHT))
    )
    radius = max(0.7 * float(np.linalg.norm(ears - chest)), 0.35 * unit, 1.9 * float(np.linalg.norm(eyes - mouth)))
    facing = across[0] > 0.35 * unit
    feet, legs_seen = _feet(pose, sure, hips, size)
    free = _uncovered(pose, sure, chest, hips, unit)
    seen = {
        "trunk": trusted,
        "chest": trusted * ruler.inside(chest + 0.25 * (hips - chest), unit),
        "waist": trusted * free * ruler.inside(chest + 0.68 * (hips - chest), unit),
        "hips": trusted * free * ruler.inside(hips, unit),
        "head": float(sure[[joint.NOSE, joint.LEFT_EYE, joint.RIGHT_EYE]].min()),
        "legs": legs_seen,
    }
    return Body(
        unit=unit,
        chest=chest,
        hips=hips,
        widths=_trunk_widths(ruler, chest, hips, unit),
        head=0.5 * (ears + 0.5 * (eyes + mouth)),
        head_radius=radius,
        arms=tuple(_limb(ruler, pose, sure, limb, unit, (_UPPER_ARM, _FOREARM)) for limb in ARMS),
        legs=tuple(_limb(ruler, pose, sure, limb, unit, (_THIGH, _SHIN)) for limb in LEGS),
        tilt=float(np.arctan2(across[1], across[0])) if facing else 0.0,
        feet=feet,
        seen=seen,
    )


def core(body: Body, pose: Pose, box: tuple[int, int, int, int], shape: tuple[int, int]) -> Values:
    """What is the person for sure, whatever the mask says of ties and shadows: within the trunk and along limbs.

    Args:
        body: of a frame.
        pose: the same body's.
        box: left, top, right and bottom of the part of the frame that is wanted.
        shape: height and width of the result.

    Returns:
        (h, w) float32, 0 or 1.
    """
    import cv2

    corner = np.array(box[:2], np.float32)
    scale = np.array([shape[1] / (box[2] - box[0]), shape[0] / (box[3] - box[1])], np.float32)
    drawn = np.zeros(shape, np.uint8)
    corners = pose.points[[joint.LEFT_SHOULDER, joint.RIGHT_SHOULDER, joint.RIGHT_HIP, joint.LEFT_HIP]]
    corners = (_INSIDE * corners + (1 - _INSIDE) * corners.mean(0) - corner) * scale
    cv2.fillConvexPoly(drawn, np.round(corners).astype(np.int32), (1,))
    for bone in (bone for limb in (*body.arms, *body.legs) for bone in limb if bone.seen > 0.9):
        ends = np.round((np.stack([bone.start, bone.end]) - corner) * scale).astype(np.int32)
        width = max(1, round(0.7 * bone.radius * float(scale.min())))
        cv2.line(drawn, (int(ends[0, 0]), int(ends[0, 1])), (int(ends[1, 0]), int(ends[1, 1])), (1,), width)
    return drawn.astype(np.float32)


class _Ruler:
    """Measures a mask along lines in the frame's pixels."""

    def __init__(self, mask: Values, size: tuple[int, int]) -> None:
        self._mask, self._size = mask, size
        self._scale = np.array([mask.shape[1] / size[1], mask.shape[0] / size[0]], np.float32)

    def exit(self, start: Values, direction: Values, furthest: float) -> float:
        """How far it is from `start` to the mask's border, at most `furthest` pixels."""
        steps = np.linspace(0, furthest, 48, dtype=np.float32)
        places = np.floor((start + steps[:, None] * direction) * self._scale).astype(int)
        height, width = self._mask.shape
        columns, rows = np.clip(places[:, 0], 0, width - 1), np.clip(places[:, 1], 0, height - 1)
        outside = np.flatnonzero(self._mask[rows, columns] < 0.5)
        return float(steps[outside[0]]) if len(outside) else furthest

    def inside(self, point: Values, unit: float) -> float:
        """0 for a point outside the frame, 1 well inside."""
        height, width = self._size
        room = min(point[0], point[1], width - point[0], height - point[1])
        return float(blur.smoothstep(0.0, 0.15 * unit, room))


def _uncovered(pose: Pose, sure: Values, chest: Values, hips: Values, unit: float) -> float:
    """1, or less where hands are in front of the trunk: they would change with it."""
    axis = (hips - chest) / np.linalg.norm(hips - chest)
    free = 1.0
    for _, _, wrist in ARMS:
        off = abs(float((pose.points[wrist] - chest) @ np.array([axis[1], -axis[0]]))) / unit
        level = float((pose.points[wrist] - chest) @ axis / np.linalg.norm(hips - chest))
        before = (
            (1 - blur.smoothstep(0.35, 0.6, off))
            * blur.smoothstep(0.1, 0.4, level)
            * (1 - blur.smoothstep(1.1, 1.4, level))
        )
        free *= 1 - _COVERED * float(before * sure[wrist])
    return free


def _trunk_widths(ruler: _Ruler, chest: Values, hips: Values, unit: float) -> Values:
    axis = (hips - chest) / np.linalg.norm(hips - chest)
    right = np.array([axis[1], -axis[0]], np.float32)
    sides = []
    for direction in (-right, right):
        usual = unit * np.interp(LEVELS, [0, 1], _TRUNK)
        found = [
            ruler.exit(chest + level * (hips - chest), direction, 1.25 * width)
            for level, width in zip(LEVELS.tolist(), usual.tolist(), strict=True)
        ]
        widths = np.maximum(np.array(found, np.float32), 0.6 * usual)
        sides.append(np.convolve(np.pad(widths, 2, "edge"), [0.1, 0.2, 0.4, 0.2, 0.1], "valid"))
    return np.asarray(sides, np.float32)


def _limb(
    ruler: _Ruler, pose: Pose, sure: Values, joints: tuple[int, int, int], unit: float, usual: tuple[float, float]
) -> tuple[Bone, Bone]:
    first, second = (
        _bone(ruler, pose.points[start], pose.points[end], usual[index] * unit, seen=float(min(sure[start], sure[end])))
        for index, (start, end) in enumerate(((joints[0], joints[1]), (joints[1], joints[2])))
    )
    return first, second


def _bone(ruler: _Ruler, start: Values, end: Values, usual: float, *, seen: float) -> Bone:
    along = end - start
    length = float(np.linalg.norm(along))
    if length < 1:
        return Bone(start=start, end=end, radius=usual, seen=0.0)
    right = np.array([along[1], -along[0]], np.float32) / length
    nearest = [
        min(
            ruler.exit(start + share * along, right, 1.6 * usual),
            ruler.exit(start + share * along, -right, 1.6 * usual),
        )
        for share in (0.3, 0.5, 0.7, 0.85)
    ]
    return Bone(start=start, end=end, radius=max(0.7 * usual, float(np.median(nearest))), seen=seen)


def _feet(pose: Pose, sure: Values, hips: Values, size: tuple[int, int]) -> tuple[Values, float]:
    """Where the legs end, and how surely that is seen: at the lower foot, or at the picture's lower border."""
    points, height = pose.points, size[0]
    knees = [leg[1] for leg in LEGS]
    seen = float(max(sure[knee] for knee in knees))
    ends = [
        points[foot]
        for leg, foot in zip(LEGS, (joint.LEFT_HEEL, joint.RIGHT_HEEL), strict=True)
        if sure[leg[2]] > 0.5 and points[foot][1] < height
    ]
    if ends:
        lowest = max(ends, key=lambda point: float(point[1]))
        return np.array([hips[0] + 0.5 * (lowest[0] - hips[0]), lowest[1]], np.float32), seen
    below = [points[knee] for knee in knees if sure[knee] > 0]
    middle = np.mean(below, 0) if below else hips
    if not below or middle[1] - hips[1] < 1:
        return hips + np.array([0, 1], np.float32), 0.0
    share = (height - hips[1]) / (middle[1] - hips[1])
    return np.array([hips[0] + share * (middle[0] - hips[0]), height], np.float32), seen * float(hips[1] < height)
