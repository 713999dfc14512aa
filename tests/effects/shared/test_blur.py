"""Blurs against their definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from mayfly.effects.shared import blur


def impulse(side: int) -> torch.Tensor:
    image = torch.zeros(1, 1, side, side)
    image[..., side // 2, side // 2] = 1
    return image


def spread(image: torch.Tensor) -> float:
    """Standard deviation of an impulse's response along x, in pixels."""
    profile = image[0, 0].sum(0)
    position = torch.arange(len(profile)) - len(profile) // 2
    return math.sqrt(float((profile * position**2).sum() / profile.sum()))


@pytest.mark.parametrize("sigma", [0.8, 1.5, 3.0])
def test_gaussian_has_its_sigma_and_keeps_the_sum(sigma: float) -> None:
    response = blur.gaussian(impulse(41), sigma)
    assert float(response.sum()) == pytest.approx(1, abs=1e-5)
    assert spread(response) == pytest.approx(sigma, rel=0.1)
    torch.testing.assert_close(response, response.transpose(2, 3))


def test_wide_blur_matches_the_plain_one() -> None:
    image = torch.rand(1, 2, 90, 120, generator=torch.Generator().manual_seed(3))
    # At the border both repeat it, but one repeats single pixels and the other their means.
    inner = (..., slice(25, -25), slice(25, -25))
    torch.testing.assert_close(blur.wide(image, 9.0)[inner], blur.gaussian(image, 9.0)[inner], atol=0.01, rtol=0)
    assert spread(blur.wide(impulse(121), 9.0)) == pytest.approx(9, rel=0.12)


def test_box_is_the_mean_of_its_window() -> None:
    image = torch.rand(1, 1, 9, 9, generator=torch.Generator().manual_seed(4))
    assert float(blur.box(image, 2)[0, 0, 4, 4]) == pytest.approx(float(image[0, 0, 2:7, 2:7].mean()), abs=1e-6)


@pytest.mark.parametrize("filtered", [blur.gaussian, blur.wide, lambda image, sigma: blur.box(image, int(sigma))])
@pytest.mark.parametrize("size", [(1, 1), (1, 30), (2, 3)])
def test_constants_stay(filtered, size: tuple[int, int]) -> None:
    image = torch.full((2, 3, *size), 0.25)
    torch.testing.assert_close(filtered(image, 12.0), image)


def test_sampled_gaussian_sums_to_one_and_covers_sigma() -> None:
    weights, step = blur.sampled_gaussian(4.0, taps=3)
    assert weights[0] + 2 * sum(weights[1:]) == pytest.approx(1)
    assert step * 3 == pytest.approx(7.2)
    assert weights == sorted(weights, reverse=True)


def test_resizing_keeps_position_and_channels() -> None:
    ramp = torch.linspace(0, 1, 40).expand(2, 3, 30, 40)
    small = blur.reduce(ramp, (15, 20))
    assert small.shape == (2, 3, 15, 20)
    for smooth in (False, True):
        back = blur.enlarge(small, (30, 40), smooth=smooth)
        torch.testing.assert_close(back[..., 4:-4], ramp[..., 4:-4], atol=0.01, rtol=0)
    assert blur.reduce(ramp, (30, 40)) is ramp


def test_enlarging_keeps_planes_apart() -> None:
    image = torch.arange(6.0).view(2, 3, 1, 1).expand(2, 3, 4, 5)
    torch.testing.assert_close(blur.enlarge(image, (8, 9)), image[..., :1, :1].expand(2, 3, 8, 9))


def test_smoothstep_is_smooth_between_its_ends() -> None:
    values = blur.smoothstep(0.2, 0.6, torch.tensor([0.0, 0.2, 0.4, 0.6, 1.0]))
    torch.testing.assert_close(values, torch.tensor([0.0, 0.0, 0.5, 1.0, 1.0]))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_smoothstep_of_arrays_and_numbers_is_that_of_tensors(dtype) -> None:
    given = np.linspace(-1, 2, 31).astype(dtype)
    found = blur.smoothstep(0.2, 0.6, given)
    assert found.dtype == dtype
    torch.testing.assert_close(torch.from_numpy(found), blur.smoothstep(0.2, 0.6, torch.from_numpy(given)))
    assert blur.smoothstep(0.2, 0.6, float(given[14])) == pytest.approx(float(found[14]), abs=1e-6)
