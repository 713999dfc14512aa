"""How much memory one call of an effect may take on a device, and so how many frames and how large tiles it gets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psutil

from mayfly.effects.contract import Tiling
from mayfly.effects.lazy import torch

if TYPE_CHECKING:
    import torch as torch_types

_SHARE = 0.5  # of what is free: other jobs and the allocator's gaps need the rest
_CPU_BYTES = 384 * 1024**2  # a processor gains nothing from more, which only leaves its caches
_LEAST_TILE = 64


def budget(device: torch_types.device) -> int:
    """Bytes that one call may take: half of what is free now, on a CPU at most 384 MiB."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int((free + cached) * _SHARE)
    return min(_CPU_BYTES, int(psutil.virtual_memory().available * _SHARE))


def frames(working_bytes: int, height: int, width: int, device: torch_types.device) -> int:
    """Frames of this size for one call of an effect that needs `working_bytes` a pixel; at least one."""
    return max(1, budget(device) // (working_bytes * height * width))


def tiling(wanted: Tiling, working_bytes: int, count: int, multiple: int, device: torch_types.device) -> Tiling:
    """`wanted`, or as often halved as it takes for `count` tiles at once to fit; not below 64 pixels.

    Args:
        wanted: size and halo, both multiples of `multiple`.
        working_bytes: for each pixel of a tile with its halo.
        count: tiles in one call.
        multiple: of which the size stays.
        device: where they are computed.
    """
    room, size = budget(device), wanted.size
    while size // 2 >= _LEAST_TILE and working_bytes * count * (size + 2 * wanted.halo) ** 2 > room:
        size = size // 2 - size // 2 % multiple
    return Tiling(size=size, halo=wanted.halo)
