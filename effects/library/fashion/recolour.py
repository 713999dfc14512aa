"""Gives a surface another colour under the light that it was in: folds, shadow and highlights stay.

In OKLab light multiplies lightness and chroma alike, so a surface's light is its lightness beside its own usual one.
"""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from mayfly.effects.shared import blur, colour

# A dark cloth's folds and noise are not enlarged further, a light cloth's not flattened further.
_MOST_GAIN, _LEAST_GAIN = 1.6, 0.4
# Room that folds keep between a new colour and black or white, in OKLab's lightness.
_DARKEST, _LIGHTEST = 0.02, 1.0
_ROOM = 0.03
# With less room than this to either side, folds are made flatter, down to a third.
_AMPLE = 0.15
# Between these lightnesses a mean leaves something of the folds to be seen.
_SHOWS = (0.18, 0.98)
# How far the mean may stay from the target along each of OKLab's axes.
_MISSED = 0.02


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fabric:
    """How a cloth takes light.

    Attributes:
        folds: contrast of folds and shadow, relative to the source.
        shine: how far highlights go to white, 0…1.
        tightness: the power that makes highlights small.
    """

    folds: float = 1.0
    shine: float = 0.0
    tightness: float = 2.0


def usual_lightness(lab: Tensor, weight: Tensor) -> float:
    """The median of OKLab's lightness where `weight` (1, H, W) is above one half, of a (3, H, W) picture."""
    inside = lab[0][weight[0] > 0.5]
    return float(inside.median()) if inside.numel() else 0.5


def shaded(lab: Tensor, albedo: Tensor, usual: float, fabric: Fabric) -> Tensor:
    """The new surface in the old light.

    Args:
        lab: (N, 3, H, W) OKLab of the source.
        albedo: (N, 3, H, W) or (N, 3, 1, 1) OKLab of the new surface, evenly lit.
        usual: the source surface's own lightness, from `usual_lightness`.
        fabric: see there.

    Returns:
        (N, 3, H, W) OKLab.
    """
    own = albedo[:, :1].clamp(_DARKEST + _ROOM, _LIGHTEST - _ROOM)
    up, down = _LIGHTEST - own, own - _DARKEST
    gain = (own / max(usual, 0.05)).clamp(_LEAST_GAIN, _MOST_GAIN) * fabric.folds
    gain = gain * (1 / 3 + 2 / 3 * (torch.minimum(up, down) / _AMPLE).clamp(0, 1))
    light = gain * (lab[:, :1] - usual)
    # Bends towards white and black instead of clipping, so that structure stays.
    bent = torch.where(light > 0, up * (1 - torch.exp(-light / up)), -down * (1 - torch.exp(light / down)))
    if fabric.shine:
        rise = ((lab[:, :1] - usual) / max(0.2, 0.5 * usual)).clamp(0, 1) ** fabric.tightness
        bent = bent + fabric.shine * rise * (up - bent)
    # Shadow takes chroma with it; what is lit more strongly turns white.
    chroma = torch.where(bent < 0, 1 + bent / own, 1 - 0.6 * (bent / up).clamp(0, 1) ** 1.5)
    return torch.cat([own + bent, albedo[:, 1:] * chroma], 1)


def shown(lab: Tensor) -> Tensor:
    """(N, 3, H, W) OKLab to sRGB in 0…1: what no screen can show loses chroma, for clipping would flatten folds."""
    image = colour.oklab_to_srgb(lab)
    grey = colour.linear_to_srgb(lab[:, :1].clamp(0, 1) ** 3)
    most, least = image.amax(1, keepdim=True), image.amin(1, keepdim=True)
    share = torch.minimum((1 - grey) / (most - grey).clamp_min(1e-6), grey / (grey - least).clamp_min(1e-6))
    return torch.lerp(grey, image, share.clamp(0, 1)).clamp_(0, 1)


def fitted(lab: Tensor, weight: Tensor, target: Tensor, usual: float, fabric: Fabric) -> tuple[Tensor, Fabric]:
    """The albedo that gives a surface the target as its mean colour, after all that bending and the gamut do.

    A colour at the gamut's edge, as of pure red, has no room for strong folds: they are made flatter until it fits.

    Args:
        lab: (1, 3, H, W) OKLab of the source; a small picture will do.
        weight: (1, 1, H, W), the surface's coverage.
        target: (1, 3, 1, 1) OKLab.
        usual: as in `shaded`.
        fabric: as in `shaded`.

    Returns:
        (1, 3, 1, 1) OKLab, and the fabric with the folds that fit.
    """
    total = weight.sum().clamp_min(1e-6)
    target = torch.cat([target[:, :1].clamp(*_SHOWS), target[:, 1:]], 1)
    for flatter in (1.0, 0.7, 0.5, 0.35, 0.25):
        cloth, albedo = dataclasses.replace(fabric, folds=flatter * fabric.folds), target
        for _ in range(6):
            reached = colour.srgb_to_oklab(shown(shaded(lab, albedo, usual, cloth)))
            missed = target - (reached * weight).sum((2, 3), keepdim=True) / total
            if float(missed.abs().max()) < _MISSED / 4:
                break
            albedo = albedo + missed
            albedo = torch.cat([albedo[:, :1].clamp(0, 1), albedo[:, 1:].clamp(-0.4, 0.4)], 1)
        if float(missed.abs().max()) < _MISSED:
            break
    return albedo, cloth


def relief(lab: Tensor, size: float) -> Tensor:
    """How folds shift a pattern that lies on them: (N, 2, H, W), −1…1 along x and y; `size` of a fold in pixels."""
    smooth = blur.wide(lab[:, :1], max(size, 0.3))
    dx = torch.zeros_like(smooth)
    dy = torch.zeros_like(smooth)
    dx[..., 1:-1] = (smooth[..., 2:] - smooth[..., :-2]) / 2
    dy[..., 1:-1, :] = (smooth[..., 2:, :] - smooth[..., :-2, :]) / 2
    return torch.tanh(torch.cat([dx, dy], 1) * size * 6)
