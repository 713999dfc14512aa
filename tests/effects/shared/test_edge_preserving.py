"""Filters that flatten regions must keep the edges between them."""

from __future__ import annotations

import torch

from mayfly.effects.shared import edge_preserving


def noisy_step(seed: int = 6) -> torch.Tensor:
    """(1, 3, 40, 60): 0.3 on the left half, 0.7 on the right, with noise."""
    image = torch.full((1, 3, 40, 60), 0.3)
    image[..., 30:] = 0.7
    return image + 0.03 * torch.randn(image.shape, generator=torch.Generator().manual_seed(seed))


def test_kuwahara_flattens_noise_and_keeps_the_step() -> None:
    image = noisy_step()
    flat = edge_preserving.kuwahara(image, 3.0)
    assert float(flat[..., 5:25].std()) < 0.4 * float(image[..., 5:25].std())
    assert float((flat[..., 31] - flat[..., 28]).mean()) > 0.37


def test_kuwahara_sharpens_a_soft_edge() -> None:
    ramp = torch.sigmoid((torch.arange(60) - 29.5) / 2).expand(1, 3, 40, 60).contiguous()
    flat = edge_preserving.kuwahara(ramp, 3.0)
    assert float(flat.diff(dim=-1).max()) > 1.5 * float(ramp.diff(dim=-1).max())


def test_kuwahara_without_a_radius_is_the_identity() -> None:
    image = noisy_step()
    assert edge_preserving.kuwahara(image, 0.3) is image


def test_guided_smooths_the_faint_and_keeps_the_strong() -> None:
    image = noisy_step()[:, :1]
    for radius in (3.0, 12.0):
        smooth = edge_preserving.guided(image, radius, noise=0.1)
        assert float(smooth[..., 3:20].std()) < 0.5 * float(image[..., 3:20].std())
        assert float((smooth[..., 32] - smooth[..., 27]).mean()) > 0.27


def test_guided_coefficients_recover_a_line() -> None:
    guide = torch.rand(2, 1, 16, 16, generator=torch.Generator().manual_seed(7))
    image = torch.cat([2 * guide - 0.5, -guide], 1)
    slope, offset = edge_preserving.guided_coefficients(guide, image, 2, noise=1e-3)
    torch.testing.assert_close(slope * guide + offset, image, atol=1e-3, rtol=0)
