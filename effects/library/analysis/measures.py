"""What can be measured of a picture without knowing what it shows: sharpness, noise, light, cast, colours, tilt.

Pictures are (H, W, 3) uint8 RGB in plain memory.
"""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
Values = NDArray[Any]

# Pixels along the longer side at which sharpness, tilt and light are judged, whatever the picture has.
VIEWED, _TILT_SIDE, LIGHT_SIDE, _CAST_SIDE = 1024, 512, 256, 128
_LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)
# Sharpness is judged along lines evenly spread, of at least so many.
_LINES = 200
# Noise is judged in blocks of so many pixels a side, in rows of blocks evenly spread, of at least so many pixels.
_BLOCK, _JUDGED = 16, 250_000
# Blocks that are calmer than this share of all show noise and no texture; and what that choice takes off the deviation.
_CALM, _CALM_BIAS = 0.15, 1.09
_COLOURS, _COLOUR_SIDE, _ROUNDS = 5, 48, 10
_ALIKE = 0.045  # OKLab distance below which two colours are one
_STEEPEST, _ANGLE_STEP = 12.0, 0.1  # degrees
_NORM = 6
_BYTES = np.arange(256) / 255
# By sRGB's byte: light, 0…1.
_LINEAR = np.where(_BYTES <= 0.04045, _BYTES / 12.92, ((_BYTES + 0.055) / 1.055) ** 2.4)


def reduced(picture: Picture, longest: int) -> Picture:
    """The picture at no more than so many pixels along its longer side."""
    height, width = picture.shape[:2]
    factor = longest / max(height, width)
    if factor >= 1:
        return picture
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)


def luma(picture: Picture) -> Values:
    """(H, W) float32, 0…255."""
    return np.asarray(picture.astype(np.float32) @ _LUMA, np.float32)


