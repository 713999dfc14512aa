"""Cuts large frames into overlapping tiles, so that memory is bounded and no seam shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from effects.contract import AnyEffect, Parameters, Tiling
from effects.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor


def apply(effect: AnyEffect, frames: Tensor, params: Parameters, tiling: Tiling) -> Tensor:
    """Apply an effect tile by tile; equal to the whole where `halo` covers the receptive radius.

    Args:
        effect: an effect that is set up.
        frames: (N, 3, H, W) of the effect's dtype; H and W are multiples of its `multiple`.
        params: parameters of this effect.
        tiling: the size of the kept part and the overlap, in input pixels, both multiples of `multiple`.

    Returns:
        (N, 3, H·scale, W·scale) of the same dtype.
    """
    count, channels, height, width = frames.shape
    scale = effect.scale(params)
    if max(height, width) <= tiling.size + 2 * tiling.halo:
        return effect.apply(frames, params)
    result = torch.empty((count, channels, height * scale, width * scale), dtype=frames.dtype, device=frames.device)
    for top in range(0, height, tiling.size):
        for left in range(0, width, tiling.size):
            bottom, right = min(top + tiling.size, height), min(left + tiling.size, width)
            outer_top, outer_left = max(top - tiling.halo, 0), max(left - tiling.halo, 0)
            outer_bottom, outer_right = min(bottom + tiling.halo, height), min(right + tiling.halo, width)
            tile = effect.apply(frames[..., outer_top:outer_bottom, outer_left:outer_right], params)
            result[..., top * scale : bottom * scale, left * scale : right * scale] = tile[
                ...,
                (top - outer_top) * scale : (bottom - outer_top) * scale,
                (left - outer_left) * scale : (right - outer_left) * scale,
            ]
    return result
