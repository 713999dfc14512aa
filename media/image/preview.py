"""A preview of a picture: source and result side by side."""

from __future__ import annotations

import torch
from torch.nn import functional

from mayfly.media import sniff
from mayfly.media.image import codec
from mayfly.media.video.preview import DIVIDER, HEIGHT, WIDTH


def side_by_side(source: codec.Picture, result: codec.Picture, *, quality: int = 85) -> bytes:
    """JPEG of both at one height, the source on the left, a white line between; at most WIDTH × HEIGHT pixels.

    Args:
        source: what was transformed.
        result: what came of it, of any size.
        quality: of JPEG, 1 … 100.
    """
    height, width = source.rgb.shape[-2:]
    factor = min(1.0, (WIDTH - DIVIDER) // 2 / width, HEIGHT / height)
    size = (max(1, round(height * factor)), max(1, round(width * factor)))
    line = torch.full((3, size[0], DIVIDER), 255, dtype=torch.uint8)
    halves = [_on_white(picture, size) for picture in (source, result)]
    both = torch.cat([halves[0], line, halves[1]], 2)
    return codec.encode(codec.Picture(both, None, sniff.JPEG), quality=quality)


def _on_white(picture: codec.Picture, size: tuple[int, int]) -> torch.Tensor:
    pixels = picture.rgb.cpu().float()
    if picture.alpha is not None:
        opacity = picture.alpha.cpu().float() / 255
        pixels = pixels * opacity + 255 * (1 - opacity)
    if pixels.shape[-2:] != size:
        pixels = functional.interpolate(pixels[None], size=size, mode="bicubic", antialias=True)[0]
    return pixels.round_().clamp_(0, 255).to(torch.uint8)