def sharpness(picture: Picture) -> float | None:
    """0 (blurred) to 1: how much is lost when the picture is blurred once more; None where there is nothing to judge.

    Crete et al., "The Blur Effect" (2007), at the size at which pictures are looked at.
    """
    viewed = reduced(picture, VIEWED)
    found = []
    for lines in (viewed, viewed.transpose(1, 0, 2)):
        if lines.shape[1] < 3:
            continue
        light = luma(lines[:: max(1, len(lines) // _LINES)])
        here, blurred = (abs(np.diff(one)) for one in (light, cv2.blur(light, (9, 1))))
        total = float(here.sum())
        if total / here.size >= 0.25:
            found.append(float(np.maximum(here - blurred, 0).sum()) / total)
    return min(found) if found else None


def noise(picture: Picture) -> float | None:
    """Standard deviation of the noise of a pixel in levels of 255; None where the picture is too small or clipped.

    The operator of Immerkær (1996), which no slope answers, in the calmest of the picture's blocks.
    """
    rows, columns = (side // _BLOCK for side in picture.shape[:2])
    if min(rows, columns) < 2:
        return None
    step = max(1, rows * columns * _BLOCK**2 // _JUDGED)
    stripes = picture[: rows * _BLOCK, : columns * _BLOCK].reshape(rows, _BLOCK, -1, 3)[::step]
    light = luma(stripes.reshape(-1, columns * _BLOCK, 3))
    response = cv2.filter2D(light, -1, np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32) / 6)
    mean, answers = _blocks(light).mean((1, 2)), _blocks(response)
    # The outer rows of a block have rows of another beside them, which need not be their neighbours.
    usable = answers[(mean > 12) & (mean < 243), 1:-1]
    if len(usable) < 4:
        return None
    # Luma's noise is less than each channel's, for it is a mean of three.
    deviation = float(np.quantile(usable.std((1, 2)), _CALM)) * _CALM_BIAS
    return deviation / float(np.linalg.norm(_LUMA))


def _blocks(values: Values) -> Values:
    """(H, W) to (N, B, B)."""
    height, width = values.shape
    cut = values.reshape(height // _BLOCK, _BLOCK, width // _BLOCK, _BLOCK)
    return cut.transpose(0, 2, 1, 3).reshape(-1, _BLOCK, _BLOCK)


def exposure(picture: Picture) -> tuple[float, float, float, float]:
    """Mean lightness, contrast (from the 5th to the 95th percentile), and the shares of black and of burnt-out pixels.

    All in 0…1.
    """
    small = reduced(picture, LIGHT_SIDE)
    light = luma(small)
    shares = np.cumsum(cv2.calcHist([light], [0], None, [1024], [0, 256])) / light.size
    low, high = np.searchsorted(shares, (0.05, 0.95)) * 256 / 1024
    brightest = small.max(2)
    black, burnt = float((brightest <= 8).mean()), float((brightest >= 252).mean())
    return float(light.mean()) / 255, float(high - low) / 255, black, burnt


def cast(picture: Picture) -> tuple[float, float]:
    """The light's colour: red over blue, and green over both, each in stops; 0 is neutral.

    Shades of grey with Minkowski's norm of 6 (Finlayson and Trezzi 2004), on pixels that are not clipped.
    """
    pixels = reduced(picture, _CAST_SIDE).reshape(-1, 3)
    kept = pixels[(pixels.max(1) < 250) & (pixels.min(1) > 3)]
    if len(kept) < 16:
        return 0.0, 0.0
    red, green, blue = ((_LINEAR**_NORM)[kept].mean(0) ** (1 / _NORM)).tolist()
    return math.log2(red / blue), math.log2(green / math.sqrt(red * blue))


def colours(picture: Picture) -> list[tuple[tuple[int, int, int], float]]:
    """At most five colours that make up the picture and their shares, the largest first.

    k-means in OKLab, begun with the colours that lie farthest apart, so that the same picture gives the same colours.
    """
    pixels = reduced(picture, _COLOUR_SIDE).reshape(-1, 3)
    lab = _oklab(pixels)
    centres = [lab.mean(0)]
    while len(centres) < _COLOURS:
        apart = np.min([((lab - centre) ** 2).sum(1) for centre in centres], 0)
        if apart.max() < _ALIKE**2:
            break
        centres.append(lab[int(apart.argmax())])
    found = np.stack(centres)
    nearest = np.zeros(len(lab), int)
    for _ in range(_ROUNDS):
        # The pixel's own square is the same for all centres.
        nearest = ((found**2).sum(1) - 2 * lab @ found.T).argmin(1)
        found = np.stack(
            [lab[nearest == one].mean(0) if (nearest == one).any() else found[one] for one in range(len(found))]
        )
    result: list[tuple[Values, float, Values]] = []
    for one in sorted(range(len(found)), key=lambda one: -int((nearest == one).sum())):
        share = float((nearest == one).mean())
        if not share:
            continue
        alike = [index for index, (_, _, other) in enumerate(result) if np.linalg.norm(other - found[one]) < _ALIKE]
        if alike:
            colour, known, place = result[alike[0]]
            result[alike[0]] = (colour, known + share, place)
        else:
            result.append((np.median(pixels[nearest == one], 0), share, found[one]))
    return [
        ((round(float(colour[0])), round(float(colour[1])), round(float(colour[2]))), share)
        for colour, share, _ in sorted(result, key=lambda one: -one[1])
    ]


def tilt(picture: Picture) -> float | None:
    """Degrees by which the picture is turned clockwise, by its nearly level or upright lines; None without any.

    Lines are von Gioi's LSD (2010); the angle is where most of their length agrees.
    """
    small = reduced(picture, _TILT_SIDE)
    light = np.ascontiguousarray(luma(small).round().astype(np.uint8))
    if min(light.shape) < 32:
        return None
    lines = cv2.createLineSegmentDetector(cv2.LSD_REFINE_NONE).detect(light)[0]
    if lines is None:
        return None
    x1, y1, x2, y2 = lines.reshape(-1, 4).T
    length = np.hypot(x2 - x1, y2 - y1)
    angle = (np.degrees(np.arctan2(y2 - y1, x2 - x1)) + 45) % 90 - 45
    near = (abs(angle) < _STEEPEST) & (length > 0.04 * max(light.shape))
    if not near.any():
        return None
    angle, length = angle[near], length[near]
    tried = np.arange(-_STEEPEST, _STEEPEST + _ANGLE_STEP, _ANGLE_STEP)
    agreed = (length * np.exp(-0.5 * ((angle - tried[:, None]) / 0.5) ** 2)).sum(1)
    best = int(agreed.argmax())
    if agreed[best] < 0.3 * length.sum() or agreed[best] < 0.5 * max(light.shape):
        return None
    around = abs(angle - tried[best]) < 1
    return float(np.average(angle[around], weights=length[around]))


def _oklab(pixels: Picture) -> Values:
    """(P, 3) uint8 to OKLab (Ottosson 2020)."""
    linear = _LINEAR[pixels]
    cones = np.cbrt(
        linear
        @ np.array(
            [
                [0.4122214708, 0.2119034982, 0.0883024619],
                [0.5363325363, 0.6806995451, 0.2817188376],
                [0.0514459929, 0.1073969566, 0.6299787005],
            ]
        )
    )
    mixed: Values = cones @ np.array(
        [
            [0.2104542553, 1.9779984951, 0.0259040371],
            [0.7936177850, -2.4285922050, 0.7827717662],
            [-0.0040720468, 0.4505937099, -0.8086757660],
        ]
    )
    return mixed
