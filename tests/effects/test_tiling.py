"""Cuts are even, at allowed places, and leave no seam."""

import itertools

import pytest
import torch
from torch.nn import functional

from mayfly.effects import tiling
from mayfly.effects.contract import Declaration, Effect, Parameters, Tiling


class Blur(Effect[Parameters]):
    """A known receptive radius of 3 input pixels; scale 2 repeats pixels; records the pictures that it is given."""

    def __init__(self, scale=1, multiple=1):
        self.declaration = Declaration(name="blur", summary="", parameters=Parameters, multiple=multiple)
        self.times = scale
        self.seen = []

    def scale(self, params):
        return self.times

    def apply(self, frames, params):
        self.seen.append(tuple(frames.shape[-2:]))
        kernel = torch.ones(3, 1, 7, 7, dtype=frames.dtype) / 49
        blurred = functional.conv2d(functional.pad(frames, (3, 3, 3, 3), mode="replicate"), kernel, groups=3)
        return blurred.repeat_interleave(self.times, -1).repeat_interleave(self.times, -2)


@pytest.mark.parametrize("length", [1, 2, 63, 64, 65, 70, 71, 127, 128, 129, 1000])
@pytest.mark.parametrize("multiple", [1, 2, 8])
def test_spans_cover_the_side_once_at_multiples(length, multiple):
    length *= multiple
    spans = tiling.spans(length, Tiling(size=64, halo=8), multiple)
    assert spans[0][0] == 0
    assert spans[-1][1] == length
    assert all(end == start for (_, end), (start, _) in itertools.pairwise(spans))
    assert all(start % multiple == 0 for start, _ in spans)
    if length <= 64 + 16:
        assert len(spans) == 1
    else:
        assert all(0 < end - start <= 64 for start, end in spans)
        assert len(spans) == -(-length // 64)


@pytest.mark.parametrize("scale", [1, 2])
@pytest.mark.parametrize("size", [(1, 1), (1, 90), (90, 1), (22, 22), (23, 22), (61, 97)])
def test_tiled_equals_whole(scale, size):
    frames = torch.rand(2, 3, *size, dtype=torch.float64)
    effect, params = Blur(scale), Parameters()
    tiled = tiling.apply(effect, frames, params, Tiling(size=16, halo=3))
    torch.testing.assert_close(tiled, Blur(scale).apply(frames, params))
    assert all(max(seen) <= 16 + 2 * 3 for seen in effect.seen)


def test_a_halo_that_is_too_small_would_be_noticed():
    frames = torch.rand(1, 3, 61, 97, dtype=torch.float64)
    tiled = tiling.apply(Blur(), frames, Parameters(), Tiling(size=16, halo=2))
    assert (tiled - Blur().apply(frames, Parameters())).abs().max() > 1e-3


def test_a_picture_that_fits_is_not_cut():
    effect = Blur()
    tiling.apply(effect, torch.rand(1, 3, 22, 22), Parameters(), Tiling(size=16, halo=3))
    assert effect.seen == [(22, 22)]
