"""Masks lie where the face's points say, at every scale, and soft edges are as wide as told."""

import numpy as np
import pytest
import torch

from mayfly.effects.shared import face_masks
from mayfly.effects.vision.types import Face

SQUARE = (0, 1, 2, 3)


def square_face(left, top, side):
    """A face whose points are the corners of a square."""
    corners = np.array([[left, top], [left + side, top], [left + side, top + side], [left, top + side]], np.float32)
    points = np.tile(corners, (120, 1))[:478]
    return Face(points=points, depth=np.zeros(478, np.float32), box=(left, top, left + side, top + side), score=1.0)


def grid_of(face, *, height=200, width=220, unit=1000):
    return face_masks.grid(face, torch.zeros(1, 3, height, width), margin=0.25, unit=unit)


def test_a_mask_lies_on_its_outline():
    grid = grid_of(square_face(60, 40, 80))
    assert grid.box == (40, 20, 160, 140) and grid.size == (120, 120)
    mask = grid.polygon(SQUARE)[0, 0]
    assert mask.sum() == pytest.approx(80 * 80, rel=0.03)
    assert mask[22:98, 22:98].min() == 1 and mask[:18].max() == 0 == mask[:, 103:].max()


@pytest.mark.parametrize("grow", [-0.1, 0.1])
def test_growing_moves_the_edge(grow):
    mask = grid_of(square_face(60, 40, 80)).polygon(SQUARE, grow=grow)[0, 0]
    assert mask[60].sum() == pytest.approx(80 + 160 * grow, abs=2)


def test_a_feather_is_a_ramp_around_the_edge():
    row = grid_of(square_face(60, 40, 80)).polygon(SQUARE, feather=0.05)[0, 0, 60]
    assert row[60] == 1 and row[5] == 0
    assert row.sum() == pytest.approx(80, abs=1.5)
    assert 9 <= int(((row > 0.01) & (row < 0.99)).sum()) // 2 <= 13


def test_a_large_face_is_worked_on_smaller_and_lies_the_same():
    face = square_face(60, 40, 80)
    whole, small = grid_of(face), grid_of(face, unit=40)
    assert small.unit == 40 and small.size == (60, 60)
    halved = torch.nn.functional.avg_pool2d(whole.polygon(SQUARE), 2)[0, 0]
    mask = small.polygon(SQUARE)[0, 0]
    for axis in (0, 1):
        # Half a pixel at each end at most.
        assert (halved.sum(axis) - mask.sum(axis)).abs()[15:45].max() <= 1
    assert mask[12:48, 12:48].min() == 1 and mask[:8].max() == 0


def test_a_face_at_the_border_is_cut_and_one_outside_is_none():
    cut = grid_of(square_face(-40, -40, 80))
    assert cut.box == (0, 0, 60, 60)
    assert cut.polygon(SQUARE)[0, 0, :38, :38].min() == 1
    assert grid_of(square_face(300, 40, 80)) is None


def test_a_part_of_a_grid_has_its_own_points():
    grid = grid_of(square_face(60, 40, 80))
    where, part = grid.around(SQUARE, margin=0.05)
    assert torch.equal(grid.polygon(SQUARE)[where], part.polygon(SQUARE))
