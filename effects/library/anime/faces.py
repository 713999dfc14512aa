"""Faces as faces: clean skin to shade, and the lines that a draughtsman draws at eyes, brows, nose and mouth."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mayfly.effects.library.anime.canvas import Canvas
from mayfly.effects.library.anime.features import Features
from mayfly.effects.shared import blur, colour
from mayfly.effects.vision import face_points as points
from mayfly.effects.vision.types import Face

# Of float32.
Mask = npt.NDArray[Any]

# Faces of a smaller share of the picture get fewer lines, and at the second share none.
_LARGE, _SMALL = 0.13, 0.06
# Smoothing of skin, as a share of the face's size.
_SKIN_SIGMA = 0.028
# Lines are drawn on a raster of so many pixels a side around each face, and then reduced or enlarged.
_RASTER = 512
# Thin lines lose ink when they are reduced; a pen that is pressed harder makes up for it.
_PRESSURE = 1.3
# How many times as wide as the face's box the raster is.
_REACH = 1.3
# An eye that is so much narrower than the other is seen from the side.
_SIDEWAYS = 0.4


@dataclasses.dataclass(frozen=True)
class _Stroke:
    """A line through points of a face; `width` and `taper` are shares of a pen's width, at its middle and its ends."""

    through: tuple[int, ...]
    width: float
    taper: float = 0.3
    strength: float = 1.0


_EYES = {
    "right": (points.RIGHT_EYE_OUTER, points.RIGHT_EYE_INNER),
    "left": (points.LEFT_EYE_OUTER, points.LEFT_EYE_INNER),
}
_OF_EYES = {
    "right": (
        _Stroke(points.RIGHT_UPPER_LID, 2.5, 0.55),
        _Stroke(points.RIGHT_LOWER_LID[:6], 0.8, 0.3, 0.55),
        _Stroke(points.RIGHT_UPPER_FOLD[2:7], 0.6, 0.1, 0.4),
    ),
    "left": (
        _Stroke(points.LEFT_UPPER_LID, 2.5, 0.55),
        _Stroke(points.LEFT_LOWER_LID[:6], 0.8, 0.3, 0.55),
        _Stroke(points.LEFT_UPPER_FOLD[2:7], 0.6, 0.1, 0.4),
    ),
}
_OF_ALL = (
    _Stroke((points.RIGHT_MOUTH_CORNER, *points.UPPER_LIP_BOTTOM[1:-1], points.LEFT_MOUTH_CORNER), 1.3, 0.6),
    _Stroke(points.LOWER_LIP_BOTTOM[3:8], 0.9, 0.1, 0.55),
    _Stroke(points.NOSE_BASE[1:3], 1.0, 0.4, 0.6),
    _Stroke(points.NOSE_BASE[4:6], 1.0, 0.4, 0.6),
    _Stroke((points.RIGHT_NOSE_WING, points.NOSE_BASE[1]), 0.8, 0.2, 0.3),
    _Stroke((points.LEFT_NOSE_WING, points.NOSE_BASE[5]), 0.8, 0.2, 0.3),
)
_BROWS = (points.RIGHT_BROW, points.LEFT_BROW)


def found(given: Canvas, faces: Sequence[Sequence[Face]], strength: float, *, line_width: float) -> Features | None:
    """What there is to draw; None where no frame shows a face that is large enough.

    Args:
        given: N pictures.
        faces: of each of them, in pixels of the full size.
        strength: 0…1.
        line_width: as AnimeParameters.
    """
    size, small = given.size, (given.work.shape[-2], given.work.shape[-1])
    masks: list[list[Mask]] = []
    for of_frame in faces:
        skin, details = np.zeros(small, np.float32), np.zeros(small, np.float32)
        lines = np.zeros(size, np.float32)
        for face in of_frame:
            amount = strength * _weight(face, given)
            if amount:
                _regions(face, (skin, details), size, amount)
                _draw(face, lines, given.full_unit * line_width, amount)
        masks.append([skin, details, lines])
    if not any(skin.any() for skin, _, _ in masks):
        return None
    stacked = [
        torch.from_numpy(np.stack(kind))[:, None].to(given.frames.device, given.frames.dtype)
        for kind in zip(*masks, strict=True)
    ]
    return Features(*stacked)


