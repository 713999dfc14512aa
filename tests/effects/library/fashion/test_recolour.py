"""Light on a surface survives its new colour."""

import pytest
import torch

from mayfly.effects.library.fashion import recolour
from mayfly.effects.shared import colour


def folds(low, high):
    """Grey-orange cloth whose lightness waves between two levels: (1, 3, 8, 64) OKLab."""
    light = low + (high - low) * (0.5 + 0.5 * torch.sin(torch.linspace(0, 12, 64))).expand(8, 64)
    return torch.stack([light, 0.1 * light, 0.1 * light])[None]


def target(*rgb):
    return colour.srgb_to_oklab(torch.tensor(rgb).view(1, 3, 1, 1))


@pytest.mark.parametrize("rgb", [(0.05, 0.05, 0.06), (0.1, 0.3, 0.8), (0.95, 0.95, 0.9), (1.0, 0.0, 0.0)])
@pytest.mark.parametrize("levels", [(0.1, 0.25), (0.4, 0.7), (0.8, 0.98)])
def test_the_mean_is_the_target_and_folds_stay(rgb, levels):
    lab, weight = folds(*levels), torch.ones(1, 1, 8, 64)
    usual = recolour.usual_lightness(lab[0], weight[0])
    albedo, fabric = recolour.fitted(lab, weight, target(*rgb), usual, recolour.Fabric())
    after = colour.srgb_to_oklab(recolour.shown(recolour.shaded(lab, albedo, usual, fabric)))
    assert (after.mean((2, 3), keepdim=True) - target(*rgb)).abs().max() < 0.03
    assert torch.corrcoef(torch.stack([lab[0, 0].flatten(), after[0, 0].flatten()]))[0, 1] > 0.95


def test_the_surface_where_light_is_usual_has_its_own_colour():
    lab = folds(0.5, 0.5)
    shown = recolour.shaded(lab, target(0.2, 0.5, 0.3), 0.5, recolour.Fabric())
    assert torch.allclose(shown, target(0.2, 0.5, 0.3).expand_as(shown), atol=1e-6)


def test_shine_whitens_what_was_bright():
    lab, albedo = folds(0.3, 0.9), target(0.5, 0.1, 0.15)
    matt = recolour.shaded(lab, albedo, 0.5, recolour.Fabric())
    shiny = recolour.shaded(lab, albedo, 0.5, recolour.Fabric(shine=0.8))
    bright = lab[0, 0] > 0.8
    assert (shiny[0, 0][bright] - matt[0, 0][bright]).mean() > 0.1
    assert torch.equal(shiny[0, 0][lab[0, 0] < 0.5], matt[0, 0][lab[0, 0] < 0.5])


def test_relief_leans_with_the_light_and_is_still_on_flat_cloth():
    ramp = torch.linspace(0, 1, 40).expand(1, 3, 20, 40)
    lean = recolour.relief(ramp, 2)
    assert (lean[:, 0, :, 5:-5] > 0.1).all() and lean[:, 1].abs().max() < 1e-4
    assert recolour.relief(torch.full((1, 3, 20, 40), 0.5), 2).abs().max() < 1e-5
