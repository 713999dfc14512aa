"""Steady video: still parts are averaged over time, moving parts are left alone, a cut begins anew."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor
from torch.nn import functional

from mayfly.effects.shared import blur

# Earlier frames that visibly influence a frame: after so many the first weighs less than a tenth.
CONTEXT = 10
# The average moves by one part in this many for each frame of a still scene.
_LENGTH = 6
# Change is judged on blocks of about so many parts of the picture's side, where grain averages out.
_BLOCKS = 160
# Change in multiples of what grain alone does, at which averaging begins to cease and at which it has ceased.
_STILL, _MOVED = 3.0, 6.0
# Grain, in 0…1, below which nothing is seen of it.
_LEAST_GRAIN = 0.5 / 255
# Grain that clumps more than this is taken for motion.
_CLUMPS = 2.5
# A scene that changes in so much of the picture is another scene.
_CUT = 0.7
# The mean of |x| for x of a normal distribution is so much of its deviation; so is the median of the largest of three.
_MEAN_ABS, _MEDIAN_OF_THREE = 0.798, 1.26


@dataclasses.dataclass(frozen=True)
class TemporalState:
    """What is remembered of a video: the averaged frame (1, C, H, W), and (1, 1, h, w) for how many frames it stood."""

    frame: Tensor
    age: Tensor


def steadied(frames: Tensor, state: TemporalState | None) -> tuple[Tensor, TemporalState]:
    """Average each still part of a video with what it was before.

    A recursive filter whose weight follows the motion, as in video denoisers since Dubois and Sabri, "Noise reduction
    in image sequences using motion-compensated temporal filtering" (1984), without their compensation: what moves is
    shown as it is. Grain is estimated from each pair of frames, so that grain is never taken for motion.

    Args:
        frames: (N, C, H, W) float in 0…1, consecutive.
        state: what the call before returned; None at the beginning.

    Returns:
        (N, C, H, W), and what to remember.
    """
    if not len(frames):
        raise ValueError("no frames")
    shown = torch.empty_like(frames, memory_format=torch.contiguous_format)
    for index, frame in enumerate(frames.split(1)):
        state = _next(frame, state)
        shown[index] = state.frame[0]
    assert state is not None
    return shown, state


def _next(frame: Tensor, state: TemporalState | None) -> TemporalState:
    height, width = frame.shape[-2:]
    factor = max(2, round(blur.area_root(frame) / _BLOCKS))
    if state is None or state.frame.shape != frame.shape:
        return TemporalState(frame.clone(), frame.new_ones(1, 1, -(-height // factor), -(-width // factor)))
    moving = _motion(frame, state, factor)
    if float(moving.mean()) > _CUT:
        moving = torch.ones_like(moving)
    # A block that has just come to rest starts averaging with its first frame.
    age = (state.age * (1 - moving) + 1).clamp_max_(_LENGTH)
    weight = torch.maximum(1 / age, moving)
    weight = blur.enlarge(weight, (height, width))
    return TemporalState(state.frame.lerp(frame, weight), age)


def _motion(frame: Tensor, state: TemporalState, factor: int) -> Tensor:
    """(1, 1, h, w) in 0…1: how surely each block shows something else than was remembered."""
    difference = frame - state.frame
    spread = _blocks(difference.abs().mean(1, keepdim=True), factor)
    mean = _blocks(difference, factor)
    change = mean.abs().amax(1, keepdim=True)
    # Most of a picture is still or changes by grain; where all of it moves, `_explained` says so.
    grain = max(float(spread.quantile(0.4)) / _MEAN_ABS, _LEAST_GRAIN)
    # Light that rises or falls does so over many blocks, grain does not.
    light = blur.box(mean, 4)
    apart = (mean - light).abs().amax(1, keepdim=True)
    coarse = max(float(apart.quantile(0.4)) / _MEDIAN_OF_THREE, grain / factor)
    score = torch.maximum(change / coarse, light.abs().amax(1, keepdim=True) / (0.3 * coarse))
    # An edge that moved within its block changes it both ways: the mean may stay, the spread does not.
    score = torch.maximum(score, spread / (0.4 * grain))
    # Compressed grain comes in clumps, which a shift explains by chance.
    clumps = min(coarse * factor / grain, _CLUMPS)
    score = torch.maximum(score, _explained(frame, state.frame, factor) / clumps)
    # What moves uncovers its surroundings: its neighbours have no past either.
    return functional.max_pool2d(blur.smoothstep(_STILL, _MOVED, score), 3, 1, 1)


def _explained(frame: Tensor, before: Tensor, factor: int) -> Tensor:
    """(1, 1, h, w): how much more of the change a shift of the picture explains than grain would let it, as a ratio.

    The shift is Lucas and Kanade's (1981) for 3 × 3 blocks; the ratio is the root of Fisher's F.
    """
    middle = 0.5 * (frame + before).mean(1, keepdim=True)
    change = (frame - before).mean(1, keepdim=True)
    padded = blur.padded(middle, 1)
    across = 0.5 * (padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2])
    down = 0.5 * (padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1])
    products = [across * across, across * down, down * down, across * change, down * change, change * change]
    xx, xy, yy, xt, yt, tt = blur.box(_blocks(torch.cat(products, 1), factor), 1).split(1, 1)
    determinant = (xx * yy - xy * xy).clamp_min(1e-14)
    shifted = (yy * xt * xt - 2 * xy * xt * yt + xx * yt * yt) / determinant
    pixels = 9 * factor * factor
    ratio: Tensor = shifted * pixels / 2 / (tt - shifted).clamp_min_(_LEAST_GRAIN**2)
    return ratio.clamp_min_(0).sqrt_()


def _blocks(image: Tensor, factor: int) -> Tensor:
    """Means of factor × factor pixels; the last of each row and column may hold fewer."""
    return functional.avg_pool2d(image, factor, factor, ceil_mode=True, count_include_pad=False)
