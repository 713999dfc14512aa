"""Regions that are cut out of a frame, and what is put behind them."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch
from torch import Tensor

from mayfly.effects.library.segment import head_parts, lens, matting
from mayfly.effects.shared import blur, hex_colours, inline_pictures
from mayfly.effects.vision import silhouettes

if TYPE_CHECKING:
    from mayfly.effects.library.segment.matting import Bytes, Edge, Floats
    from mayfly.effects.vision.types import Face

# Edges are looked at on so many pixels along the longer side.
_EDGE_SIDE = 256
# The softest edge, and how far light wraps around it, as shares of the picture's size.
_SOFTEST, _WRAPPED = 0.012, 0.012


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class CutOut:
    """One region of a frame.

    Attributes:
        alpha: (1, H, W) uint8, on the frame's device.
        edge: what is known of its edge, None where it is no edge between two things.
    """

    alpha: Tensor
    edge: Edge | None = None


def small(frame: Tensor) -> Bytes:
    """The picture, (h, w, 3) uint8, in which people are looked for."""
    return silhouettes.reduced(_planes(frame))


def of_people(frame: Tensor, picture: Bytes, rough: Floats, *, width: float, is_behind: bool) -> CutOut:
    """People, or everything behind them.

    Args:
        frame: (3, H, W) uint8.
        picture: what `small` makes of it.
        rough: (h, w) in 0…1: where people are in it.
        width: of the edge in which fine things are told apart, 1 for the usual one.
        is_behind: whether the background is wanted.
    """
    return _matted(frame, picture, matting.cut(picture, rough), width=width, is_behind=is_behind)


def of_hair(frame: Tensor, picture: Bytes, rough: Floats, faces: list[Face], *, width: float) -> CutOut | None:
    """The hair of some heads, None where there is none; arguments as `of_people`."""
    seen = torch.from_numpy(picture).permute(2, 0, 1).to(torch.float32) / 255
    person = torch.from_numpy(rough)[None]
    factor = picture.shape[1] / frame.shape[-1]
    masks = [head_parts.rough_hair(seen, head_parts.scaled(face, factor), person) for face in faces]
    hair = torch.stack(masks).amax(0)[0].to(torch.uint8).numpy()
    return _matted(frame, picture, hair, width=width, is_behind=False) if hair.any() else None


def of_faces(frame: Tensor, faces: list[Face], part: str) -> CutOut:
    """Faces, or their skin."""
    values = frame.to(torch.float32) / 255
    find = head_parts.face_mask if part == "face" else head_parts.skin_mask
    mask = torch.stack([find(values, face) for face in faces]).amax(0)
    return CutOut(alpha=_bytes(mask))


def feathered(cut: CutOut, feather: float) -> CutOut:
    """With a softer edge; 0 leaves it as it is."""
    if not feather:
        return cut
    sigma = feather * _SOFTEST * blur.area_root(cut.alpha)
    soft = blur.wide(cut.alpha[None].to(torch.float32) / 255, sigma)[0]
    return dataclasses.replace(cut, alpha=_bytes(soft))


def bare(frame: Tensor, cut: CutOut) -> Tensor:
    """The region's own colours, (3, H, W) uint8; black where nothing of it is."""
    return torch.where(cut.alpha > 0, _colours(frame, cut), 0)


def before_blur(frame: Tensor, cut: CutOut, radius: float) -> Tensor:
    """The region in front of its own background, which is out of focus by `radius` pixels."""
    alpha = cut.alpha[None].to(torch.float32) / 255
    ground = lens.disc(frame[None].to(torch.float32) / 255, 1 - alpha, radius)
    return before(frame, cut, ground, wrap=0)


def before(frame: Tensor, cut: CutOut, ground: Tensor, *, wrap: float) -> Tensor:
    """The region in front of something else.

    Args:
        frame: (3, H, W) uint8.
        cut: a region of it.
        ground: (1, 3, H, W) in 0…1.
        wrap: how much of its light falls on the region's rim, 0…1.

    Returns:
        (3, H, W) uint8.
    """
    alpha = cut.alpha[None].to(torch.float32) / 255
    own = _colours(frame, cut)[None].to(torch.float32) / 255
    if wrap:
        reach = _WRAPPED * blur.area_root(frame)
        # What lies behind shines around the edge and fades inwards.
        light = blur.wide(ground * (1 - alpha), reach) * wrap
        own = 1 - (1 - own) * (1 - light)
    return _bytes(torch.lerp(ground.expand_as(own), own, alpha)[0])


def plain(text: str, frame: Tensor) -> Tensor:
    """#rrggbb as (1, 3, H, W) in 0…1, of the frame's size."""
    levels = torch.tensor(hex_colours.levels(text), device=frame.device)
    return levels.view(1, 3, 1, 1).expand(-1, -1, *frame.shape[-2:])


def covering(text: str, frame: Tensor) -> Tensor:
    """A picture in base64, enlarged or reduced until it covers the frame, its middle kept: (1, 3, H, W) in 0…1."""
    pixels = torch.from_numpy(np.array(inline_pictures.read(text))).permute(2, 0, 1)[None]
    pixels = pixels.to(frame.device, torch.float32) / 255
    (height, width), (given_height, given_width) = frame.shape[-2:], pixels.shape[-2:]
    factor = max(height / given_height, width / given_width)
    size = (max(height, round(given_height * factor)), max(width, round(given_width * factor)))
    whole = blur.enlarge(pixels, size, smooth=True) if factor > 1 else blur.reduce(pixels, size)
    top, left = (size[0] - height) // 2, (size[1] - width) // 2
    return whole[..., top : top + height, left : left + width].clamp(0, 1)


def _matted(frame: Tensor, picture: Bytes, mask: Bytes, *, width: float, is_behind: bool) -> CutOut:
    factor = min(1.0, _EDGE_SIDE / max(mask.shape))
    if factor < 1:
        size = (max(1, round(mask.shape[1] * factor)), max(1, round(mask.shape[0] * factor)))
        picture = np.asarray(cv2.resize(picture, size, None, 0, 0, cv2.INTER_AREA), np.uint8)
        mask = np.asarray(cv2.resize(mask, size, None, 0, 0, cv2.INTER_NEAREST), np.uint8)
    edge = matting.edge(picture, mask, width=width)
    alpha = matting.opacity(_planes(frame), edge)
    if is_behind:
        alpha, edge = ~alpha, matting.turned(edge)
    return CutOut(alpha=torch.from_numpy(alpha)[None].to(frame.device), edge=edge)


def _colours(frame: Tensor, cut: CutOut) -> Tensor:
    """The region's colours without what shone through at its edge, (3, H, W) uint8."""
    if cut.edge is None:
        return frame
    pure = matting.foreground(_planes(frame), cut.alpha[0].cpu().numpy(), cut.edge)
    return torch.from_numpy(pure).to(frame.device)


def _planes(frame: Tensor) -> Bytes:
    return frame.contiguous().cpu().numpy()


def _bytes(values: Tensor) -> Tensor:
    return values.mul(255).round().clamp(0, 255).to(torch.uint8)
