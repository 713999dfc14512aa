"""Bodies and masks: where the person is, and nowhere else."""

import numpy as np
import pytest
import torch
from skimage import data

from mayfly.effects.vision import people
from mayfly.effects.vision import pose_points as names
from tests.effects.vision import pictures


def test_the_body_of_a_portrait(finder):
    pose = finder.pose(pictures.frame(pictures.astronaut()))
    assert pose is not None
    assert pose.points.shape == (33, 2) and pose.visibility.shape == (33,)
    # Read off the picture by eye.
    for index, place in {
        names.NOSE: (222, 115),
        names.RIGHT_SHOULDER: (115, 245),
        names.LEFT_SHOULDER: (305, 255),
    }.items():
        assert np.hypot(*(pose.points[index] - place)) < 20, index
    assert pose.visibility[names.NOSE] > 0.9 > 0.5 > pose.visibility[names.LEFT_ANKLE]
    assert pose.visibility.min() >= 0 and pose.visibility.max() <= 1


def test_a_body_grows_and_flips_with_the_picture(finder):
    shoulders = [names.LEFT_SHOULDER, names.RIGHT_SHOULDER, names.NOSE]
    first = finder.pose(pictures.frame(pictures.astronaut())).points[shoulders]
    large = finder.pose(pictures.frame(pictures.scaled(pictures.astronaut(), 3))).points[shoulders] / 3
    flipped = finder.pose(pictures.frame(pictures.astronaut()[:, ::-1])).points[shoulders] * (-1, 1) + (512, 0)
    assert np.abs(large - first).max() < 10
    assert np.abs(flipped[[1, 0, 2]] - first).max() < 15


def test_the_mask_of_a_portrait(finder):
    mask = finder.person(pictures.frame(pictures.astronaut()))
    assert mask.shape == (1, 512, 512) and mask.dtype == torch.float32
    assert mask.min() >= 0 and mask.max() <= 1
    assert mask[0, 75:150, 195:252].min() > 0.9, "the face"
    assert mask[0, 300:450, 120:220].min() > 0.9, "the suit"
    assert mask[0, :180, 330:].max() < 0.1, "the wall and the rocket"
    assert mask[0, :200, :80].max() < 0.1, "the flag"


def test_a_person_in_a_corner_is_cut_out_closely(finder):
    mask = finder.person(pictures.frame(pictures.pasted((300, 700, 420))))[0]
    face = mask[420 + 44 : 420 + 88, 700 + 114 : 700 + 148]
    assert face.min() > 0.9
    # Less than one step of eight bits.
    assert max(mask[:400].max(), mask[:, :600].max(), mask[:, 1100:].max()) < 1 / 255


@pytest.mark.parametrize("name", ["coffee", "chelsea", "rocket", "moon", "retina"])
def test_things_are_no_people(finder, name):
    picture = getattr(data, name)()
    if picture.ndim == 2:
        picture = np.stack([picture] * 3, 2)
    assert finder.person(pictures.frame(picture)).max() == 0
    assert finder.pose(pictures.frame(picture)) is None


@pytest.mark.parametrize("size", [(1, 1), (2, 31), (1, 4000), (32, 32), (33, 3000), (3000, 32)])
def test_tiny_and_odd_frames_hold_nobody(finder, size):
    noise = torch.rand(3, *size, generator=torch.Generator().manual_seed(1))
    assert finder.pose(noise) is None
    mask = finder.person(noise)
    assert mask.shape == (1, *size) and mask.max() == 0


class StandingAtTheSide(pictures.Faceless):
    """A body at the left of a picture of 640 × 480, which is hardly seen in the whole of it."""

    def person(self, picture):
        return np.full(picture.shape[:2], 0.1 if picture.shape[1] == 640 else 1.0, np.float32)


def test_a_standing_body_at_the_side_is_looked_at_closely():
    mask = people.mask(StandingAtTheSide(40, 95, 150, 470), np.zeros((480, 640, 3), np.uint8))
    assert mask[200, 100] == 1
    assert mask[200, 500] == 0
