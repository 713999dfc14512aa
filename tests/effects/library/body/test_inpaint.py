import torch

from mayfly.effects.library.body import inpaint
from mayfly.effects.shared import blur


def scene(picture, work):
    """A picture, a smaller copy, and a hidden column of it."""
    known = torch.ones(1, 1, *work)
    known[..., work[1] // 2 - 6 : work[1] // 2 + 6] = 0
    return picture, blur.reduce(picture, work), known, known < 0.5


def test_tiles_are_continued_to_the_pixel():
    rows, columns = torch.meshgrid(torch.arange(300), torch.arange(300), indexing="ij")
    tiles = ((rows % 26 < 3) | (columns % 26 < 3)).float()
    picture, small, known, wanted = scene((0.9 - 0.7 * tiles).expand(1, 3, 300, 300).contiguous(), (128, 128))
    shifts, found = inpaint.found(picture, small, known, wanted, 6.0)
    assert found[wanted].float().mean() > 0.95
    some = shifts.permute(0, 2, 3, 1)[found[:, 0]].long()
    assert (some % 26 == 0).all()


def test_what_nothing_is_like_stays_without():
    grain = torch.rand(1, 3, 128, 128, generator=torch.Generator().manual_seed(1))
    _, found = inpaint.found(*scene(grain, (128, 128)), 6.0)
    assert not found.any()


def test_without_room_there_is_none():
    picture = torch.full((1, 3, 8, 8), 0.5)
    shifts, found = inpaint.found(picture, picture, torch.zeros(1, 1, 8, 8), torch.ones(1, 1, 8, 8) > 0, 6.0)
    assert not found.any() and not shifts.any()
