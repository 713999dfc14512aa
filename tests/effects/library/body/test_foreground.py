import torch
from torch.nn import functional

from mayfly.effects.library.body import foreground
from mayfly.effects.shared import blur


def disc(side=96, radius=28):
    rows, columns = torch.meshgrid(torch.arange(side) - side / 2, torch.arange(side) - side / 2, indexing="ij")
    return blur.smoothstep(radius + 1.0, radius - 1.0, torch.hypot(rows, columns))[None, None]


RED, GREEN = (torch.tensor(levels).view(1, 3, 1, 1) for levels in ([0.9, 0.2, 0.1], [0.1, 0.6, 0.2]))


def test_a_rough_mask_finds_the_edge():
    cover = disc()
    picture = torch.lerp(GREEN, RED, cover)
    rough = functional.avg_pool2d(disc(radius=30), 9, 1, 4, count_include_pad=False)
    found = foreground.estimated(picture, rough, torch.zeros_like(rough), 5).alpha
    assert (found - cover).abs().mean() < 0.01
    assert (found - cover).abs().mean() < 0.5 * (rough - cover).abs().mean()


def test_colours_at_the_rim_are_the_persons_own():
    cover = disc()
    picture = torch.lerp(GREEN, RED, cover)
    estimated = foreground.estimated(picture, cover, torch.zeros_like(cover), 4)
    alpha, own = foreground.extracted(estimated.planes[0].flatten(1), picture[0].flatten(1))
    rim = (cover.flatten() > 0.3) & (cover.flatten() < 0.7)
    mixed = (picture[0].flatten(1) - RED[0, :, 0]).abs().mean(0)[rim].mean()
    assert (own - RED[0, :, 0]).abs().mean(0)[rim].mean() < 0.35 * mixed
    assert (alpha.flatten() - cover.flatten()).abs()[rim].max() < 0.5


def test_a_hole_in_the_mask_is_the_persons_all_the_same():
    cover = disc()
    core = disc(radius=12)
    found = foreground.estimated(torch.lerp(GREEN, RED, cover), cover - core, core, 4).alpha
    assert found[core > 0.99].min() > 0.99
