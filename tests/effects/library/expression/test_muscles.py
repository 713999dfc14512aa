import dataclasses
import itertools

import numpy as np
import pytest

from mayfly.effects.library.expression import muscles
from mayfly.effects.vision import face_points as names
from mayfly.effects.vision.finder import Finder
from tests.effects import portraits
from tests.effects.library.expression import grimaces
from tests.effects.vision import pictures


@pytest.fixture(scope="module")
def face():
    return Finder().faces(pictures.frame(portraits.close_up(512)))[0]


@pytest.mark.parametrize("motion", [*grimaces.MEASURES])
def test_a_motion_grows_with_its_amount_and_is_what_it_is_called(face, motion):
    measure = grimaces.MEASURES[motion]
    values = [measure(muscles.moved(face, muscles.Expression(**{motion: amount / 4}))) for amount in range(-4, 5)]
    assert all(second > first for first, second in itertools.pairwise(values))


def test_no_motion_moves_nothing(face):
    assert muscles.Expression().is_neutral
    moved = muscles.moved(face, muscles.Expression(smile=1e-9))
    # Lips and lids that lie a little over each other are set right.
    assert np.abs(moved - face.points).max() < 0.01 * face.size


def test_lids_and_lips_meet_and_go_no_further(face):
    moved = muscles.moved(face, muscles.Expression(eyes_open=-1, mouth_open=-1, gaze_y=-1)).astype(np.float64)
    for upper, lower in (
        (names.RIGHT_UPPER_LID, names.RIGHT_LOWER_LID),
        (names.LEFT_UPPER_LID, names.LEFT_LOWER_LID),
        (names.UPPER_LIP_BOTTOM, names.LOWER_LIP_TOP),
    ):
        gap = (moved[list(lower)] - moved[list(upper)])[1:-1, 1]
        assert gap.min() > -0.01 * face.size
        assert gap.max() < 0.02 * face.size


@pytest.mark.parametrize("turn", [{"turn_x": 1}, {"turn_x": -1}, {"turn_y": 1}, {"turn_y": -1}])
def test_a_turning_face_does_not_fold(face, turn):
    """Whatever lies to the right of something else stays there, and its outline stays where it is."""
    moved = muscles.moved(face, muscles.Expression(**turn)) - face.points
    across = np.abs(face.points[:, None] - face.points[None]).sum(-1)
    steep = np.abs(moved[:, None] - moved[None]).sum(-1) / np.maximum(across, 0.04 * face.size)
    assert steep.max() < 0.9
    assert np.abs(moved[list(names.FACE_OVAL)]).max() < 0.03 * face.size


def test_a_face_of_another_size_and_roll_moves_alike(face):
    asked = muscles.Expression(smile=0.7, brows=-0.5, mouth_open=0.6, eyes_open=-0.4, frown=0.5, gaze_x=0.5, turn_x=0.5)
    cosine, sine = np.cos(0.4), np.sin(0.4)
    turn = np.array([[cosine, sine], [-sine, cosine]]) * 1.7
    other = dataclasses.replace(face, points=(face.points @ turn).astype(np.float32), depth=face.depth * 1.7)
    moved = (muscles.moved(face, asked) - face.points) @ turn
    assert np.abs(muscles.moved(other, asked) - other.points - moved).max() < 0.02 * face.size
