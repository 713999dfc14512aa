"""Tones: light in few steps, as it is painted on a cel."""

from __future__ import annotations

import torch
from torch import Tensor


def soft_steps(values: Tensor, step: float, hardness: Tensor) -> Tensor:
    """A staircase with treads at the multiples of `step`, continuous everywhere.

    Args:
        values: any shape.
        step: distance of two treads, in the units of `values`.
        hardness: of each value's riser, of the same shape: 1 gives the values themselves, about 8 a crisp border.
            Winnemöller et al. (2006) choose it by the local gradient, so that gentle gradients get no contours.
    """
    scaled = values / step
    tread = torch.floor(scaled + 0.5)
    rest = (scaled - tread) * 2
    return (tread + 0.5 * rest.sign() * rest.abs().clamp_min(1e-6).pow(hardness)) * step
