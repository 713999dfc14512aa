"""What a canvas knows of the faces in it; how they are found is no business of the styles."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor


@dataclasses.dataclass(frozen=True)
class Features:
    """What is known of the faces of a batch.

    Attributes:
        skin: (N, 1, h, w) in 0…1, on the canvas's grid.
        details: (N, 1, h, w), eyes, brows and lips.
        lines: (N, 1, H, W), at the full size.
    """

    skin: Tensor
    details: Tensor
    lines: Tensor

    @property
    def whole(self) -> Tensor:
        """(N, 1, h, w) in 0…1: all of each face."""
        return torch.maximum(self.skin, self.details)
