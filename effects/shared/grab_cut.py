"""A cut by colours between what surely belongs to something and what surely does not.

GrabCut: Rother, Kolmogorov and Blake, "GrabCut", SIGGRAPH 2004.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Bytes = NDArray[np.uint8]


def settled(picture: Bytes, labels: Bytes, *, rounds: int) -> Bytes:
    """What belongs to the foreground.

    Args:
        picture: (H, W, 3) uint8.
        labels: (H, W), OpenCV's GC_BGD, GC_FGD, GC_PR_BGD or GC_PR_FGD; some pixels of either side are needed.
        rounds: how often colours and cut are fitted to each other.

    Returns:
        (H, W) uint8, 0 or 1.
    """
    # Its mixtures begin at random.
    cv2.setRNGSeed(1)
    result, _, _ = cv2.grabCut(
        picture, labels.copy(), (0, 0, 0, 0), np.zeros((1, 65)), np.zeros((1, 65)), rounds, cv2.GC_INIT_WITH_MASK
    )
    return foreground(np.asarray(result, np.uint8))


def foreground(labels: Bytes) -> Bytes:
    """(H, W) uint8: 1 for GC_FGD and GC_PR_FGD, else 0."""
    return labels & np.uint8(1)
