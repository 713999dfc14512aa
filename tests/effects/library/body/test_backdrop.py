import torch

from mayfly.effects.library.body import backdrop
from mayfly.effects.shared import blur


def filled(picture, known, depth=6.0):
    """A picture with what is not known continued, at full size."""
    plan = backdrop.plan(picture, picture, known, known < 0.5, depth)
    height, width = picture.shape[-2:]
    x = (torch.arange(width) + 0.5) * (2 / width) - 1
    y = (torch.arange(height) + 0.5) * (2 / height) - 1
    places = torch.stack([x.expand(height, width), y[:, None].expand(height, width)], -1).view(-1, 2)
    found, _ = backdrop.colours(picture, plan, places)
    return torch.where(known > 0.5, picture, found.view_as(picture))


def half_known(height=96, width=96, border=60):
    known = torch.ones(1, 1, height, width)
    known[..., border:] = 0
    return known


def test_a_single_slanted_line_goes_on():
    rows, columns = torch.meshgrid(torch.arange(96.0), torch.arange(96.0), indexing="ij")
    line = blur.smoothstep(3.5, 1.5, (rows - 30 - 0.3 * columns).abs())
    picture = (0.8 - 0.6 * line).expand(1, 3, 96, 96).clone()
    result = filled(picture, half_known())
    for column in range(61, 66):
        dark = 0.8 - result[0, 0, :, column]
        centre = (dark * torch.arange(96.0)).sum() / dark.sum()
        assert abs(float(centre) - (30 + 0.3 * column)) < 1


def test_an_even_wall_stays_even():
    picture = torch.full((1, 3, 64, 64), 0.4)
    covered = torch.where(half_known(64, 64, 40) > 0, picture, 1.0)
    result = filled(covered, half_known(64, 64, 40))
    assert (result[..., :46] - 0.4).abs().max() < 0.01


def test_nothing_is_taken_from_what_is_hidden():
    """A gap between two hidden parts, narrower than what is wanted beside it."""
    known = torch.zeros(1, 1, 64, 64)
    known[..., 30:34] = 1
    picture = torch.where(known > 0, torch.tensor([0.1, 0.5, 0.9]).view(1, 3, 1, 1), 1.0)
    result = filled(picture, known)
    assert result[:, 0, :, 22:42].max() < 0.3
