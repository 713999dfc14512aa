"""Colour conversions against published values and against each other."""

from __future__ import annotations

import pytest
import torch

from mayfly.effects.shared import colour


def pixel(*values: float) -> torch.Tensor:
    return torch.tensor(values).view(1, 3, 1, 1)


@pytest.mark.parametrize(
    ("srgb", "oklab"),
    [
        ((1.0, 1.0, 1.0), (1.0, 0.0, 0.0)),
        ((0.0, 0.0, 0.0), (0.0, 0.0, 0.0)),
        ((1.0, 0.0, 0.0), (0.6279, 0.2249, 0.1258)),
        ((0.0, 1.0, 0.0), (0.8664, -0.2339, 0.1795)),
        ((0.0, 0.0, 1.0), (0.4520, -0.0325, -0.3115)),
    ],
)
def test_oklab_of_primaries(srgb: tuple[float, ...], oklab: tuple[float, ...]) -> None:
    torch.testing.assert_close(colour.srgb_to_oklab(pixel(*srgb)), pixel(*oklab), atol=3e-4, rtol=0)


def test_oklab_round_trip() -> None:
    image = torch.rand(2, 3, 9, 7, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(colour.oklab_to_srgb(colour.srgb_to_oklab(image)), image, atol=1e-4, rtol=0)


def test_srgb_curve_is_the_standards() -> None:
    encoded = torch.tensor([0.0, 0.04045, 0.5, 1.0])
    linear = torch.tensor([0.0, 0.0031308, 0.2140411, 1.0])
    torch.testing.assert_close(colour.srgb_to_linear(encoded), linear, atol=1e-6, rtol=0)
    torch.testing.assert_close(colour.linear_to_srgb(linear), encoded, atol=1e-5, rtol=0)


def test_conversions_leave_their_input_alone() -> None:
    image = torch.rand(1, 3, 4, 4, generator=torch.Generator().manual_seed(2))
    before = image.clone()
    colour.oklab_to_srgb(image)
    colour.srgb_to_oklab(image)
    colour.luma(image)
    assert torch.equal(image, before)


def test_luma_weighs_green_most() -> None:
    red, green, blue = (
        float(colour.luma(pixel(*values))) for values in ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
    )
    assert green > red > blue
    assert red + green + blue == pytest.approx(1)
