"""Fills what a person uncovers with the background beside it, copied so that its lines and textures go on.

Where the background looks like itself under a shift, it is copied by that shift (inpaint). Elsewhere the
way leads from each hidden pixel along the lines of the background nearby, or straight out, to the border of what is
known, and the colour is taken from as far behind that border: there is no step there, and texture stays texture.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from mayfly.effects.library.body import inpaint
from mayfly.effects.shared import blur

if TYPE_CHECKING:
    from torch import Tensor

# Gradients below this, per pixel, are no structure.
_NOISE = 0.01
# The sine of the angle to the border from which on lines are followed, and from which on fully.
_FLAT, _STEEP = 0.2, 0.45
# How far ways are evened, in windows.
_CALM = 0.8


def plan(picture: Tensor, image: Tensor, known: Tensor, wanted: Tensor, depth: float) -> Tensor:
    """Where to take colours from, (1, 7, h, w), for `colours`.

    Args:
        picture: (1, 3, H, W) float32 in 0…1.
        image: (1, 3, h, w), the same, smaller.
        known: (1, 1, h, w) float32: 1 where it is background, else 0.
        wanted: (1, 1, h, w) bool: where colours will be wanted.
        depth: how far into what is hidden that is, in pixels of `image`.
    """
    height, width = known.shape[-2:]
    size = torch.tensor([2 / height, 2 / width], device=known.device).view(1, 2, 1, 1)
    shift = _mirrored(known, _directions(image, known, depth), round(1.6 * depth) + 3)
    shift = blur.gaussian(shift, 0.12 * depth) * (1 - known) * size
    by, repeat = inpaint.found(picture, image, known, wanted & (known < 0.5), depth)
    full = torch.tensor([2 / picture.shape[-2], 2 / picture.shape[-1]], device=known.device).view(1, 2, 1, 1)
    shift = torch.where(repeat, by * full, shift).flip(1)
    # Never from what is hidden itself.
    there = _centres(known) + shift[0].permute(1, 2, 0)
    found = functional.grid_sample(known, there[None], mode="bilinear", padding_mode="zeros", align_corners=False)
    sure = torch.where(repeat, 1, blur.smoothstep(0.5, 1.0, found))
    return torch.cat([shift, sure, _even(image, known, depth), repeat.to(known.dtype)], 1)


def _centres(image: Tensor) -> Tensor:
    """(H, W, 2): each pixel's x and y from −1 to 1."""
    height, width = image.shape[-2:]
    x = (torch.arange(width, device=image.device, dtype=image.dtype) + 0.5) * (2 / width) - 1
    y = (torch.arange(height, device=image.device, dtype=image.dtype) + 0.5) * (2 / height) - 1
    return torch.stack([x.expand(height, width), y[:, None].expand(height, width)], -1)


