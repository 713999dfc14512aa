"""Taking back a blur: edges become steep again, the mean stays, noise does not grow beyond bounds."""

import pytest
import torch

from mayfly.effects.library.enhance import deblur
from mayfly.effects.shared import blur


@pytest.mark.parametrize("sigma", [0.8, 1.2, 2.0])
def test_a_blurred_edge_is_steep_again(sigma):
    edge = torch.full((1, 3, 60, 80), 0.25)
    edge[..., 40:] = 0.75
    blurry = blur.gaussian(edge, sigma)
    sharp = deblur.sharpened(blurry, sigma)
    assert sharp.diff(dim=3).amax() > 1.4 * blurry.diff(dim=3).amax()
    assert (sharp - edge).square().mean() < 0.75 * (blurry - edge).square().mean()
    # No halo worth speaking of.
    assert sharp.max() < 0.75 + 0.06 and sharp.min() > 0.25 - 0.06


def test_flat_stays_flat_and_nothing_is_nothing():
    flat = torch.full((1, 3, 20, 30), 0.6)
    torch.testing.assert_close(deblur.sharpened(flat, 1.5), flat)
    assert deblur.sharpened(flat, 0) is flat


def test_noise_is_not_blown_up():
    noise = 0.5 + 0.02 * torch.randn(1, 1, 100, 100, generator=torch.Generator().manual_seed(0))
    assert deblur.sharpened(noise, 2.0).std() < 4 * noise.std()


def test_it_looks_no_further_than_it_says():
    point = torch.zeros(1, 1, 61, 61)
    point[..., 30, 30] = 1
    touched = (deblur.sharpened(point + 0.5, 2.0) - 0.5).abs()[0, 0] > 1e-6
    rows = touched.any(1).nonzero().flatten()
    assert rows.min() >= 30 - deblur.RADIUS and rows.max() <= 30 + deblur.RADIUS


@pytest.mark.parametrize("size", [(1, 1), (2, 9), (5, 4)])
def test_any_size(size):
    assert deblur.sharpened(torch.rand(2, 3, *size), 1.0).shape == (2, 3, *size)
