"""Light for dark pictures: nearer to the picture before it was darkened, and nothing for well-lit ones."""

import pytest
import torch
from skimage import data

from mayfly.effects.library.enhance import illumination
from mayfly.effects.shared import colour


def picture(name="coffee"):
    return torch.from_numpy(getattr(data, name)()).permute(2, 0, 1)[None].float() / 255


def darkened(frames, share):
    """As if so much of the light had fallen in."""
    return colour.linear_to_srgb(colour.srgb_to_linear(frames) * share)


def psnr(one, other):
    return -10 * (one - other).square().mean().log10().item()


@pytest.mark.parametrize("share", [0.25, 0.05])
@pytest.mark.parametrize("name", ["coffee", "chelsea", "astronaut"])
def test_the_dark_comes_nearer_to_what_it_was(name, share):
    truth = picture(name)
    dark = darkened(truth, share)
    raised, gain = illumination.raised(dark, 1.0)
    assert psnr(raised, truth) > psnr(dark, truth) + 6
    assert gain.min() >= 1


def test_more_of_it_is_lighter_and_none_is_the_picture():
    dark = darkened(picture(), 0.1)
    results = [illumination.raised(dark, amount)[0] for amount in (0, 0.3, 0.7, 1)]
    assert torch.equal(results[0], dark)
    means = [result.mean() for result in results]
    assert means == sorted(means) and means[-1] > 2 * means[0]


def test_a_well_lit_picture_stays():
    bright = picture("chelsea") * 0.5 + 0.45
    torch.testing.assert_close(illumination.raised(bright, 1.0)[0], bright)


def test_a_lamp_in_the_dark_does_not_burn_out_and_the_dark_keeps_its_contrast():
    frames = torch.full((1, 3, 200, 300), 0.08)
    frames[..., 100:, 150:] = 0.04
    frames[..., 40:80, 40:80] = torch.tensor([0.95, 0.85, 0.6]).view(3, 1, 1)
    raised, gain = illumination.raised(frames, 1.0)
    lamp = raised[0, :, 60, 60]
    assert gain[0, 0, 60, 60] < 1.3
    assert lamp[0] > lamp[1] > lamp[2]
    assert raised[0, 0, 20, 250] > 0.25
    assert raised[0, 0, 20, 250] / raised[0, 0, 180, 250] > 1.3


def test_no_halo_around_what_stands_against_the_light():
    """The gain on both sides of a strong edge is that of each side."""
    frames = torch.full((1, 3, 200, 400), 0.05)
    frames[..., 200:] = 0.9
    _, gain = illumination.raised(frames, 1.0)
    row = gain[0, 0, 100]
    assert abs(row[190] / row[20] - 1) < 0.3
    assert row[215] < 1.3


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (33, 2), (64, 48)])
def test_any_size_and_black(size):
    for frames in (torch.zeros(2, 3, *size), torch.rand(2, 3, *size)):
        raised, gain = illumination.raised(frames, 1.0)
        assert raised.shape == frames.shape and gain.shape == (2, 1, *size)
        assert raised.isfinite().all() and raised.min() >= 0 and raised.max() <= 1
