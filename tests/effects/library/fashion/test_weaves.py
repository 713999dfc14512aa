"""Patterns repeat, differ, and join without seams."""

import itertools

import pytest
import torch

from mayfly.effects.library.fashion import weaves

SIDE = 96
# The shifts, in repeats, after which these are the same again.
REPEATS = {"stripes": 1, "hoops": 1, "checks": 1, "tartan": 1, "dots": 1, "knit": 1, "herringbone": 1}


def places(shift=0.0):
    axis = (torch.arange(SIDE) + 0.5) / 32 - 1.5
    return (axis + shift).expand(1, 1, SIDE, SIDE), (axis + shift)[:, None].expand(1, 1, SIDE, SIDE)


def drawn(name, shift=0.0):
    share, lift = weaves.draw(name, *places(shift), 1 / 32)
    return share + lift


@pytest.mark.parametrize("name", weaves.WEAVES)
def test_shares_are_shares_and_relief_is_small(name):
    share, lift = weaves.draw(name, *places(), 1 / 32)
    assert share.shape == lift.shape == (1, 1, SIDE, SIDE)
    assert share.min() >= 0 and share.max() <= 1 and lift.abs().max() <= 0.08
    assert (share + lift).std() > 0.01


@pytest.mark.parametrize("name", REPEATS)
def test_a_pattern_repeats(name):
    assert torch.allclose(drawn(name), drawn(name, REPEATS[name]), atol=1e-3)


def test_no_two_are_alike():
    for one, other in itertools.combinations(weaves.WEAVES, 2):
        assert (drawn(one) - drawn(other)).abs().mean() > 0.02, (one, other)


def test_a_picture_is_repeated_without_a_seam():
    tile = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    result = weaves.tiled(tile, *places(), 1 / 32)
    assert torch.allclose(result[..., :32, :32], result[..., 32:64, 32:64], atol=1e-5)
    # At one pixel of the picture to one of the cloth it is the picture itself, begun in its middle.
    assert torch.allclose(result[..., 16:48, 16:48], tile, atol=1e-4)
