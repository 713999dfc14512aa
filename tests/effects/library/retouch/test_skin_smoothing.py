"""Skin is calmed by itself alone, and spots are told from lines and from moles."""

import pytest
import torch

from mayfly.effects.library.retouch import skin_smoothing

UNIT = 200.0


def plain(lightness=0.7):
    """(1, 3, 120, 120) OKLab of even skin."""
    return torch.tensor([lightness, 0.05, 0.06]).view(1, 3, 1, 1).expand(1, 3, 120, 120).clone()


def distances(row=60, column=60):
    rows, columns = torch.meshgrid(torch.arange(120.0), torch.arange(120.0), indexing="ij")
    return ((rows - row) ** 2 + (columns - column) ** 2).sqrt()


def everywhere():
    return torch.ones(1, 1, 120, 120)


def test_what_is_no_skin_neither_changes_nor_bleeds_in():
    lab, skin = plain(), everywhere()
    lab[..., 60:], skin[..., 60:] = 0.1, 0
    result = skin_smoothing.smoothed(lab, skin, UNIT, smooth=1, pores=1)
    assert torch.equal(result[..., 60:], lab[..., 60:])
    # One pixel's blur is the texture's own.
    assert (result - lab)[..., :56].abs().max() < 0.01


def test_blotches_go_and_strong_shapes_stay():
    blotchy, shaped = plain(), plain()
    blotchy[:, 0] += 0.03 * torch.sin(torch.arange(120) * 0.7)
    shaped[:, 0, :, 50:] -= 0.3
    calm = skin_smoothing.smoothed(blotchy, everywhere(), UNIT, smooth=1, pores=1)
    assert calm[:, 0, :, 20:100].std() < 0.6 * blotchy[:, 0, :, 20:100].std()
    kept = skin_smoothing.smoothed(shaped, everywhere(), UNIT, smooth=1, pores=0.5)
    assert float(kept[0, 0, 60, 45] - kept[0, 0, 60, 55]) > 0.27


@pytest.mark.parametrize("pores", [0.0, 0.5, 1.0])
def test_pores_stay_in_the_share_that_is_asked_for(pores):
    lab = plain()
    lab[:, 0, ::2, ::2] += 0.02
    result = skin_smoothing.smoothed(lab, everywhere(), UNIT, smooth=1, pores=pores)
    inner = (slice(None), 0, slice(30, 90), slice(30, 90))
    assert float(result[inner].std() / lab[inner].std()) == pytest.approx(pores, abs=0.2)


@pytest.mark.parametrize("lightness", [0.35, 0.75])
def test_a_spot_is_found_on_light_and_dark_skin_and_a_line_and_a_mole_are_not(lightness):
    round_shape = torch.exp(-0.5 * (distances() / 2.2) ** 2)
    spot, line, mole = plain(lightness), plain(lightness), plain(lightness)
    spot[:, 0] *= 1 - 0.15 * round_shape
    line[:, 0] *= 1 - 0.15 * torch.exp(-0.5 * ((torch.arange(120.0) - 60) / 2.2) ** 2)
    mole[:, 0] *= 1 - 0.6 * round_shape
    found = [skin_smoothing.spots(lab, everywhere(), UNIT)[0, 0] for lab in (spot, line, mole)]
    assert found[0][60, 60] > 0.9 and found[0][distances() > 12].max() == 0
    assert found[1][30:90].max() < 0.1 and found[2][60, 60] < 0.1
    healed = skin_smoothing.healed(spot, found[0][None, None], everywhere(), UNIT, 1.0)
    assert float((healed - plain(lightness))[0, 0, 60, 60].abs()) < 0.4 * float((spot - plain(lightness)).abs().max())


def test_freckles_are_no_spots():
    lab = plain()
    for row in range(8, 120, 8):
        for column in range(8, 120, 8):
            lab[:, 0] -= 0.04 * torch.exp(-0.5 * (distances(row, column) / 1.6) ** 2)
    assert skin_smoothing.spots(lab, everywhere(), UNIT).mean() < 0.05
