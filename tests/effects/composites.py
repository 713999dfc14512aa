"""Real people before other backgrounds, with an opacity that is known because the picture is made of it."""

import dataclasses
import functools

import cv2
import numpy as np
from skimage import data

from tests.effects import portraits

# Around the person, by hand.
ASTRONAUT = [(28, 512), (20, 440), (30, 330), (60, 265), (112, 215), (118, 175), (150, 148), (182, 150), (186, 130)]
ASTRONAUT += [(168, 112), (153, 100), (157, 70), (175, 40), (205, 20), (245, 14), (285, 32), (300, 70), (298, 105)]
ASTRONAUT += [(282, 124), (268, 135), (258, 178), (290, 200), (305, 232), (345, 262), (360, 330), (366, 348)]
ASTRONAUT += [(420, 345), (470, 375), (495, 420), (508, 460), (511, 512)]
ADMIRAL = [(12, 600), (25, 400), (60, 375), (150, 345), (195, 320), (185, 295), (160, 265), (165, 240), (155, 200)]
ADMIRAL += [(160, 150), (155, 110), (175, 85), (180, 55), (235, 25), (285, 28), (345, 65), (370, 95), (368, 150)]
ADMIRAL += [(370, 180), (375, 195), (365, 240), (355, 290), (335, 318), (380, 345), (480, 375), (495, 390)]
ADMIRAL += [(508, 470), (511, 600)]
# Where hair stands off: left, top, right, bottom; and how many strands.
ASTRONAUT_HAIR, ADMIRAL_HAIR = ((150, 10, 302, 130), 160), ((155, 150, 378, 320), 60)


@dataclasses.dataclass(frozen=True)
class Composite:
    """A picture, (H, W, 3) uint8, and the opacity of the person in it, (H, W) float32 in 0…1."""

    picture: np.ndarray
    alpha: np.ndarray


def composite(who, background, *, scale=1.0, mirrored=False, exposure=1.0, canvas=None):
    """A person at the bottom of a picture.

    `background` names one of scikit-image's, or is a level in 0…1; `canvas` is (width, height) where the picture is
    wider than the person.
    """
    colours, alpha = _subject(who)
    if mirrored:
        colours, alpha = colours[:, ::-1], alpha[:, ::-1]
    size = (round(alpha.shape[1] * scale), round(alpha.shape[0] * scale))
    colours, alpha = _resized(colours, size), _resized(alpha, size)
    width, height = canvas or size
    above, left = height - size[1], (width - size[0]) // 2
    around = ((above, 0), (left, width - size[0] - left))
    alpha, colours = np.pad(alpha, around), np.pad(colours, (*around, (0, 0)))
    mixed = colours * alpha[..., None] + _background(background, width, height) * (1 - alpha[..., None])
    lit = (mixed**2.2 * exposure).clip(0, 1) ** (1 / 2.2)
    return Composite((lit * 255).round().astype(np.uint8), alpha)


@functools.cache
def _subject(who):
    """A person's colours, (H, W, 3) in 0…1, everywhere, and opacity with loose hair."""
    picture, outline, hair = {
        "astronaut": (data.astronaut(), ASTRONAUT, ASTRONAUT_HAIR),
        "admiral": (portraits.admiral(), ADMIRAL, ADMIRAL_HAIR),
    }[who]
    hard = _cut(picture, outline)
    wider = np.pad(hard, ((0, 9), (9, 9)), mode="edge")
    soft = cv2.GaussianBlur(cv2.erode(wider, np.ones((3, 3))).astype(np.float32), (0, 0), 1.0)[:-9, 9:-9]
    alpha = np.maximum(soft, _strands(hard, *hair))
    values, sure = picture.astype(np.float32) / 255, cv2.erode(wider, np.ones((5, 5)))[:-9, 9:-9].astype(np.float32)
    colours, known = values * sure[..., None], sure > 0.5
    for sigma in (1.5, 3, 6, 12, 24):
        near = cv2.GaussianBlur(sure, (0, 0), sigma)
        fresh = ~known & (near > 0.02)
        colours[fresh] = (cv2.GaussianBlur(values * sure[..., None], (0, 0), sigma) / near.clip(1e-6)[..., None])[fresh]
        known |= fresh
    return colours, alpha


def _cut(picture, outline):
    """(H, W) uint8, 1 inside the outline as colours correct it."""
    inside = np.zeros(picture.shape[:2], np.uint8)
    cv2.fillPoly(inside, [np.array(outline, np.int32)], 1)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (19, 19))
    labels = np.where(cv2.dilate(inside, disc) > 0, cv2.GC_PR_BGD, cv2.GC_BGD).astype(np.uint8)
    labels[inside > 0] = cv2.GC_PR_FGD
    labels[cv2.erode(np.pad(inside, ((0, 30), (0, 0)), mode="edge"), disc)[: len(inside)] > 0] = cv2.GC_FGD
    cv2.setRNGSeed(1)
    model = np.zeros((1, 65))
    cv2.grabCut(picture[..., ::-1].copy(), labels, None, model, model.copy(), 4, cv2.GC_INIT_WITH_MASK)
    _, parts, facts, _ = cv2.connectedComponentsWithStats(labels & 1)
    largest = (parts == 1 + facts[1:, cv2.CC_STAT_AREA].argmax()).astype(np.uint8)
    return cv2.morphologyEx(largest, cv2.MORPH_OPEN, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5)))


def _strands(hard, box, count):
    """Curved hairs, half as wide as a pixel and wider, that leave the outline within a box."""
    random = np.random.default_rng(0)
    outlines, _ = cv2.findContours(hard, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    outline = max(outlines, key=len)[:, 0]
    left, top, right, bottom = box
    x, y = outline.T
    outline = outline[(x >= left) & (x < right) & (y >= top) & (y < bottom)]
    centre = np.array([(left + right) / 2, (top + bottom) / 2 + 10])
    large = np.zeros((hard.shape[0] * 4, hard.shape[1] * 4), np.uint8)
    for root in outline[random.integers(0, len(outline), count)]:
        away = (root - centre) / (np.linalg.norm(root - centre) + 1e-6)
        angle, bend = np.arctan2(away[1], away[0]) + random.normal(0, 0.6), random.normal(0, 0.12)
        angles = angle + bend * np.arange(random.integers(4, 14))
        points = root - 2 * away + np.cumsum(np.stack([np.cos(angles), np.sin(angles)], 1), 0)
        strength = int(random.integers(120, 255))
        cv2.polylines(large, [np.round(points * 64).astype(np.int32)], False, strength, 3, cv2.LINE_AA, 4)
    return cv2.resize(large, hard.shape[::-1], interpolation=cv2.INTER_AREA).astype(np.float32) / 255


def _background(name, width, height):
    if isinstance(name, float):
        return np.full((height, width, 3), name, np.float32)
    picture = getattr(data, name)()
    colours = np.repeat(picture[..., None], 3, 2) if picture.ndim == 2 else picture[..., :3]
    factor = max(width / colours.shape[1], height / colours.shape[0])
    size = (int(np.ceil(colours.shape[1] * factor)), int(np.ceil(colours.shape[0] * factor)))
    return _resized(colours.astype(np.float32) / 255, size)[:height, :width]


def _resized(picture, size):
    how = cv2.INTER_AREA if size[0] < picture.shape[1] else cv2.INTER_CUBIC
    return cv2.resize(np.ascontiguousarray(picture), size, interpolation=how).clip(0, 1)
