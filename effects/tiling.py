"""Cuts large frames into overlapping tiles, so that memory is bounded and no seam shows."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING

from mayfly.effects import memory
from mayfly.effects.contract import AnyEffect, Parameters, Tiling
from mayfly.effects.lazy import torch

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
    return cut(
        frames,
        lambda tile: effect.apply(tile, params),
        tiling,
        multiple=effect.declaration.multiple,
        scale=effect.scale(params),
        working_bytes=effect.working_bytes(params),
    )


def cut(
    frames: Tensor,
    function: Callable[[Tensor], Tensor],
    tiling: Tiling,
    *,
    multiple: int = 1,
    scale: int = 1,
    working_bytes: int,
) -> Tensor:
    """Apply a function tile by tile, for an effect that does something else with the whole picture.

    Args:
        frames: (N, C, H, W).
        function: from (N, C, h, w) to (N, C, h·scale, w·scale), of the same dtype.
        tiling: the size of the kept part and the overlap, in input pixels, both multiples of `multiple`; tiles become
            smaller where memory is short.
        multiple: of which tiles' sides are, where those of the frames are.
        scale: output pixels per input pixel along each side.
        working_bytes: that `function` takes for each pixel of a tile.

    Returns:
        (N, C, H·scale, W·scale).
    """
    count, channels, height, width = frames.shape
    tiling = memory.tiling(tiling, working_bytes, count, multiple, frames.device)
    rows, columns = spans(height, tiling, multiple), spans(width, tiling, multiple)
    if len(rows) == len(columns) == 1:
        return function(frames)
    result = torch.empty((count, channels, height * scale, width * scale), dtype=frames.dtype, device=frames.device)
    for (top, bottom), (left, right) in itertools.product(rows, columns):
        outer_top, outer_left = max(top - tiling.halo, 0), max(left - tiling.halo, 0)
        tile = function(frames[..., outer_top : bottom + tiling.halo, outer_left : right + tiling.halo])
        result[..., top * scale : bottom * scale, left * scale : right * scale] = tile[
            ...,
            (top - outer_top) * scale : (bottom - outer_top) * scale,
            (left - outer_left) * scale : (right - outer_left) * scale,
        ]
    return result


def spans(length: int, tiling: Tiling, multiple: int) -> list[tuple[int, int]]:
    """Cut a side of `length` pixels into kept parts of about equal size, at multiples of `multiple`.

    Equal parts waste the least on overlaps; a side that fits with its overlaps is not cut at all.
    """
    if length <= tiling.size + 2 * tiling.halo:
        return [(0, length)]
    parts = -(-length // tiling.size)
    step = -(-length // (parts * multiple)) * multiple
    return [(start, min(start + step, length)) for start in range(0, length, step)]
