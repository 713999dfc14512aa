"""The number formats in which a device runs networks fastest, and by how much they may change a result.

Tolerances, in levels of 255, are of the whole effect against float32; tests/effects/test_precision.py measures them.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from mayfly.effects.lazy import torch

if TYPE_CHECKING:
    import torch as torch_types

CORRECTION_LEVELS = {1: 1, 2: 1, 4: 4}
"""Of networks whose small corrections are added in float32, in bfloat16, by scale: at 4 one follows the other."""
PICTURE_LEVELS = 2
"""Of a network that gives the whole picture, in float16: half a level for its 11 bits, the rest for its layers."""


def for_corrections(device: torch_types.device) -> torch_types.dtype:
    """bfloat16 where the device multiplies it natively (three times faster), else float32.

    For networks whose small correction is added to the picture in float32; whole pictures need more than its 8 bits.
    """
    if device.type == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        features = torch.cpu.get_capabilities()
        native = bool(features.get("avx512_bf16") or features.get("amx_bf16"))
    return torch.bfloat16 if native else torch.float32


def for_pictures(device: torch_types.device, *, supported: bool) -> contextlib.AbstractContextManager[object]:
    """Convolutions and products in float16 on CUDA, if the network is `supported`; on a CPU in float32 as they are."""
    if device.type == "cuda" and supported:
        return torch.autocast("cuda", torch.float16)
    return contextlib.nullcontext()
