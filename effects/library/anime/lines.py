"""Lines as a pen would draw them: difference of Gaussians, smoothed along the picture's flow."""

from __future__ import annotations

from torch import Tensor

from mayfly.effects.library.anime import flow
from mayfly.effects.shared import blur


def flow_lines(
    lightness: Tensor, direction: Tensor, *, sigma: float, length: float, surround: float, crowding: float
) -> Tensor:
    """How much darker than its surroundings each pixel's stroke is.

    After Kang et al., "Coherent line drawing" (2007), and Winnemöller et al., "XDoG" (2012): a difference of
    Gaussians, averaged along the flow. As in Grigorescu et al. (2004), the mean response around a pixel inhibits it,
    so that dense texture does not turn into a thicket of strokes.

    Args:
        lightness: (N, 1, H, W) in 0…1.
        direction: (N, 2, H, W) tangents (x, y) of at most unit length.
        sigma: of the narrow Gaussian in pixels; a stroke is about three times as wide.
        length: standard deviation in pixels of the average along a stroke.
        surround: standard deviation in pixels of the inhibiting surroundings.
        crowding: how much the surroundings inhibit; 0 not at all.

    Returns:
        (N, 1, H, W): positive on the dark side of edges and on dark strokes, in units of `lightness`.
    """
    response = blur.gaussian(lightness, 1.6 * sigma) - blur.gaussian(lightness, sigma)
    weights, step = blur.sampled_gaussian(length, taps=3)
    for _ in range(2):
        response = flow.along(response, direction, weights, step)
    return response - crowding * blur.wide(response.abs(), surround)
