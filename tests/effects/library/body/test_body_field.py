import numpy as np
import pytest

from mayfly.effects.library.body import body_field, body_shape
from mayfly.effects.vision.types import Pose

SIZE = (400, 300)


def pose(visibility=1.0):
    """Somebody who stands in the middle, from 30 to 380."""
    places = np.full((33, 2), (150.0, 60.0), np.float32)
    for index, place in {
        7: (165, 58),
        8: (135, 58),
        9: (155, 75),
        10: (145, 75),
        2: (158, 55),
        5: (142, 55),
        0: (150, 65),
        11: (185, 110),
        12: (115, 110),
        13: (200, 165),
        14: (100, 165),
        15: (205, 215),
        16: (95, 215),
        23: (170, 220),
        24: (130, 220),
        25: (172, 300),
        26: (128, 300),
        27: (172, 365),
        28: (128, 365),
        29: (172, 375),
        30: (128, 375),
        31: (180, 380),
        32: (120, 380),
    }.items():
        places[index] = place
    return Pose(points=places, visibility=np.full(33, visibility, np.float32))


@pytest.fixture
def body():
    mask = np.zeros(SIZE, np.float32)
    mask[30:382, 105:195] = 1
    return body_shape.measure(pose(), mask, SIZE)


def moved(body, **change):
    """What to add to each pixel of the frame to get to its source, (400, 300, 2) nearly."""
    return body_field.moves(body, body_field.Change(**change), (0, 0, 300, 400), SIZE, np.zeros(4, np.float32))


def at(field, x, y):
    height, width = field.shape[:2]
    return field[int(y * height / SIZE[0]), int(x * width / SIZE[1])]


def test_a_narrower_waist_comes_from_further_out(body):
    field = moved(body, waist=-1)
    x, level = 150 + 30, 110 + 0.68 * 110
    assert at(field, x, level)[0] > 3 and at(field, 300 - x, level)[0] < -3
    assert np.abs(at(field, 150, level)).max() < 1
    assert np.abs(at(field, x, 40)).max() < 0.2 and np.abs(at(field, x, 360)).max() < 0.2


def test_longer_legs_keep_the_feet(body):
    field = moved(body, legs=1)
    assert np.abs(at(field, 172, 374)).max() < 1.5
    shorter = moved(body, legs=-1)
    assert at(shorter, 150, 150)[1] < -10


@pytest.mark.parametrize("part", ["slim", "waist", "hips", "chest", "shoulders", "arms", "legs", "head", "posture"])
@pytest.mark.parametrize("amount", [-1, 1])
def test_nothing_folds(body, part, amount):
    field = moved(body, **{part: amount})
    step = np.array([SIZE[1] / field.shape[1], SIZE[0] / field.shape[0]])
    along_x = 1 + np.diff(field[..., 0], axis=1) / step[0]
    along_y = 1 + np.diff(field[..., 1], axis=0) / step[1]
    assert np.abs(field).max() > 1
    assert along_x.min() > 0.2 and along_y.min() > 0.2


def test_the_frames_border_stays_where_the_person_touches_it(body):
    change = body_field.Change(slim=1, legs=-1)
    field = body_field.moves(body, change, (100, 0, 300, 400), SIZE, np.array([0, 1, 1, 1], np.float32))
    assert np.abs(field[:, -1, 0]).max() < 0.3
    assert np.abs(field[-1, :, 1]).max() < 0.3


def test_joints_that_are_guesses_do_nothing():
    assert body_shape.measure(pose(0.1), np.ones(SIZE, np.float32), SIZE) is None


def test_a_hand_in_front_of_the_waist_is_spared(body):
    before = pose()
    before.points[15] = (152, 185)
    mask = np.zeros(SIZE, np.float32)
    mask[30:382, 105:195] = 1
    held = body_shape.measure(before, mask, SIZE)
    assert held.seen["waist"] < 0.8 * body.seen["waist"]
    assert held.seen["chest"] == body.seen["chest"]
