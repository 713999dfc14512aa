"""Blur as a lens makes it: points become discs, in linear light, and nothing of what is in focus runs into it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

from mayfly.effects.shared import blur, colour

if TYPE_CHECKING:
    from collections.abc import Sequence

# A disc's radius on the grid on which it is blurred, in pixels.
_GRID_RADIUS = 9.0
# The picture squeezed lights towards white, where they were so many times as bright; an even surface keeps its own.
_BRIGHTER = 4.0
# The least weight of a place of which nothing is known.
_NOTHING = 1e-4


def disc(image: Tensor, weight: Tensor, radius: float) -> Tensor:
    """Blur what `weight` lets through with a disc; where it lets nothing through, what is around fills in.

    A convolution normalised by the weight's own (Knutsson and Westin, "Normalized and differential convolution", 1993).

    Args:
        image: (1, 3, H, W) sRGB in 0…1.
        weight: (1, 1, H, W), 0…1: 0 for what is in focus.
        radius: of the disc in pixels.

    Returns:
        (1, 3, H, W) sRGB in 0…1.
    """
    size = (image.shape[-2], image.shape[-1])
    factor = max(1.0, radius / _GRID_RADIUS)
    grid = (max(1, round(size[0] / factor)), max(1, round(size[1] / factor)))
    light = colour.srgb_to_linear(image).clamp_max(1)
    squeeze = 1 - 1 / _BRIGHTER
    light = light / (1 - squeeze * light)
    # Averaged before it is made smaller, lest what is in focus runs into it there.
    share = blur.reduce(weight, grid)
    light = blur.reduce(light * weight, grid) / share.clamp_min(_NOTHING)
    radius /= factor
    total = _convolved(torch.cat([light * share, share], 1), radius)
    spread, known = total[:, :3], total[:, 3:]
    # Where a disc reaches nothing, wider ones do.
    for times in (3, 9, 27):
        if float(known.min()) >= _NOTHING:
            break
        wider = blur.wide(torch.cat([light * share, share], 1), radius * times)
        missing = known < _NOTHING
        spread, known = torch.where(missing, wider[:, :3], spread), torch.where(missing, wider[:, 3:], known)
    light = spread / known.clamp_min(1e-9)
    shown = colour.linear_to_srgb((light / (1 + squeeze * light)).clamp(0, 1))
    return blur.enlarge(shown, size)


def _convolved(image: Tensor, radius: float) -> Tensor:
    """Each plane with a smooth-edged disc, by Fourier transforms; the border is mirrored as far as that goes."""
    reach = int(radius) + 1
    height, width = image.shape[-2:]
    padded = functional.pad(image, (reach,) * 4, mode="replicate")
    around = torch.arange(-reach, reach + 1, device=image.device, dtype=image.dtype)
    kernel = (radius + 0.5 - (around[:, None] ** 2 + around**2).sqrt()).clamp(0, 1)
    kernel = kernel / kernel.sum()
    shape: Sequence[int] = (height + 2 * reach, width + 2 * reach)
    spectrum = torch.fft.rfft2(padded, s=shape) * torch.fft.rfft2(kernel, s=shape)
    result = torch.fft.irfft2(spectrum, s=shape)
    kept: Tensor = result[..., 2 * reach : 2 * reach + height, 2 * reach : 2 * reach + width]
    return kept.clamp_min(0)
