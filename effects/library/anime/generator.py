"""Drawing by an installed generator of the AnimeGAN family."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from mayfly.effects.shared import blur, colour, edge_preserving

# Drawn on a grid of at most about this many pixels squared: the generator looks at the whole picture at once.
_WORK_SIDE = 1280


def draw(frames: Tensor, generator: Callable[[Tensor], Tensor]) -> Tensor:
    """(N, 3, H, W) in 0…1 to its drawing, which larger pictures get along the source's edges."""
    size = (frames.shape[-2], frames.shape[-1])
    scale = min(1.0, _WORK_SIDE / blur.area_root(frames))
    work = blur.reduce(frames.contiguous(), (max(1, round(size[0] * scale)), max(1, round(size[1] * scale))))
    drawn = generator(work)
    if drawn.shape[-2:] == frames.shape[-2:]:
        return drawn
    slope, offset = edge_preserving.guided_coefficients(colour.luma(work), drawn, 1, noise=0.02)
    return blur.enlarge(slope, size).mul_(colour.luma(frames)).add_(blur.enlarge(offset, size)).clamp_(0, 1)
