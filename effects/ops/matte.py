"""Takes people out of a picture: a soft mask that follows edges, and the people's own colours at its rim."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import torch

from effects.ops import blur

if TYPE_CHECKING:
    from torch import Tensor

# The standard deviation of colour below which a window counts as flat.
_NOISE = 0.02


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Cut:
    """A picture cut in two; all (1, …, H, W) in 0…1.

    Attributes:
        alpha: how much of a pixel the person covers.
        person: (1, 3, H, W), the person's colours, free of the background's where they meet.
    """

    alpha: Tensor
    person: Tensor


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


def cut(part: Tensor, mask: Tensor, *, work: tuple[int, int], radius: int) -> Cut:
    """A part of a picture cut in two.

    The person's colours are estimated twice over, coarse then exact, after Forte, "Approximate fast foreground colour
    estimation" (ICIP 2021).

    Args:
        part: (1, 3, H, W) float32 in 0…1.
        mask: (1, 1, H, W) float32, rough.
        work: the height and width at which edges are found; carried to the full size by the picture itself.
        radius: within which a rough mask may be wrong, in pixels of `work`.
    """
    size = (part.shape[-2], part.shape[-1])
    small, rough = blur.reduce(part, work), blur.reduce(mask, work)
    slope, offset = refined(small, rough, radius)
    fine = _tightened((slope * small).sum(1, keepdim=True) + offset, rough)
    if size == work:
        alpha = fine
    else:
        lines = blur.enlarge(torch.cat([slope, offset, rough], 1), size)
        alpha = _tightened((lines[:, :3] * part).sum(1, keepdim=True) + lines[:, 3:4], lines[:, 4:])
    inside, outside = fine**2, (1 - fine) ** 2
    reach = 2 * radius
    own = _spread(small, inside, reach)
    other = _spread(small, outside, reach)
    own, other = blur.enlarge(own, size), blur.enlarge(other, size)
    residual = part - torch.lerp(other, own, alpha)
    return Cut(alpha=alpha, person=(own + alpha * residual).clamp_(0, 1))


def _tightened(alpha: Tensor, rough: Tensor) -> Tensor:
    """The guided mask is soft and leaks; it is neither far from what was found nor between for long."""
    return blur.smoothstep(0.25, 0.75, alpha) * blur.smoothstep(0.02, 0.15, rough)


def _spread(image: Tensor, weight: Tensor, radius: int) -> Tensor:
    """The mean of what has weight nearby; far from it, of a wider neighbourhood."""
    result = (image * weight).sum((2, 3), keepdim=True) / weight.sum((2, 3), keepdim=True).clamp_min(1e-4)
    for reach in (3 * radius, radius, max(1, radius // 3)):
        both = blur.box(torch.cat([image * weight, weight], 1), reach)
        result = torch.lerp(result, both[:, :3] / both[:, 3:].clamp_min(1e-4), (both[:, 3:] * 20).clamp(0, 1))
    return result
