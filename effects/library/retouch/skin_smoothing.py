"""Calms skin by frequency separation: blotches go, pores and edges stay, spots are healed from what surrounds them.

All sizes are relative to the face's (`unit`, in pixels), and only skin is averaged with skin, so that nothing bleeds in
from hair, lips or background.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from mayfly.effects.shared import blur

# Radius of the windows in which skin becomes even, in units; public, for it is what a benchmark must compare with.
RADIUS = 0.05
# Standard deviation of the blur that pores do not survive.
_PORE = 0.0045
# Least deviation of lightness in a window that is an edge; noisy pictures have more.
_EDGE = 0.04
# Shares of blotches and of noise that the strongest setting takes away: all of it looks like plastic.
_CALMED = 0.85
# Differences of lightness that are features, such as a nostril or a deep fold, and are kept from here on.
_FEATURE = (0.07, 0.16)
# A spot's radius in units, and how much darker or redder than the skin around it is a spot for certain, as a share of
# that skin's lightness.
_SPOT = 0.011
_SPOT_LEAST, _SPOT_SURE = 0.016, 0.047
# Much darker than skin is a mole, and belongs to the person.
_MOLE = (0.15, 0.21)


def smoothed(lab: Tensor, skin: Tensor, unit: float, *, smooth: float, pores: float) -> Tensor:
    """Even skin.

    Args:
        lab: (1, 3, H, W) OKLab.
        skin: (1, 1, H, W), 0…1.
        unit: the face's size in pixels.
        smooth: 0…1, how much of blotches and wrinkles goes.
        pores: 0…1, how much of the finest texture stays.
    """
    coarse = blur.gaussian(lab, max(0.6, _PORE * unit))
    base = _base(coarse, skin, RADIUS * unit)
    fine, middle = lab - coarse, coarse - base
    feature = blur.smoothstep(*_FEATURE, middle[:, :1].abs())
    calmer = base + middle * (1 - _CALMED * smooth * (1 - feature)) + fine * fine_gain(smooth, pores)
    return torch.lerp(lab, calmer, skin)


def fine_gain(smooth: float, pores: float) -> float:
    """The share of the finest texture that stays on skin."""
    return 1 - smooth * (1 - pores)


def _base(lab: Tensor, skin: Tensor, radius: float) -> Tensor:
    """The guided filter (He et al. 2010) over skin alone, guided by lightness and computed on a small grid."""
    size = (lab.shape[-2], lab.shape[-1])
    factor = max(1, int(radius / 3))
    small = (max(1, size[0] // factor), max(1, size[1] // factor))
    window = max(1, round(radius / factor))
    weight = blur.reduce(skin, small) + 1e-4
    image = blur.reduce(lab * (skin + 1e-4), small) / weight
    total = blur.box(weight, window)

    def mean(values: Tensor) -> Tensor:
        return blur.box(values * weight, window) / total

    guide = image[:, :1]
    centre = mean(image)
    variance = (mean(guide * guide) - centre[:, :1] * centre[:, :1]).clamp_min_(0)
    # Half of the windows of a calm skin vary less than this; noise raises it.
    usual = float(variance[weight > 0.6].median()) if bool((weight > 0.6).any()) else 0.0
    edge = min(max(_EDGE**2, 2 * usual), (2 * _EDGE) ** 2)
    slope = (mean(guide * image) - centre[:, :1] * centre) / (variance + edge)
    offset = centre - slope * centre[:, :1]
    return blur.enlarge(mean(slope), size) * lab[:, :1] + blur.enlarge(mean(offset), size)


def spots(lab: Tensor, skin: Tensor, unit: float) -> Tensor:
    """Where blemishes are: small, round, darker or redder than the skin around them, and few. (1, 1, H, W), 0…1.

    Freckles and pores raise what is usual on this skin, so they are none; moles are much darker and stay.
    """
    radius = max(0.8, _SPOT * unit)
    inner, outer = _over_skin(lab, skin, 0.6 * radius), _over_skin(lab, skin, 2.5 * radius)
    # As shares of the skin's own lightness, so that dark skin is not judged by other measures than light skin.
    apart = (inner - outer) / outer[:, :1].clamp_min(0.1)
    # Redness counts double: it is what blemishes have and shadows have not.
    response = (-apart[:, :1]).clamp_min(0) + 2 * apart[:, 1:2].clamp_min(0)
    on_skin = response[skin > 0.7]
    usual = float(on_skin.quantile(0.85)) if len(on_skin) > 16 else 0.0
    least, sure = max(_SPOT_LEAST, 1.3 * usual), max(_SPOT_SURE, 3 * usual)
    found = blur.smoothstep(least, sure, response * _roundness(response, radius))
    mole = blur.smoothstep(*_MOLE, -apart[:, :1])
    # Not at skin's border, where surroundings are one-sided.
    well_inside = blur.smoothstep(0.8, 0.97, blur.gaussian(skin, 1.5 * radius))
    peak = found * (1 - _spread(mole, radius)).clamp_min(0) * well_inside
    return blur.gaussian(_spread(peak, radius), 0.4 * radius)


def healed(lab: Tensor, found: Tensor, skin: Tensor, unit: float, amount: float) -> Tensor:
    """Give spots the lightness and colour of the skin around them; their finest texture stays."""
    radius = max(0.8, _SPOT * unit)
    around = _over_skin(lab, skin * (1 - found).clamp(0, 1) ** 2, 2 * radius)
    texture = lab - blur.gaussian(lab, max(0.6, _PORE * unit))
    return torch.lerp(lab, around + texture, found * amount)


def _over_skin(lab: Tensor, skin: Tensor, sigma: float) -> Tensor:
    """A Gaussian mean of skin alone (normalised convolution, Knutsson and Westin 1993)."""
    weight = skin + 1e-4
    return blur.wide(lab * weight, sigma) / blur.wide(weight, sigma)


def _roundness(response: Tensor, radius: float) -> Tensor:
    """1 on round spots, 0 along lines such as wrinkles: the ratio of the response's two curvatures."""
    smooth = blur.padded(blur.gaussian(response, 0.7 * radius), 1)
    centre = blur.shift(smooth, 0, 0, 1)
    across = 2 * centre - blur.shift(smooth, 0, 1, 1) - blur.shift(smooth, 0, -1, 1)
    down = 2 * centre - blur.shift(smooth, 1, 0, 1) - blur.shift(smooth, -1, 0, 1)
    falling = blur.shift(smooth, 1, 1, 1) + blur.shift(smooth, -1, -1, 1)
    rising = blur.shift(smooth, 1, -1, 1) + blur.shift(smooth, -1, 1, 1)
    half, mixed = 0.5 * (across + down), 0.25 * (rising - falling)
    apart = (0.25 * (across - down) ** 2 + mixed**2).sqrt()
    ratio = (half - apart) / (half + apart).clamp_min(1e-7)
    return blur.smoothstep(0.1, 0.45, ratio)


def _spread(mask: Tensor, radius: float) -> Tensor:
    """The largest value near each pixel."""
    reach = max(1, round(radius))
    return functional.max_pool2d(mask, 2 * reach + 1, 1, reach)
