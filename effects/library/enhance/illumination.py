"""Light where a picture is dark: the illumination is estimated and raised, what it shines on is left as it is."""

from __future__ import annotations

import torch
from torch import Tensor

from mayfly.effects.shared import blur, edge_preserving

# The illumination is estimated on a grid of about this many pixels squared.
_GRID = 320
# The logarithmic mean of the illumination that a well-lit picture has, sRGB-encoded.
_WELL_LIT = 0.5
# Nothing is raised more than this; below lies noise alone.
_MOST_GAIN = 14.0
# Illumination below this, in 0…1, cannot be told from black.
_LEAST = 0.012
# Contrast in natural logarithms below which light is even.
_EVEN = 0.35


def raised(frames: Tensor, amount: float) -> tuple[Tensor, Tensor]:
    """Raise the light of dark pictures; well-lit ones stay as they are.

    As in LIME (Guo, Li and Ling, 2017) the illumination is the largest channel, smoothed along edges: here by a guided
    filter on its logarithm. It is raised by one factor in the dark that falls to 1 in the light, so that shadows keep
    their contrast and no light burns out.

    Args:
        frames: (N, 3, H, W) sRGB in 0…1.
        amount: 0…1.

    Returns:
        The raised pictures in 0…1, and (N, 1, H, W) by how much each pixel was multiplied.
    """
    light = _illumination(frames)
    mean = light.log().mean((1, 2, 3), keepdim=True).exp()
    # So that the mean comes to lie at the target: g·m / (1 + (g - 1)·m) = target.
    factor = (_WELL_LIT * (1 - mean) / (mean * (1 - _WELL_LIT))).clamp_(1, _MOST_GAIN)
    factor = factor**amount
    gain = factor / (1 + (factor - 1) * light)
    return (frames * gain).clamp_(0, 1), gain


def _illumination(frames: Tensor) -> Tensor:
    """(N, 1, H, W) in (0…1]."""
    size = (frames.shape[-2], frames.shape[-1])
    scale = min(1.0, _GRID / blur.area_root(frames))
    small = blur.reduce(frames.contiguous(), (max(1, round(size[0] * scale)), max(1, round(size[1] * scale))))
    # A mean of neighbours first: the largest of three noisy values lies too high.
    small = blur.gaussian(small, 1.0)
    light = small.amax(1, keepdim=True).clamp_min_(_LEAST).log_()
    side = blur.area_root(light)
    smooth = edge_preserving.guided(light, max(1.0, 0.05 * side), noise=_EVEN)
    # No darker than the surface itself: dividing by less would burn it out.
    smooth = torch.maximum(smooth, light)
    smooth = blur.gaussian(smooth, 1.0)
    return blur.enlarge(smooth, size).exp_().clamp_(_LEAST, 1)
