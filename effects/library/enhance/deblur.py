"""Takes back a Gaussian blur: Wiener's filter along rows and columns."""

from __future__ import annotations

import math

from torch import Tensor

from mayfly.effects.shared import blur

# Pixels to each side that the filter looks at.
RADIUS = 12
# The power of noise against that of the picture at which the filter stops to amplify, along each axis.
_NOISE = 0.03
_FREQUENCIES = 256


def sharpened(image: Tensor, sigma: float) -> Tensor:
    """Undo a Gaussian blur of deviation `sigma` pixels, as far as that does not amplify noise.

    Wiener's filter (1949) for a Gaussian is nearly a product of one along rows and one along columns, each of which is
    a short symmetric kernel.

    Args:
        image: (N, C, H, W) in 0…1.
        sigma: in pixels; 0 leaves the picture as it is.
    """
    if sigma <= 0:
        return image
    return blur.separable(image, _kernel(sigma)).clamp_(0, 1)


def _kernel(sigma: float) -> list[float]:
    """Half of the symmetric kernel whose spectrum is g / (g² + noise), scaled to keep the mean."""
    frequencies = [math.pi * (index + 0.5) / _FREQUENCIES for index in range(_FREQUENCIES)]
    # The spectrum of a Gaussian that is sampled at whole pixels.
    passed = [math.exp(-0.5 * (sigma * frequency) ** 2) for frequency in frequencies]
    gains = [gain / (gain * gain + _NOISE) for gain in passed]
    half = [
        sum(gain * math.cos(frequency * distance) for gain, frequency in zip(gains, frequencies, strict=True))
        for distance in range(RADIUS + 1)
    ]
    # Fades out, so that cutting it off does not ring.
    half = [value * 0.5 * (1 + math.cos(math.pi * distance / (RADIUS + 1))) for distance, value in enumerate(half)]
    total = half[0] + 2 * sum(half[1:])
    return [value / total for value in half]
