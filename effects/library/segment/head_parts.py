"""Masks of a face, of its skin and of its hair in a whole picture."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import torch
from torch import Tensor

from mayfly.effects.shared import blur, colour, face_masks, grab_cut, skin
from mayfly.effects.vision import face_points as points
from mayfly.effects.vision.types import Face

# Faces are looked at on so many pixels at most.
_UNIT = 320
_HAIR_UNIT = 96
# Around a face in its sizes: for skin, and for hair, of which long one hangs down.
_SKIN_MARGIN, _HAIR_MARGIN = 0.3, 1.2


def face_mask(frame: Tensor, face: Face) -> Tensor:
    """(3, H, W) to (1, H, W) float32, 0…1: inside the face's outline, up to where its points end below the hair."""
    grid = face_masks.grid(face, frame, margin=0.1, unit=_UNIT)
    if grid is None:
        return _nothing(frame)
    return _placed(frame, grid, grid.polygon(points.FACE_OVAL, feather=0.008))


def skin_mask(frame: Tensor, face: Face) -> Tensor:
    """(3, H, W) float32 in 0…1 to (1, H, W): the face's, ears' and neck's skin, without hair and features."""
    grid = face_masks.grid(face, frame, margin=_SKIN_MARGIN, unit=_UNIT)
    if grid is None:
        return _nothing(frame)
    return _placed(frame, grid, skin.find(_lab(frame, grid), grid))


def rough_hair(frame: Tensor, face: Face, person: Tensor) -> Tensor:
    """Where a head's hair is, or what covers it; (1, H, W) of 0 and 1, as exact as a small grid can be.

    What lies just above the forehead and beside the temples is a sample of it, skin and background are none; the rest
    around the head is settled by colours (`shared/grab_cut.py`).

    Args:
        frame: (3, H, W) float32 in 0…1.
        face: the head's.
        person: (1, H, W), 0…1.
    """
    grid = face_masks.grid(face, frame, margin=_HAIR_MARGIN, unit=_HAIR_UNIT)
    if grid is None:
        return _nothing(frame)
    left, top, right, bottom = grid.box
    known = blur.reduce(person[None, :, top:bottom, left:right], grid.size)[0, 0].cpu().numpy() > 0.5
    lab = _lab(frame, grid)
    bare = skin.find(lab, grid)[0, 0].cpu().numpy()
    oval = grid.polygon(points.FACE_OVAL, grow=-0.05)[0, 0].cpu().numpy() > 0.5
    near = grid.polygon(points.FACE_OVAL, grow=0.09)[0, 0].cpu().numpy() > 0.5
    rows, columns = np.mgrid[: grid.size[0], : grid.size[1]] + 0.5
    up = grid.points[points.FOREHEAD_TOP] - grid.points[points.CHIN]
    length = float(np.hypot(*up))
    up = up / max(length, 1e-6)
    # Along the face's own axis: 0 at the chin, 1 at the forehead's top.
    height = ((columns - grid.points[points.CHIN, 0]) * up[0] + (rows - grid.points[points.CHIN, 1]) * up[1]) / length
    labels = np.full(grid.size, cv2.GC_PR_BGD, np.uint8)
    labels[known & ~oval & (height > 0.55)] = cv2.GC_PR_FGD
    labels[known & near & ~oval & (bare < 0.2) & (height > 0.95)] = cv2.GC_FGD
    labels[~known | oval | (bare > 0.5) | (height < -0.9)] = cv2.GC_BGD
    if min(np.count_nonzero(labels == cv2.GC_FGD), np.count_nonzero(labels == cv2.GC_BGD)) < 20:
        return _nothing(frame)
    seen = blur.reduce(frame[None, :, top:bottom, left:right], grid.size)[0].permute(1, 2, 0)
    picture = np.ascontiguousarray(seen.mul(255).round().clamp(0, 255).to(torch.uint8).cpu().numpy())
    found = grab_cut.settled(picture, labels, rounds=2)
    found = _connected(found, known & near & (height > 0.8))
    return (_placed(frame, grid, torch.from_numpy(found.astype(np.float32))[None, None].to(frame.device)) > 0.5).float()


def scaled(face: Face, factor: float) -> Face:
    """The face in a picture that is `factor` times as large."""
    left, top, right, bottom = face.box
    box = (left * factor, top * factor, right * factor, bottom * factor)
    return dataclasses.replace(face, points=face.points * np.float32(factor), box=box)


def _connected(mask: np.ndarray, seed: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
    """The parts of a mask that touch a seed."""
    _, labels = cv2.connectedComponents(mask)
    kept = np.unique(labels[seed & (mask > 0)])
    return np.isin(labels, kept[kept > 0])


def _lab(frame: Tensor, grid: face_masks.Grid) -> Tensor:
    left, top, right, bottom = grid.box
    return colour.srgb_to_oklab(blur.reduce(frame[None, :, top:bottom, left:right], grid.size))


def _placed(frame: Tensor, grid: face_masks.Grid, mask: Tensor) -> Tensor:
    left, top, right, bottom = grid.box
    result = _nothing(frame)
    result[:, top:bottom, left:right] = blur.enlarge(mask, (bottom - top, right - left))[0]
    return result


def _nothing(frame: Tensor) -> Tensor:
    return torch.zeros(1, *frame.shape[-2:], device=frame.device)