def _weight(face: Face, given: Canvas) -> float:
    share = face.size / (blur.area_root(given.frames) + 1e-6)
    return float(blur.smoothstep(_SMALL, _LARGE, share))


def cleaned(given: Canvas, features: Features, faces: Sequence[Sequence[Face]]) -> Canvas:
    """The canvas with skin that holds no pores, wrinkles or noise, but its light and its colour."""
    largest = max((face.size for of_frame in faces for face in of_frame), default=0.0)
    scale = given.work.shape[-1] / given.frames.shape[-1]
    sigma = max(0.8, _SKIN_SIGMA * largest * scale)
    lab, luma = given.lab.clone(), given.luma.clone()
    window = (..., *_bounds(features.skin, round(3 * sigma)))
    skin, before = features.skin[window], lab[window]
    # Only skin is averaged, so that no hair, eye or lip bleeds into it.
    weight = blur.gaussian(skin, sigma) + 1e-4
    after = torch.lerp(before, blur.gaussian(before * skin, sigma) / weight, 0.9 * skin)
    lab[window] = after
    luma[window] = torch.lerp(luma[window], colour.luma(colour.oklab_to_srgb(after)).clamp_(0, 1), skin)
    return dataclasses.replace(given, lab=lab, luma=luma, features=features)


def _bounds(mask: Tensor, margin: int) -> tuple[slice, slice]:
    """The rows and columns in which any of a batch's masks, (N, 1, h, w), holds anything, and so many more around."""
    covered = mask.amax((0, 1)) > 0
    found = []
    for axis in (1, 0):
        places = covered.any(axis).nonzero().flatten()
        found.append(slice(max(0, int(places[0]) - margin), int(places[-1]) + margin + 1))
    return found[0], found[1]


def _regions(face: Face, masks: tuple[Mask, Mask], size: tuple[int, int], amount: float) -> None:
    """Add a face's skin and its details to the masks of the grid."""
    skin, details = masks
    scale = np.array([skin.shape[1] / size[1], skin.shape[0] / size[0]], np.float32)
    at = face.points * scale
    oval = _filled(skin.shape, at[list(points.FACE_OVAL)])
    parts = np.zeros_like(skin)
    for outline in (points.RIGHT_EYE, points.LEFT_EYE, *_BROWS, points.OUTER_LIPS):
        parts = np.maximum(parts, _filled(skin.shape, at[list(outline)]))
    span = face.size * float(scale.mean())
    grown = max(1, round(0.022 * span))
    parts = cv2.dilate(parts, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * grown + 1, 2 * grown + 1)))
    soft = max(0.6, 0.012 * span)
    # The oval's rim is where hair and background begin.
    inner = cv2.erode(oval, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * grown + 1, 2 * grown + 1)))
    np.maximum(skin, amount * cv2.GaussianBlur(inner * (1 - parts), (0, 0), soft) * (1 - parts), out=skin)
    np.maximum(details, amount * cv2.GaussianBlur(parts, (0, 0), soft), out=details)


def _filled(shape: tuple[int, ...], outline: Mask) -> Mask:
    """(h, w) with 1 inside an outline of continuous pixels."""
    canvas = np.zeros(shape, np.uint8)
    _fill(canvas, outline, 255)
    return canvas.astype(np.float32) / 255


def _fill(canvas: npt.NDArray[np.uint8], outline: Mask, level: int) -> None:
    """Fill an outline of continuous pixels with a level, softly at its edge."""
    bits = 4
    corners = np.round((outline - 0.5) * (1 << bits)).astype(np.int32)
    cv2.fillPoly(canvas, [corners], (level,), cv2.LINE_AA, bits)


