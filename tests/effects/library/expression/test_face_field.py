import numpy as np
import pytest
import torch

from mayfly.effects.library.expression import face_field, muscles
from mayfly.effects.vision import face_points as names
from mayfly.effects.vision.finder import Finder
from tests.effects import portraits
from tests.effects.vision import pictures

CPU = torch.device("cpu")
SIZE = (512, 512)


@pytest.fixture(scope="module")
def face():
    return Finder().faces(pictures.frame(portraits.close_up(512)))[0]


def field(face, **given):
    asked = muscles.Expression(**given)
    after = muscles.moved(face, asked)
    shift, seams = face_field.shifts(
        face.points, after, SIZE, eyes=asked.moves_eyes, mouth=asked.opens_mouth, device=CPU
    )
    for seam in seams:
        left, top, right, bottom = seam.box
        place = shift[:, top:bottom, left:right]
        place.copy_(torch.where(seam.share > 0.5, seam.below, place))
    return after, shift.numpy()


def at(shift, points):
    x, y = np.floor(points).astype(int).T
    return shift[:, y, x].T


@pytest.mark.parametrize("given", [{"brows": 1}, {"smile": 1}, {"turn_x": 1}, {"mouth_open": 1}, {"frown": 1}])
def test_new_places_lead_back_to_old_ones(face, given):
    after, shift = field(face, **given)
    # Away from the lips' line, along which there are two answers.
    chosen = [*names.RIGHT_BROW, *names.LEFT_BROW, *names.NOSE, names.CHIN, 17, 0, names.RIGHT_CHEEK]
    off = at(shift, after[chosen]) + after[chosen] - face.points[chosen]
    assert np.abs(off).max() < 0.012 * face.size


def test_the_border_does_not_move(face):
    _, shift = field(face, turn_x=1, mouth_open=1, brows=1)
    for edge in (shift[:, 0], shift[:, -1], shift[:, :, 0], shift[:, :, -1]):
        assert np.abs(edge).max() == 0


def test_lips_part_along_their_line(face):
    after, shift = field(face, mouth_open=1)
    upper, lower = after[13].astype(np.float64), after[14].astype(np.float64)
    above, below = at(shift, np.add([upper, lower], [[0, -2], [0, 2]]))[:, 1]
    assert abs(above) < 0.03 * face.size
    assert below < -0.08 * face.size


@pytest.mark.parametrize("more", [{}, {"brows": 1, "frown": -1, "gaze_y": -1, "turn_x": 1, "turn_y": 1}])
def test_of_a_lid_that_closes_only_skin_is_seen(face, more):
    """Between its fold and its edge, pixels come from no further down than the edge."""
    after, shift = field(face, eyes_open=-1, **more)
    for lid, fold in (
        (names.RIGHT_UPPER_LID, names.RIGHT_UPPER_FOLD),
        (names.LEFT_UPPER_LID, names.LEFT_UPPER_FOLD),
    ):
        for edge, top in zip(lid[3:-3], fold[3:-3], strict=True):
            places = after[top] + (after[edge] - after[top]) * np.linspace(0, 0.85, 12)[:, None]
            come_from = at(shift, places)[:, 1] + places[:, 1]
            assert come_from.max() < face.points[edge, 1] + 0.012 * face.size


def test_it_is_smooth_but_for_the_lines(face):
    _, shift = field(face, turn_x=1, brows=1)
    steps = max(np.abs(np.diff(shift, axis=axis)).max() for axis in (1, 2))
    # A pixel's neighbour comes from beside it, not from elsewhere.
    assert steps < 1
