"""Real portraits in many tones and lights, their parts by the face's points, and how much fine detail is in a part."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image
from skimage import data

from mayfly.effects.vision import face_points
from tests.effects.vision import pictures

# The astronaut's hair, in pixels of her picture: its outline, then back along the forehead above the brows.
_HAIR = (
    *((150, 90), (170, 45), (205, 22), (245, 25), (285, 45), (295, 90), (285, 120)),
    *((270, 100), (258, 86), (240, 84), (215, 78), (190, 72), (178, 80), (176, 120), (160, 115)),
)


def astronaut():
    return data.astronaut()


def admiral():
    """Grace Hopper, aged 77, with glasses; US Navy, public domain, from matplotlib, which MediaPipe brings."""
    package = Path(importlib.util.find_spec("matplotlib").origin).parent
    with Image.open(package / "mpl-data" / "sample_data" / "grace_hopper.jpg") as picture:
        return np.array(picture.convert("RGB"))


def close_up(side=768):
    """The astronaut's head."""
    return pictures.resized(data.astronaut()[:256, 96:352], side, side)


def toned(picture, gains):
    """In other light or of another tone: linear light times a gain for each channel."""
    linear = (picture / 255) ** 2.2 * np.array(gains)
    return (np.clip(linear, 0, 1) ** (1 / 2.2) * 255).round().astype(np.uint8)


def recoloured(picture, face, gains):
    """Only the face's skin in another tone; hair and background as they were."""
    share = area(picture, face, face_points.FACE_OVAL).astype(np.float32)
    for outline in (face_points.RIGHT_EYE, face_points.LEFT_EYE, face_points.INNER_LIPS):
        share[area(picture, face, outline)] = 0
    share = cv2.GaussianBlur(share, (0, 0), 0.02 * face.size)[..., None]
    mixed = picture * (1 - share) + toned(picture, gains) * share
    return mixed.round().astype(np.uint8)


def noisy(picture, deviation=10):
    grain = np.random.default_rng(1).normal(0, deviation, picture.shape)
    return np.clip(picture + grain, 0, 255).round().astype(np.uint8)


def area(picture, face, outline: Sequence[int], grow: float = 0.0):
    """(H, W) bool: inside an outline of the face's points; `grow` in sizes of the face."""
    return _filled(picture, face.points[list(outline)], grow * face.size)


def parts(picture, face):
    """(H, W) bool for each part. Skin is from the eyes down, away from every feature."""
    eyes = (face_points.RIGHT_EYE, face_points.LEFT_EYE)
    brows = (face_points.RIGHT_BROW, face_points.LEFT_BROW)
    skin = area(picture, face, face_points.FACE_OVAL, -0.05)
    for outline, room in (
        *((eye, 0.05) for eye in eyes),
        *((brow, 0.04) for brow in brows),
        (face_points.OUTER_LIPS, 0.04),
        (face_points.NOSE_BASE, 0.03),
    ):
        skin &= ~area(picture, face, outline, room)
    skin[: int(face.points[face_points.BETWEEN_EYES, 1])] = False
    lips = area(picture, face, face_points.OUTER_LIPS) & ~area(picture, face, face_points.INNER_LIPS)
    found = {name: area(picture, face, pair[0]) | area(picture, face, pair[1]) for name, pair in _PAIRS.items()}
    return {"skin": skin, "lips": lips, **found}


_PAIRS = {
    "eyes": (face_points.RIGHT_EYE, face_points.LEFT_EYE),
    "brows": (face_points.RIGHT_BROW, face_points.LEFT_BROW),
}


def hair(picture):
    """(H, W) bool: hair of the astronaut's whole picture."""
    return _filled(picture, np.array(_HAIR, np.float32), 0)


def band_energy(picture, mask, size):
    """Mean square of what is finer than 2 % of a face of this size, in squared levels of luma."""
    luma = _luma(picture)
    return float(((luma - cv2.GaussianBlur(luma, (0, 0), max(1.0, 0.02 * size)))[mask] ** 2).mean())


def laplacian_energy(picture, mask, _size):
    """Mean square of the Laplacian: the very finest detail."""
    return float((cv2.Laplacian(_luma(picture), cv2.CV_64F)[mask] ** 2).mean())


def _luma(picture):
    return picture.astype(np.float64) @ [0.299, 0.587, 0.114]


def _filled(picture, corners, grow):
    drawn = np.zeros(picture.shape[:2], np.uint8)
    cv2.fillPoly(drawn, [np.round(corners).astype(np.int32)], 1)
    reach = abs(round(grow))
    if reach:
        disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
        drawn = cv2.dilate(drawn, disc) if grow > 0 else cv2.erode(drawn, disc)
    return drawn > 0