def _draw(face: Face, lines: Mask, pen: float, amount: float) -> None:
    """Add a face's lines, (H, W) in 0…1; `pen` is a fine pen's width in pixels."""
    middle = (np.array(face.box[:2]) + face.box[2:]) / 2
    side = _REACH * face.size
    left, top = (middle - side / 2).tolist()
    factor = _RASTER / side
    width = max(1.1 * pen, 0.0085 * face.size) * factor
    at = (face.points - np.array([left, top], np.float32)) * factor
    strokes = [*_OF_ALL]
    spans = {side: float(np.linalg.norm(at[one] - at[other])) for side, (one, other) in _EYES.items()}
    for name, span in spans.items():
        if span > _SIDEWAYS * max(spans.values()):
            strokes += _OF_EYES[name]
    # From the faintest to the strongest, which may cover it.
    shapes = [(0.5, _slimmed(at[list(outline)])) for outline in _BROWS]
    shapes += [
        (stroke.strength, _stroked(at[list(stroke.through)], width * stroke.width, stroke.taper)) for stroke in strokes
    ]
    raster = np.zeros((_RASTER, _RASTER), np.uint8)
    for strength, outline in sorted(shapes, key=lambda shape: shape[0]):
        _fill(raster, outline, round(255 * strength))
    _paste(lines, raster.astype(np.float32) / 255, left, top, factor, amount)


def _slimmed(outline: Mask) -> Mask:
    """A brow as it is drawn: half as high as the hair grows."""
    half = len(outline) // 2
    upper, lower = outline[:half], outline[half:][::-1]
    middle = (upper + lower) / 2
    return np.concatenate([middle + (upper - middle) * 0.45, (middle + (lower - middle) * 0.45)[::-1]])


def _stroked(through: Mask, width: float, taper: float) -> Mask:
    """The outline of a brush's line that is thick in its middle."""
    along = np.linspace(0, len(through) - 1, 48)
    index = np.minimum(along.astype(int), len(through) - 2)
    rest = (along - index)[:, None]
    # Catmull and Rom's spline, 1974.
    p0, p1 = through[np.maximum(index - 1, 0)], through[index]
    p2, p3 = through[index + 1], through[np.minimum(index + 2, len(through) - 1)]
    path = 0.5 * (
        2 * p1 + (p2 - p0) * rest + (2 * p0 - 5 * p1 + 4 * p2 - p3) * rest**2 + (3 * p1 - p0 - 3 * p2 + p3) * rest**3
    )
    swell = taper + (1 - taper) * np.sin(np.pi * along / (len(through) - 1)) ** 0.7
    sides = np.gradient(path, axis=0)[:, ::-1] * (-1, 1)
    sides /= np.linalg.norm(sides, axis=1, keepdims=True) + 1e-6
    reach = sides * (0.5 * width * swell)[:, None]
    both: Mask = np.concatenate([path + reach, (path - reach)[::-1]])
    return both.astype(np.float32)


def _paste(lines: Mask, raster: Mask, left: float, top: float, factor: float, amount: float) -> None:
    """Put a raster whose corner lies at (left, top) and whose pixels are `factor` a pixel onto the lines."""
    height, width = lines.shape
    first_row, last_row = max(0, int(top)), min(height, int(top + _RASTER / factor) + 1)
    first, last = max(0, int(left)), min(width, int(left + _RASTER / factor) + 1)
    if first_row >= last_row or first >= last:
        return
    if factor > 1:
        # Each pixel is to be the mean of what it covers.
        raster = cv2.blur(raster, (max(1, round(factor)),) * 2)
    # Centres of pixels lie at halves on both sides.
    matrix = np.array(
        [
            [factor, 0, (first + 0.5 - left) * factor - 0.5],
            [0, factor, (first_row + 0.5 - top) * factor - 0.5],
        ]
    )
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    placed = cv2.warpAffine(raster, matrix, (last - first, last_row - first_row), flags=how)
    window = lines[first_row:last_row, first:last]
    np.maximum(window, amount * np.minimum(_PRESSURE * placed, 1), out=window)
