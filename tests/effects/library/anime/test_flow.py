"""The flow follows stripes, and filters along it leave them alone."""

from __future__ import annotations

import math

import pytest
import torch

from mayfly.effects.library.anime import flow
from mayfly.effects.shared import blur


def stripes(angle: float, side: int = 48) -> torch.Tensor:
    """(1, 1, side, side): stripes that run at `angle` radians from the x axis, period 8 pixels."""
    rows, columns = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    across = -math.sin(angle) * columns + math.cos(angle) * rows
    return (0.5 + 0.4 * torch.sin(across * (2 * math.pi / 8)))[None, None]


@pytest.mark.parametrize("degrees", [0, 30, 45, 90, 135])
def test_tangents_run_along_stripes(degrees: int) -> None:
    angle = math.radians(degrees)
    direction = flow.tangents(flow.structure_tensor(stripes(angle), 2.0))[..., 8:-8, 8:-8]
    alignment = (direction[:, 0] * math.cos(angle) + direction[:, 1] * math.sin(angle)).abs()
    assert float(alignment.min()) > 0.995
    torch.testing.assert_close(direction.square().sum(1), torch.ones_like(alignment))


def test_anisotropy_tells_stripes_from_noise_and_flat() -> None:
    noise = torch.rand(1, 1, 48, 48, generator=torch.Generator().manual_seed(12))
    inner = (..., slice(8, -8), slice(8, -8))
    assert float(flow.anisotropy(flow.structure_tensor(stripes(0.5), 3.0))[inner].min()) > 0.95
    assert float(flow.anisotropy(flow.structure_tensor(noise, 3.0))[inner].mean()) < 0.3
    assert float(flow.anisotropy(flow.structure_tensor(torch.full((1, 1, 9, 9), 0.4), 3.0)).max()) == 0


def test_smoothing_along_keeps_stripes_and_across_destroys_them() -> None:
    image = stripes(math.radians(30))
    direction = flow.tangents(flow.structure_tensor(image, 2.0))
    across = torch.stack([-direction[:, 1], direction[:, 0]], 1)
    weights, step = blur.sampled_gaussian(4.0, taps=4)
    inner = (..., slice(10, -10), slice(10, -10))
    kept = flow.along(image, direction, weights, step)[inner]
    lost = flow.along(image, across, weights, step)[inner]
    assert float(kept.std()) > 0.9 * float(image[inner].std())
    assert float(lost.std()) < 0.3 * float(image[inner].std())


def test_smoothing_is_symmetric_in_the_directions_sign() -> None:
    image = torch.rand(2, 3, 12, 17, generator=torch.Generator().manual_seed(5))
    direction = flow.tangents(flow.structure_tensor(image, 1.0))
    weights, step = blur.sampled_gaussian(2.0, taps=2)
    torch.testing.assert_close(
        flow.along(image, direction, weights, step), flow.along(image, -direction, weights, step), atol=1e-5, rtol=0
    )


def test_one_pixel() -> None:
    image = torch.full((1, 3, 1, 1), 0.5)
    direction = flow.tangents(flow.structure_tensor(image, 2.0))
    torch.testing.assert_close(flow.along(image, direction, [0.5, 0.25], 1.0), image)
