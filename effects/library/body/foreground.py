"""Takes people out of a picture: a soft mask that follows edges, and the people's own colours at its rim."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import torch

from mayfly.effects.shared import blur

if TYPE_CHECKING:
    from torch import Tensor

# The standard deviation of colour below which a window counts as flat.
_NOISE = 0.02


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Foreground:
    """How to take people out of a picture, estimated on a small copy of it.

    Attributes:
        alpha: (1, 1, h, w) in 0…1, how much of a pixel of the copy they cover.
        planes: (1, 12, h, w), for `extracted`: smooth, so that they serve at any size.
    """

    alpha: Tensor
    planes: Tensor


def refined(guide: Tensor, mask: Tensor, radius: int) -> tuple[Tensor, Tensor]:
    """The guided filter's lines with a guide in colour: mask ≈ slope · colour + offset (He, Sun and Tang, 2010).

    Args:
        guide: (1, 3, H, W) in 0…1.
        mask: (1, 1, H, W).
        radius: of the windows in pixels.

    Returns:
        slope (1, 3, H, W) and offset (1, 1, H, W), averaged; enlarged they carry the mask to a larger guide.
    """
    first, other = (0, 0, 0, 1, 1, 2), (0, 1, 2, 1, 2, 2)
    colours, one = guide[0], mask[0]
    planes = torch.cat([colours, one, colours[list(first)] * colours[list(other)], colours * one])[None]
    mean = blur.box(planes, radius)[0]
    r, g, b, m = mean[:4]
    rr, rg, rb, gg, gb, bb = (
        mean[4] - r * r + _NOISE**2,
        mean[5] - r * g,
        mean[6] - r * b,
        mean[7] - g * g + _NOISE**2,
        mean[8] - g * b,
        mean[9] - b * b + _NOISE**2,
    )
    rm, gm, bm = mean[10] - r * m, mean[11] - g * m, mean[12] - b * m
    # The inverse of a symmetric 3 × 3 matrix, by its cofactors.
    a, d, e = gg * bb - gb * gb, gb * rb - rg * bb, rg * gb - gg * rb
    f, h, i = rr * bb - rb * rb, rb * rg - rr * gb, rr * gg - rg * rg
    determinant = (rr * a + rg * d + rb * e).clamp_min(_NOISE**6 * 0.1)
    slope = torch.stack([a * rm + d * gm + e * bm, d * rm + f * gm + h * bm, e * rm + h * gm + i * bm]) / determinant
    offset = m - (slope * mean[:3]).sum(0)
    lines = blur.box(torch.cat([slope, offset[None]])[None], radius)
    return lines[:, :3], lines[:, 3:]


def estimated(small: Tensor, rough: Tensor, core: Tensor, radius: int) -> Foreground:
    """Where people are in a picture, and colours at their rims.

    Args:
        small: (1, 3, h, w) float32 in 0…1.
        rough: (1, 1, h, w) float32: the mask.
        core: (1, 1, h, w) float32: 1 where there are people, whatever the mask says.
        radius: within which it may be wrong, in pixels.
    """
    rough = torch.maximum(rough, core)
    slope, offset = refined(small, rough, radius)
    alpha = torch.maximum(_tightened((slope * small).sum(1, keepdim=True) + offset, rough), core)
    own, other = _spread(small, alpha**2, 2 * radius), _spread(small, (1 - alpha) ** 2, 2 * radius)
    return Foreground(alpha=alpha, planes=torch.cat([slope, offset, rough, own, other, core], 1))


def extracted(planes: Tensor, colours: Tensor) -> tuple[Tensor, Tensor]:
    """How much of some places people cover, (1, N), and their colours there without the background's, (3, N).

    Colours from a coarse estimate and what it leaves, after Forte, "Approximate fast foreground colour estimation"
    (ICIP 2021).

    Args:
        planes: (12, N), a foreground's at these places.
        colours: (3, N), the picture's there.
    """
    slope, offset, rough, own, other, core = planes.split((3, 1, 1, 3, 3, 1))
    alpha = torch.maximum(_tightened((slope * colours).sum(0, keepdim=True) + offset, rough), core)
    return alpha, (own + alpha * (colours - torch.lerp(other, own, alpha))).clamp(0, 1)


def _tightened(alpha: Tensor, rough: Tensor) -> Tensor:
    """The guided mask is soft and leaks; it is neither far from what was found nor between for long."""
    return blur.smoothstep(0.25, 0.75, alpha) * blur.smoothstep(0.1, 0.35, rough)


def _spread(image: Tensor, weight: Tensor, radius: int) -> Tensor:
    """The mean of what has weight nearby; far from it, of a wider neighbourhood."""
    result = (image * weight).sum((2, 3), keepdim=True) / weight.sum((2, 3), keepdim=True).clamp_min(1e-4)
    for reach in (3 * radius, radius, max(1, radius // 3)):
        both = blur.box(torch.cat([image * weight, weight], 1), reach)
        result = torch.lerp(result, both[:, :3] / both[:, 3:].clamp_min(1e-4), (both[:, 3:] * 20).clamp(0, 1))
    return result
