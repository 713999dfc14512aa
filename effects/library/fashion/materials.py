"""Models of cloth, skin and hair by their colour, however it is lit, and distances to them."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float32]
Mask = NDArray[np.bool_]

# Shading multiplies lightness and both chroma axes of OKLab alike, so a and b relative to lightness stay. In the dark
# they are mostly noise, which this much more lightness hides.
_DARK = 0.12
# How much more than hue and chroma the lightness of one material varies: its logarithm is divided by this.
_LIGHT = 3.5
# Least standard deviations: the JPEG noise of chroma, and folds.
_LEAST_CHROMA, _LEAST_LIGHT = 0.035, 0.06


@dataclasses.dataclass(frozen=True, eq=False)
class Material:
    """A colour that is lit: centre and spread of `features`, each (3,) float32."""

    centre: Values
    spread: Values


def features(lab: Values) -> Values:
    """(H, W, 3) OKLab to features of the same shape in which a material's shades lie together."""
    lightness = lab[..., :1]
    bent = np.log(np.maximum(lightness, 0) + 0.1) / _LIGHT
    return np.asarray(np.concatenate([bent, lab[..., 1:] / (lightness + _DARK)], -1), np.float32)


def fit(samples: Values) -> Material:
    """The material of (N, 3) features, outliers apart: the median and the spread of the middle half; N ≥ 1."""
    centre = np.median(samples, 0)
    spread = 1.5 * np.median(np.abs(samples - centre), 0)
    return Material(
        centre.astype(np.float32),
        np.maximum(spread, [_LEAST_LIGHT, _LEAST_CHROMA, _LEAST_CHROMA]).astype(np.float32),
    )


def distance(values: Values, material: Material) -> Values:
    """Standard deviations from a material, (H, W), for (H, W, 3) features."""
    return np.asarray(np.sqrt((((values - material.centre) / material.spread) ** 2).sum(-1)), np.float32)


def dominant(samples: Values, near: Material | None = None) -> Material:
    """The material that most of (N, 3) features are of; N ≥ 1.

    Args:
        samples: features of the places where the material is expected.
        near: the material of the frame before: it is kept while a sixth of the samples is still of it.
    """
    if near is not None:
        close = samples[distance(samples, near) < 3]
        if len(close) > len(samples) / 6:
            return fit(close)
    count = min(6, len(samples))
    # k-means draws its first centres at random.
    cv2.setRNGSeed(1)
    criteria = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 20, 1e-3)
    _, labels, centres = cv2.kmeans(samples, count, None, criteria, 3, cv2.KMEANS_PP_CENTERS)  # type: ignore[call-overload]
    sizes = np.bincount(labels[:, 0], minlength=count)
    # A cluster and what lies close to it are shades of one material.
    apart = np.linalg.norm(centres[:, None] - centres[None], axis=-1)
    together = (sizes[None] * (apart < 0.16)).sum(1)
    chosen = centres[int(np.argmax(together + 1e-6 * sizes))]
    return fit(samples[np.linalg.norm(samples - chosen, axis=1) < 0.16])
