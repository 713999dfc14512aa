"""Boxes overlap, and tiles cover."""

import pytest

from mayfly.effects.vision import boxes


def test_overlap_and_cover():
    one = (0, 0, 10, 10)
    assert boxes.overlap(one, one) == 1
    assert boxes.overlap(one, (5, 0, 15, 10)) == pytest.approx(1 / 3)
    assert boxes.overlap(one, (10, 0, 20, 10)) == boxes.cover(one, (11, 0, 20, 10)) == 0
    assert boxes.cover(one, (2, 2, 4, 4)) == 1
    assert boxes.overlap((3, 3, 3, 3), (3, 3, 3, 3)) == 0


@pytest.mark.parametrize(
    ("height", "width", "side"), [(192, 192, 192), (108, 192, 192), (432, 768, 192), (346, 653, 192), (7, 1000, 192)]
)
def test_whatever_is_a_fifth_of_a_tile_lies_whole_in_one(height, width, side):
    places = boxes.tiles(height, width, side)
    small = round(side * boxes.SHARED) - 1
    for top in range(0, max(1, height - small), 5):
        for left in range(0, max(1, width - small), 5):
            right, bottom = min(width, left + small), min(height, top + small)
            assert any(a <= left and b <= top and right <= c and bottom <= d for a, b, c, d in places)
    assert all(0 <= a < c <= width and 0 <= b < d <= height and c - a <= side >= d - b for a, b, c, d in places)
