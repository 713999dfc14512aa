import numpy as np
import pytest
import torch

from mayfly.effects.library.expression import outlines

CPU = torch.device("cpu")


def circle(radius, count=24, middle=(40.0, 30.0)):
    angle = np.linspace(0, 2 * np.pi, count, endpoint=False)
    return np.column_stack([np.cos(angle), np.sin(angle)]) * radius + middle


@pytest.mark.parametrize("radius", [3.0, 12.5, 20.0])
def test_a_mask_has_the_outlines_area_and_place(radius):
    mask = outlines.inside(circle(radius), (60, 80), soft=0, device=CPU)
    assert mask.shape == (60, 80)
    # OpenCV takes the border's pixels in, a fourth of one of ours.
    assert np.pi * (radius - 0.1) ** 2 < mask.sum() < np.pi * (radius + 0.3) ** 2
    rows, columns = torch.meshgrid(torch.arange(60) + 0.5, torch.arange(80) + 0.5, indexing="ij")
    assert abs((columns * mask).sum() / mask.sum() - 40) < 0.1
    assert abs((rows * mask).sum() / mask.sum() - 30) < 0.1


def test_a_soft_edge_is_soft():
    hard, soft = (outlines.inside(circle(15), (60, 80), soft=soft, device=CPU) for soft in (0, 2.0))
    assert ((soft > 0.05) & (soft < 0.95)).sum() > 2 * ((hard > 0.05) & (hard < 0.95)).sum()
    assert abs(hard.sum() - soft.sum()) < 2


def test_area_has_the_sign_of_the_direction():
    assert outlines.area(circle(10, 200)) == pytest.approx(100 * np.pi, rel=0.01)
    assert outlines.area(circle(10, 200)[::-1]) == pytest.approx(-100 * np.pi, rel=0.01)


def test_what_lies_outside_the_part_is_cut():
    assert outlines.inside(circle(10, middle=(-50.0, 30.0)), (60, 80), soft=0.5, device=CPU).max() == 0
