import torch

from mayfly.effects.library.segment import lens


def everywhere(image):
    return torch.ones(1, 1, *image.shape[-2:])


def test_a_point_becomes_a_disc_with_an_edge():
    image = torch.zeros(1, 3, 61, 61)
    image[..., 30, 30] = 1.0
    shown = lens.disc(image, everywhere(image), 8.0)[0, 0]
    inside, outside = shown[30, 25:36], torch.cat([shown[30, :20], shown[30, 41:]])
    assert inside.min() > 0.9 * inside.max()
    assert outside.max() < 0.02 * inside.max()


def test_an_even_surface_stays_as_it_is_up_to_white():
    for level in (0.0, 0.2, 0.7, 0.95, 1.0):
        image = torch.full((1, 3, 40, 50), level)
        assert (lens.disc(image, everywhere(image), 6.0) - level).abs().max() < 0.004


def test_a_light_is_brighter_than_its_mean():
    image = torch.zeros(1, 3, 64, 64)
    image[..., ::8, ::8] = 1.0
    linear_mean = (1 / 64) ** (1 / 2.2)
    assert lens.disc(image, everywhere(image), 9.0)[..., 16:48, 16:48].mean() > 1.3 * linear_mean


def test_what_is_in_focus_does_not_run_into_the_rest():
    image = torch.full((1, 3, 80, 80), 0.2)
    image[:, 0, :, 30:50] = 1.0
    weight = everywhere(image)
    weight[..., 28:52] = 0
    for radius in (3.0, 12.0, 40.0):
        shown = lens.disc(image, weight, radius)
        assert (shown - 0.2).abs().max() < 0.01


def test_a_larger_picture_looks_the_same():
    image = torch.rand(1, 3, 60, 60, generator=torch.Generator().manual_seed(2))
    large = image.repeat_interleave(2, -1).repeat_interleave(2, -2)
    one = lens.disc(image, everywhere(image), 7.0)
    two = torch.nn.functional.avg_pool2d(lens.disc(large, everywhere(large), 14.0), 2)
    assert (one - two)[..., 8:-8, 8:-8].abs().max() < 0.03
