"""Where a person's garments are: between the body's joints, of the cloth's own colour, neither skin nor head.

No learned segmenter: a person's mask is cut by the pose into what an upper or lower garment may cover; head, hands and
feet are taken out by place, bare skin and loose hair by colours that are measured on this very person; the rest is
settled by GrabCut (`shared/grab_cut.py`).
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from mayfly.effects.library.fashion import materials
from mayfly.effects.shared import grab_cut
from mayfly.effects.vision import face_points
from mayfly.effects.vision import pose_points as joint

if TYPE_CHECKING:
    from mayfly.effects.library.fashion.materials import Mask, Material, Values
    from mayfly.effects.vision.types import Face, Pose

Part = Literal["upper", "lower"]

# Joints that are less sure are guesses.
_VISIBLE = 0.3
_ARMS = (
    (joint.LEFT_SHOULDER, joint.LEFT_ELBOW, joint.LEFT_WRIST),
    (joint.RIGHT_SHOULDER, joint.RIGHT_ELBOW, joint.RIGHT_WRIST),
)
_LEGS = ((joint.LEFT_HIP, joint.LEFT_KNEE, joint.LEFT_ANKLE), (joint.RIGHT_HIP, joint.RIGHT_KNEE, joint.RIGHT_ANKLE))
_HANDS = (
    (joint.LEFT_WRIST, joint.LEFT_PINKY, joint.LEFT_INDEX, joint.LEFT_THUMB),
    (joint.RIGHT_WRIST, joint.RIGHT_PINKY, joint.RIGHT_INDEX, joint.RIGHT_THUMB),
)
_FEET = ((joint.LEFT_HEEL, joint.LEFT_FOOT), (joint.RIGHT_HEEL, joint.RIGHT_FOOT))


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Subject:
    """One picture of a person at working size.

    Attributes:
        lab: (H, W, 3) float32 OKLab.
        person: (H, W) float32, 0…1.
        pose: in this picture's pixels.
        face: of the same person, in this picture's pixels; None where it is not seen.
    """

    lab: Values
    person: Values
    pose: Pose
    face: Face | None


def span(pose: Pose) -> float:
    """A body's size in pixels: the width of its shoulders, or what its height says where it is seen from the side."""
    points = pose.points
    across = np.linalg.norm(points[joint.LEFT_SHOULDER] - points[joint.RIGHT_SHOULDER])
    shoulders = (points[joint.LEFT_SHOULDER] + points[joint.RIGHT_SHOULDER]) / 2
    hips = (points[joint.LEFT_HIP] + points[joint.RIGHT_HIP]) / 2
    return max(float(across), 0.6 * float(np.linalg.norm(shoulders - hips)), 4.0)


def is_in_view(pose: Pose, part: Part, height: int) -> bool:
    """Whether enough of a garment is inside a picture of this height in pixels to be told from others."""
    points, seen = pose.points, pose.visibility
    if part == "upper":
        pair = [joint.LEFT_SHOULDER, joint.RIGHT_SHOULDER]
        return bool(seen[pair].max() > 0.5 and points[pair, 1].min() < height)
    hips, knees = [joint.LEFT_HIP, joint.RIGHT_HIP], [joint.LEFT_KNEE, joint.RIGHT_KNEE]
    room = height - points[hips, 1].mean()
    return bool(seen[hips].max() > 0.5 and room > 0.3 * np.abs(points[knees, 1].mean() - points[hips, 1].mean()))


