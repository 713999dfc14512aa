"""Faces cut out upright at one size, as face restoration networks want them, and put back without a seam."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mayfly.effects.vision import face_points as points
from mayfly.effects.vision.types import Face

Matrix = npt.NDArray[Any]

SIDE = 512
# Where FFHQ's alignment (Karras et al., 2019) puts pupils, nose tip and mouth corners in 512 × 512 pixels.
_PLACES = np.array(
    [[192.98, 239.95], [318.90, 240.19], [256.63, 314.02], [201.26, 371.41], [313.09, 371.15]], np.float64
)
_POINTS = (
    points.RIGHT_PUPIL,
    points.LEFT_PUPIL,
    points.NOSE_TIP,
    points.RIGHT_MOUTH_CORNER,
    points.LEFT_MOUTH_CORNER,
)
# A face that would shrink below this share to be restored has more detail than the network gives back.
_LEAST_FACTOR = 0.75
# The mask fades out over so much of the crop's side, within this distance from its border.
_MARGIN, _FADE = 0.06, 0.07


def restored(frame: Tensor, faces: list[Face], restore: Callable[[Tensor], Tensor], amount: float) -> Tensor:
    """A frame whose faces a network has restored.

    Args:
        frame: (1, 3, H, W) in 0…1; is not written to.
        faces: in the frame's pixels.
        restore: from (1, 3, 512, 512) to the same, in 0…1.
        amount: 0…1, how much of the network's result is shown.
    """
    result = frame
    for face in faces:
        matrix = alignment(face)
        if np.linalg.norm(matrix[0, :2]) < _LEAST_FACTOR:
            continue
        given = _warped(result, matrix, (SIDE, SIDE))
        changed = restore(given)
        back = cv2.invertAffineTransform(matrix)
        size = (result.shape[-1], result.shape[-2])
        mask = _warped(_mask().to(frame.device), back, size, border=cv2.BORDER_CONSTANT)
        # What aligning and going back cost is not counted as the network's work: only its change is added.
        change = _warped(changed - given, back, size, border=cv2.BORDER_CONSTANT)
        result = (result + amount * mask * change).clamp(0, 1)
    return result


def alignment(face: Face) -> Matrix:
    """(2, 3): the similarity from the frame's continuous pixels to the crop's (Umeyama, 1991)."""
    given = face.points[list(_POINTS)].astype(np.float64)
    middle, wanted = given.mean(0), _PLACES.mean(0)
    centred, target = given - middle, _PLACES - wanted
    left, sizes, right = np.linalg.svd(target.T @ centred)
    sign = np.array([1.0, np.sign(np.linalg.det(left @ right))])
    turn = left @ np.diag(sign) @ right
    factor = float((sizes * sign).sum() / (centred**2).sum())
    linear = factor * turn
    return np.hstack([linear, (wanted - linear @ middle)[:, None]])


def _warped(image: Tensor, matrix: Matrix, size: tuple[int, int], border: int = cv2.BORDER_REPLICATE) -> Tensor:
    """(1, C, h, w) moved by a matrix of continuous pixels to `size` (width, height)."""
    # OpenCV's pixel centres lie at whole numbers, ours at halves.
    half = np.array([0.5, 0.5])
    shifted = matrix.copy()
    shifted[:, 2] += matrix[:, :2] @ half - half
    planes = image[0].permute(1, 2, 0).contiguous().cpu().numpy()
    moved = cv2.warpAffine(planes, shifted, size, flags=cv2.INTER_LINEAR, borderMode=border)
    moved = moved[..., None] if moved.ndim == 2 else moved
    return torch.from_numpy(np.ascontiguousarray(moved)).permute(2, 0, 1)[None].to(image.device, image.dtype)


def _mask() -> Tensor:
    """(1, 1, 512, 512): 1 in the middle, 0 at the border."""
    mask = np.zeros((SIDE, SIDE), np.float32)
    inner = round(SIDE * (_MARGIN + _FADE))
    mask[inner:-inner, inner:-inner] = 1
    return torch.from_numpy(cv2.GaussianBlur(mask, (0, 0), SIDE * _FADE / 2.5))[None, None]
