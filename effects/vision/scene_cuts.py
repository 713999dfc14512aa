"""Tells a cut from motion and from a change of light, by small pictures of two frames."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mayfly.effects.lazy import functional, torch

if TYPE_CHECKING:
    from torch import Tensor

# Pixels a side: small enough that motion within a scene changes little.
_SIDE = 24
# Least mean difference between two scenes, in 0…1; noise in the dark and flat frames stay below.
_DIFFERENCE = 0.04
# Most correlation between two scenes; a flash or a fade within one scene stays far above.
_ALIKE = 0.5


def thumbnail(frame: Tensor) -> Tensor:
    """(3, H, W) float32 in 0…1 or uint8 to (3, 24, 24) float32 in 0…1 on the same device."""
    small = functional.adaptive_avg_pool2d(frame.to(torch.float32), _SIDE)
    return small if frame.is_floating_point() else small / 255


def is_cut(before: Tensor, after: Tensor) -> bool:
    """Whether two thumbnails of consecutive frames show different scenes."""
    difference = (after - before).abs().mean()
    one, other = before - before.mean(), after - after.mean()
    correlation = (one * other).sum() / ((one * one).sum() * (other * other).sum()).sqrt().clamp(min=1e-9)
    return bool((difference > _DIFFERENCE) & (correlation < _ALIKE))