def find(subject: Subject, part: Part, *, whole: bool, near: Material | None = None) -> tuple[Mask, Material | None]:
    """The pixels of one garment.

    Args:
        subject: the picture and what was found in it.
        part: which garment.
        whole: everything that is worn there; otherwise the main cloth alone, without badges, collars, belts and what is
            held in front of it.
        near: the main cloth in the frame before.

    Returns:
        (H, W) bool, and the main cloth; nothing and `near` where the part does not show.
    """
    values = materials.features(subject.lab)
    place, core = zone(subject, part)
    head, bare = _head(subject), _limbs(subject, 0.18)
    skin = _skin_distance(subject, values)
    core &= (subject.person > 0.7) & ~head & ~(bare & (skin < 2.5))
    nobody = np.zeros_like(core)
    if core.sum() < 24:
        return nobody, near
    cloth = materials.dominant(values[core], near)
    far = materials.distance(values, cloth)
    # Orange or beige cloth in the light is much like skin.
    is_skin = bare & (skin < 3) & (skin < 0.7 * far)
    loose = _hair(subject, values, head, far)
    out = ~place | (subject.person < 0.3) | head | is_skin | loose
    likely = core | (far < 3) if whole else far < 3
    labels = np.where(likely, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    # As skin is among what is left out, light orange or beige would otherwise go with it.
    sure = far < 2.3
    if whole:
        sure |= cv2.erode(core.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    else:
        labels[far > 6] = cv2.GC_BGD
    labels[sure] = cv2.GC_FGD
    labels[out] = cv2.GC_BGD
    guessed = grab_cut.foreground(labels) > 0
    if not guessed.any() or guessed.all():
        return guessed, cloth
    found = _cut(subject.lab, labels)
    return _clean(found & ~out, span(subject.pose), hole=0.15 if whole else 0.0015) & ~is_skin, cloth


def zone(subject: Subject, part: Part) -> tuple[Mask, Mask]:
    """Where the garment may be, and where it surely is but for what covers it: two (H, W) masks."""
    points, size = subject.pose.points, span(subject.pose)
    trunk = [joint.LEFT_SHOULDER, joint.RIGHT_SHOULDER, joint.RIGHT_HIP, joint.LEFT_HIP]
    left, right = points[joint.LEFT_HIP], points[joint.RIGHT_HIP]
    middle, chest = (left + right) / 2, points[trunk[:2]].mean(0)
    down = (middle - chest) / max(float(np.linalg.norm(middle - chest)), 1.0)
    if part == "upper":
        place = _drawn(subject, points[trunk], 0.7 * size)
        for bones in _ARMS:
            place |= _limb(subject, bones, 0.7 * size)
        core = _drawn(subject, 0.8 * points[trunk] + 0.2 * points[trunk].mean(0), 0)
        return place & ~_below(subject, middle + 0.3 * size * down, down), core
    legs = [index for leg in _LEGS for index in leg]
    place = _drawn(subject, np.asarray(cv2.convexHull(points[legs])[:, 0], np.float32), 0.5 * size)
    core = np.zeros_like(place)
    for hip, knee, _ in _LEGS:
        core |= _limb(subject, (hip, knee), 0.25 * size)
    for heel, foot in _FEET:
        # Shoes are no trousers.
        place &= ~_limb(subject, (heel, foot), 0.18 * size)
    return place & _below(subject, middle - 0.22 * size * down, down), core


def _below(subject: Subject, point: Values, down: Values) -> Mask:
    rows, columns = np.indices(subject.person.shape, np.float32)
    return np.asarray((columns + 0.5 - point[0]) * down[0] + (rows + 0.5 - point[1]) * down[1] > 0)


def _drawn(subject: Subject, points: Values, width: float) -> Mask:
    """A filled polygon with a border of so many pixels."""
    canvas = np.zeros(subject.person.shape, np.uint8)
    corners = np.round(points).astype(np.int32)
    cv2.fillPoly(canvas, [corners], (1,))
    if width >= 1:
        cv2.polylines(canvas, [corners], isClosed=True, color=(1,), thickness=max(1, round(width)))
    return canvas > 0


def _limb(subject: Subject, bones: tuple[int, ...], width: float) -> Mask:
    canvas = np.zeros(subject.person.shape, np.uint8)
    corners = np.round(subject.pose.points[list(bones)]).astype(np.int32)
    cv2.polylines(canvas, [corners], isClosed=False, color=(1,), thickness=max(1, round(width)))
    return canvas > 0


def _limbs(subject: Subject, width: float) -> Mask:
    """Where skin may be bare: neck and chest, arms, hands and legs; `width` in body sizes."""
    size, points = span(subject.pose), subject.pose.points
    result = np.zeros(subject.person.shape, bool)
    for bones in (*_ARMS, *_LEGS):
        result |= _limb(subject, bones, 3 * width * size)
    for hand in _HANDS:
        if subject.pose.visibility[list(hand)].max() > _VISIBLE:
            result |= _drawn(subject, points[list(hand)], 2.5 * width * size)
    chest = (points[joint.LEFT_SHOULDER] + points[joint.RIGHT_SHOULDER]) / 2
    canvas = result.astype(np.uint8)
    centre = chest if subject.face is None else (chest + subject.face.points[face_points.CHIN]) / 2
    cv2.circle(canvas, (round(float(centre[0])), round(float(centre[1]))), round(0.35 * size), (1,), -1)
    return canvas > 0


def _head_places(subject: Subject) -> tuple[Values, Values]:
    """Each pixel's place by the head: across in half faces from the middle, up in faces from the chin."""
    rows, columns = np.indices(subject.person.shape, np.float32)
    if subject.face is None:
        points = subject.pose.points
        ears = points[[joint.LEFT_EAR, joint.RIGHT_EAR]]
        chest = points[[joint.LEFT_SHOULDER, joint.RIGHT_SHOULDER]].mean(0)
        chin = points[[joint.MOUTH_LEFT, joint.MOUTH_RIGHT]].mean(0)
        up = ears.mean(0) - chest
        up = up / max(float(np.linalg.norm(up)), 1.0)
        tall = 0.55 * span(subject.pose)
        chin = chin - 0.2 * tall * up
        half = 0.35 * tall
    else:
        outline = subject.face.points[list(face_points.FACE_OVAL)]
        chin = subject.face.points[face_points.CHIN]
        up = subject.face.points[face_points.FOREHEAD_TOP] - chin
        tall = max(float(np.linalg.norm(up)), 1.0)
        up = up / tall
        across = (outline - chin) @ np.array([-up[1], up[0]], np.float32)
        chin = chin + np.array([-up[1], up[0]], np.float32) * float(across.max() + across.min()) / 2
        half = max(float(across.max() - across.min()) / 2, 1.0)
    x, y = columns + 0.5 - chin[0], rows + 0.5 - chin[1]
    return np.abs(-x * up[1] + y * up[0]) / half, (x * up[0] + y * up[1]) / tall


def _head(subject: Subject) -> Mask:
    """Face, hat, and hair above the chin; sleeves of raised arms beside it stay out."""
    across, above = _head_places(subject)
    head = (above > 0.08) & (across < 1.9) & (above < 2.2)
    if subject.face is not None:
        head |= _drawn(subject, subject.face.points[list(face_points.FACE_OVAL)], 0.03 * span(subject.pose))
    return np.asarray(head)


def _skin_distance(subject: Subject, values: Values) -> Values:
    """How far each pixel is from the colour of the cheeks, or everything far where no face shows."""
    cheeks = np.zeros(subject.person.shape, np.uint8)
    if subject.face is not None:
        radius = max(1, round(0.1 * subject.face.size))
        places = subject.face.points[[face_points.LEFT_CHEEK, face_points.RIGHT_CHEEK, face_points.NOSE_TIP]]
    elif subject.pose.visibility[joint.NOSE] > 0.5:
        # The face is too small to be found by itself, but the body has a nose.
        radius = max(1, round(0.05 * span(subject.pose)))
        places = subject.pose.points[[joint.NOSE, joint.MOUTH_LEFT, joint.MOUTH_RIGHT]]
    else:
        return np.full(subject.person.shape, 99, np.float32)
    for x, y in places:
        cv2.circle(cheeks, (round(float(x)), round(float(y))), radius, (1,), -1)
    samples = values[cheeks > 0]
    if len(samples) == 0:
        return np.full(subject.person.shape, 99, np.float32)
    skin = materials.fit(samples)
    # Skin in the shade of the chin is much darker than cheeks, and redder.
    loose = materials.Material(skin.centre, np.maximum(skin.spread, [0.12, 0.045, 0.045]).astype(np.float32))
    return materials.distance(values, loose)


def _hair(subject: Subject, values: Values, head: Mask, cloth: Values) -> Mask:
    """Hair that falls below the chin: near the head, of the colour of what is above the face, and not the cloth's."""
    across, above = _head_places(subject)
    sample = (above > 1.08) & (above < 1.5) & (across < 0.9) & (subject.person > 0.8)
    if sample.sum() < 12:
        return np.zeros_like(head)
    hair = materials.distance(values, materials.fit(values[sample]))
    near = (across < 2.4) & (above > -1.2) & (above <= 0.1)
    return np.asarray(near & (hair < 2.5) & (hair < 0.5 * cloth) & (cloth > 2))


def _cut(lab: Values, labels: NDArray[np.uint8]) -> Mask:
    """GrabCut from seeds, on colours in which folds count for less than hue."""
    shown = np.stack([lab[..., 0] * 160, lab[..., 1] * 400 + 128, lab[..., 2] * 400 + 128], -1)
    return grab_cut.settled(np.clip(shown, 0, 255).astype(np.uint8), labels, rounds=2) > 0


def _clean(mask: Mask, size: float, *, hole: float) -> Mask:
    """Without specks, and without holes smaller than `hole`, in body sizes squared."""
    result = mask.astype(np.uint8)
    for value in (1, 0):
        count, labels, stats, _ = cv2.connectedComponentsWithStats((result == value).astype(np.uint8), connectivity=4)
        small = np.zeros(count, bool)
        small[1:] = stats[1:, cv2.CC_STAT_AREA] < (0.01 if value else hole) * size * size
        result[small[labels]] = 1 - value
    return result > 0