def colours(picture: Tensor, planes: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
    """The background's colours at some places, (3, N), and how surely they are more than a guess, (1, N).

    Args:
        picture: (1, 3, H, W).
        planes: (1, 7, h, w), the plan.
        places: (N, 2), x and y from −1 to 1 over the picture.
    """
    mixed = _listed(planes, places, "bilinear")
    # Neighbours' shifts are not mixed: what they lead to is alike, what lies between is not.
    own = _listed(planes, places, "nearest")
    shift, sure, plain = torch.where(mixed[6:] > 0, own[:6], mixed[:6]).split((2, 1, 3))
    copied = functional.grid_sample(
        picture, (places + shift.T)[None, None], mode="bilinear", padding_mode="reflection", align_corners=False
    )
    return torch.lerp(plain, copied[0, :, 0], sure), sure


def _listed(planes: Tensor, places: Tensor, mode: str) -> Tensor:
    """(1, C, h, w) at (N, 2) places: (C, N)."""
    places = places[None, None]
    return functional.grid_sample(planes, places, mode=mode, padding_mode="border", align_corners=False)[0, :, 0]


def _directions(image: Tensor, known: Tensor, depth: float) -> Tensor:
    """The way out of what is hidden, (1, 2, h, w), rows and columns, of length 1."""
    # Smooth as it is, it is found on half the size.
    size = (known.shape[-2], known.shape[-1])
    half, depth = (max(2, size[0] // 2), max(2, size[1] // 2)), depth / 2
    sigma = max(1.0, 0.4 * depth)
    hidden = 1 - blur.reduce(known, half)
    wide = blur.wide(hidden, max(1.5, 0.8 * depth)) + 0.1 * blur.wide(hidden, 4 * depth)
    out = functional.normalize(-_gradient(wide), dim=1)
    inner = -functional.max_pool2d(-known, 3, 1, 1)
    slopes = torch.stack([_gradient(image[:, index : index + 1]) for index in range(3)])
    down, right = slopes[:, :, :1], slopes[:, :, 1:]
    tensor = torch.cat([(down * down).sum(0), (down * right).sum(0), (right * right).sum(0), torch.ones_like(known)], 1)
    seen = blur.reduce(tensor * inner, half)
    near, far = blur.wide(seen, sigma), blur.wide(seen, 3 * sigma)
    mixed = near + 0.02 * far
    yy, xy, xx = (mixed[:, :3] / mixed[:, 3:].clamp_min(1e-6)).split(1, 1)
    # Across the lines the square of the slope is largest; along them is a quarter turn further.
    turn = 0.5 * torch.atan2(2 * xy, xx - yy)
    along = torch.cat([torch.cos(turn), -torch.sin(turn)], 1)
    contrast = torch.sqrt((xx - yy) ** 2 + 4 * xy**2) / (xx + yy + _NOISE**2)
    steep = (along * out).sum(1, keepdim=True)
    follow = blur.smoothstep(0.15, 0.6, contrast) * blur.smoothstep(_FLAT, _STEEP, steep.abs())
    # Neighbours go nearly the same way, else what is copied tears.
    way = torch.lerp(out * 0.3, along * steep.sign(), follow)
    return functional.normalize(blur.enlarge(blur.wide(way * hidden, _CALM * sigma), size), dim=1)


def _gradient(image: Tensor) -> Tensor:
    """(1, 1, h, w) to (1, 2, h, w): the slope along rows and columns, by central differences."""
    edged = blur.padded(image, 1)
    down = blur.shift(edged, 1, 0, 1) - blur.shift(edged, -1, 0, 1)
    right = blur.shift(edged, 0, 1, 1) - blur.shift(edged, 0, -1, 1)
    return torch.cat([down, right], 1) / 2


def _mirrored(known: Tensor, direction: Tensor, most: int) -> Tensor:
    """How far to go along a direction to as far behind the border as one is before it: (1, 2, h, w) in pixels."""
    height, width = known.shape[-2:]
    rows, columns = torch.nonzero(known[0, 0] < 0.5, as_tuple=True)
    way = direction[0][:, rows, columns]
    scale = torch.tensor([2 / width, 2 / height], device=known.device)
    start = torch.stack([columns + 0.5, rows + 0.5], -1) * scale - 1
    step_by = way.flip(0).T * scale

    def at(distance: Tensor) -> Tensor:
        places = start + distance[:, None] * step_by
        return functional.grid_sample(
            known, places[None, None], mode="bilinear", padding_mode="zeros", align_corners=False
        ).flatten()

    before = torch.zeros_like(way[0])
    reached, last = torch.zeros_like(before, dtype=torch.bool), torch.zeros_like(before)
    for step in range(1, most + 1):
        now = at(torch.full_like(before, step))
        crossed = (now >= 0.5) & ~reached
        # Where between the two steps the border lies.
        share = ((0.5 - last) / (now - last).clamp_min(1e-3)).clamp(0, 1)
        before = torch.where(crossed, step - 1 + share, before)
        reached, last = reached | crossed, now
    # Where there is not as much room behind the border, what there is is stretched.
    far, sure = before, torch.zeros_like(reached)
    for stretch in (2.0, 1.6, 1.3, 1.1):
        fits = (at(stretch * before + 0.5) > 0.5) & reached & ~sure
        far, sure = torch.where(fits, stretch * before, far), sure | fits
    shift = torch.zeros_like(direction)
    shift[0][:, rows, columns] = far * way
    return shift


def _even(image: Tensor, known: Tensor, depth: float) -> Tensor:
    """Known colours spread into what is hidden, for where nothing can be copied from."""
    result = (image * known).sum((2, 3), keepdim=True) / known.sum((2, 3), keepdim=True).clamp_min(1)
    for sigma in (4 * depth, depth, max(1.0, 0.3 * depth)):
        both = blur.wide(torch.cat([image * known, known], 1), sigma)
        share = (both[:, 3:] * 10).clamp(0, 1)
        result = torch.lerp(result, both[:, :3] / both[:, 3:].clamp_min(1e-4), share)
    return result
