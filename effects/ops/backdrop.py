"""Fills what a person uncovers with the background beside it, mirrored along its own lines, so that they go on.

From each hidden pixel the way leads along the lines of the background nearby, or straight out where it has none, to the
border of what is known; the colour is taken from as far behind that border. So there is no step at the border, texture
stays texture, and a line that runs into the border continues in its direction.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from effects.ops import blur

if TYPE_CHECKING:
    from torch import Tensor

# Gradients below this, per pixel, are no structure.
_NOISE = 0.01
# The sine of the angle to the border from which on lines are followed, and from which on fully.
_FLAT, _STEEP = 0.2, 0.45


def filled(part: Tensor, known: Tensor, wanted: Tensor, *, depth: float) -> Tensor:
    """A picture with the background continued into what is hidden.

    Args:
        part: (1, 3, H, W) float32 in 0…1.
        known: (1, 1, h, w) float32: 1 where it is background, else 0; of the size at which ways are found.
        wanted: (1, 1, H, W) bool: where colours are needed, among what is hidden.
        depth: how far what is wanted lies in what is hidden, in pixels of `known`.
    """
    if not bool(wanted.any()):
        return part
    size, work = (part.shape[-2], part.shape[-1]), (known.shape[-2], known.shape[-1])
    small = blur.reduce(part, work)
    direction = _directions(small, known, depth)
    shift, found = _mirrored(known, direction, round(1.6 * depth) + 3)
    shift = shift * (1 - known)
    plain = _even(small, known, depth)
    planes = blur.enlarge(torch.cat([shift, found, plain], 1), size)
    rows, columns = torch.nonzero(wanted[0, 0], as_tuple=True)
    moved, sure, smooth = planes[0][:, rows, columns].split((2, 1, 3))
    y = (rows + 0.5) / size[0] + moved[0] / work[0]
    x = (columns + 0.5) / size[1] + moved[1] / work[1]
    places = torch.stack([x, y], -1)[None, None] * 2 - 1
    copied = functional.grid_sample(part, places, mode="bilinear", padding_mode="reflection", align_corners=False)
    result = part.clone()
    result[0][:, rows, columns] = torch.lerp(smooth, copied[0, :, 0], sure)
    return result


def _directions(image: Tensor, known: Tensor, depth: float) -> Tensor:
    """The way out of what is hidden, (1, 2, h, w), rows and columns, of length 1."""
    sigma = max(1.5, 0.4 * depth)
    wide = blur.wide(known, max(3.0, 0.8 * depth)) + 0.1 * blur.wide(known, 4 * depth)
    out = functional.normalize(_gradient(wide), dim=1)
    inner = -functional.max_pool2d(-known, 3, 1, 1)
    slopes = torch.stack([_gradient(image[:, index : index + 1]) for index in range(3)])
    down, right = slopes[:, :, :1], slopes[:, :, 1:]
    tensor = torch.cat([(down * down).sum(0), (down * right).sum(0), (right * right).sum(0), torch.ones_like(known)], 1)
    near, far = blur.gaussian(tensor * inner, sigma), blur.wide(tensor * inner, 3 * sigma)
    mixed = near + 0.02 * far
    yy, xy, xx = (mixed[:, :3] / mixed[:, 3:].clamp_min(1e-6)).split(1, 1)
    # Across the lines the square of the slope is largest; along them is a quarter turn further.
    turn = 0.5 * torch.atan2(2 * xy, xx - yy)
    along = torch.cat([torch.cos(turn), -torch.sin(turn)], 1)
    contrast = torch.sqrt((xx - yy) ** 2 + 4 * xy**2) / (xx + yy + _NOISE**2)
    steep = (along * out).sum(1, keepdim=True)
    follow = blur.smoothstep(0.15, 0.6, contrast) * blur.smoothstep(_FLAT, _STEEP, steep.abs())
    return functional.normalize(torch.lerp(out, along * steep.sign(), follow), dim=1)


def _gradient(image: Tensor) -> Tensor:
    """(1, 1, h, w) to (1, 2, h, w): the slope along rows and columns, by central differences."""
    edged = blur.padded(image, 1)
    down = blur.shift(edged, 1, 0, 1) - blur.shift(edged, -1, 0, 1)
    right = blur.shift(edged, 0, 1, 1) - blur.shift(edged, 0, -1, 1)
    return torch.cat([down, right], 1) / 2


def _mirrored(known: Tensor, direction: Tensor, most: int) -> tuple[Tensor, Tensor]:
    """How far to go along a direction to as far behind the border as one is before it.

    Returns:
        (1, 2, h, w) shifts in pixels, and (1, 1, h, w): 1 where they lead to what is known.
    """
    height, width = known.shape[-2:]
    y = (torch.arange(height, device=known.device, dtype=known.dtype).view(-1, 1) + 0.5).expand(height, width)
    x = (torch.arange(width, device=known.device, dtype=known.dtype).view(1, -1) + 0.5).expand(height, width)
    scale = torch.tensor([2 / width, 2 / height], device=known.device)

    def at(distance: Tensor) -> Tensor:
        places = torch.stack([x + distance * direction[0, 1], y + distance * direction[0, 0]], -1) * scale - 1
        return functional.grid_sample(known, places[None], mode="bilinear", padding_mode="zeros", align_corners=False)

    before, reached = torch.zeros_like(known), known > 0.5
    last = known
    for step in range(1, most + 1):
        now = at(torch.full_like(x, step))
        crossed = (now >= 0.5) & ~reached
        # Where between the two steps the border lies.
        share = ((0.5 - last) / (now - last).clamp_min(1e-3)).clamp(0, 1)
        before = torch.where(crossed, step - 1 + share, before)
        reached = reached | crossed
        last = now
    # Where there is not as much room behind the border, what there is is stretched.
    far, sure = before, torch.zeros_like(reached)
    for stretch in (2.0, 1.6, 1.3, 1.1):
        fits = (at(stretch * before[0, 0] + 0.5) > 0.5) & reached & ~sure
        far, sure = torch.where(fits, stretch * before, far), sure | fits
    return far * direction, sure.to(known.dtype)


def _even(image: Tensor, known: Tensor, depth: float) -> Tensor:
    """Known colours spread into what is hidden, for where nothing can be copied from."""
    result = (image * known).sum((2, 3), keepdim=True) / known.sum((2, 3), keepdim=True).clamp_min(1)
    for sigma in (4 * depth, depth, max(1.0, 0.3 * depth)):
        both = blur.wide(torch.cat([image * known, known], 1), sigma)
        share = (both[:, 3:] * 10).clamp(0, 1)
        result = torch.lerp(result, both[:, :3] / both[:, 3:].clamp_min(1e-4), share)
    return result
