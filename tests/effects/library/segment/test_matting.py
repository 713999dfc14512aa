import numpy as np
import pytest

from mayfly.effects.library.segment import matting

RED, GREEN = np.array([220.0, 60.0, 40.0]), np.array([40.0, 150.0, 70.0])
SIDE = 160


def disc(radius, soft=2.0):
    rows, columns = np.mgrid[:SIDE, :SIDE] - SIDE / 2
    return ((radius - np.hypot(rows, columns)) / soft + 0.5).clip(0, 1).astype(np.float32)


def picture(alpha):
    noise = np.random.default_rng(3).normal(0, 4, (SIDE, SIDE, 3))
    mixed = alpha[..., None] * RED + (1 - alpha[..., None]) * GREEN + noise
    return mixed.clip(0, 255).astype(np.uint8)


def test_colours_settle_what_a_rough_mask_leaves_open():
    alpha = disc(50)
    rough = np.where(disc(42) > 0.5, 1.0, np.where(disc(60) > 0.5, 0.5, 0.0)).astype(np.float32)
    found = matting.cut(picture(alpha), rough)
    assert found.dtype == np.uint8 and set(np.unique(found)) == {0, 1}
    assert (found != (alpha > 0.5)).mean() < 0.01


def test_nobody_is_nobody():
    assert not matting.cut(picture(disc(50)), np.zeros((SIDE, SIDE), np.float32)).any()


@pytest.mark.parametrize("radius", [48, 50, 52])
def test_opacity_is_the_mixture_of_colours_even_where_the_mask_is_off(radius):
    alpha = disc(50, soft=6.0)
    seen = picture(alpha)
    edge = matting.edge(seen, (disc(radius) > 0.5).astype(np.uint8), width=2.0)
    found = matting.opacity(seen.transpose(2, 0, 1).copy(), edge) / 255
    assert np.abs(found - alpha).mean() < 0.01
    assert np.abs(found - alpha)[(alpha > 0) & (alpha < 1)].mean() < 0.1
    hard = np.abs((disc(radius) > 0.5) - alpha).mean()
    assert np.abs(found - alpha).mean() < 0.75 * hard


def test_at_full_size_it_is_as_on_a_small_grid():
    alpha = disc(50, soft=4.0)
    seen = picture(alpha)
    edge = matting.edge(seen, (alpha > 0.5).astype(np.uint8))
    large = seen.repeat(3, 0).repeat(3, 1).transpose(2, 0, 1).copy()
    one, three = matting.opacity(seen.transpose(2, 0, 1).copy(), edge), matting.opacity(large, edge)
    assert three.shape == (3 * SIDE, 3 * SIDE)
    assert np.abs(three[1::3, 1::3].astype(int) - one).max() <= 1


def test_the_insides_own_colours():
    alpha = disc(50, soft=8.0)
    seen = picture(alpha)
    planes = seen.transpose(2, 0, 1).copy()
    edge = matting.edge(seen, (alpha > 0.5).astype(np.uint8), width=3.0)
    known = (alpha * 255).round().astype(np.uint8)
    pure = matting.foreground(planes, known, edge).transpose(1, 2, 0)
    rim = (alpha > 0.2) & (alpha < 0.8)
    assert np.abs(pure - RED)[rim].mean() < 0.2 * np.abs(seen - RED)[rim].mean()
    turned = matting.foreground(planes, 255 - known, matting.turned(edge)).transpose(1, 2, 0)
    assert np.abs(turned - GREEN)[rim].mean() < 0.2 * np.abs(seen - GREEN)[rim].mean()
    far = disc(30) > 0.5
    assert (pure[far] == seen[far]).all()
