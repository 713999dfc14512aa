import dataclasses

import numpy as np
import pytest
import torch

from mayfly.effects.library.expression import expressions, muscles
from mayfly.effects.vision.finder import Finder
from tests.effects.vision import pictures

MUCH = muscles.Expression(smile=1, mouth_open=1, eyes_open=-1, turn_x=1, brows=1)


@pytest.fixture(scope="module")
def portrait():
    frame = pictures.frame(pictures.astronaut())
    return frame[None].to(torch.float32) / 255, Finder().faces(frame)[0]


def shifted(face, x, y):
    left, top, right, bottom = face.box
    points = face.points + np.array([x, y], np.float32)
    return dataclasses.replace(face, points=points, box=(left + x, top + y, right + x, bottom + y))


def test_it_is_the_same_wherever_the_face_is(portrait):
    frame, face = portrait
    one, other = frame.clone(), torch.roll(frame, (40, 30), (2, 3)).contiguous()
    expressions.change(one, face, MUCH)
    expressions.change(other, shifted(face, 30, 40), MUCH)
    assert (torch.roll(one, (40, 30), (2, 3)) - other)[..., 120:, 150:].abs().max() < 0.02


@pytest.mark.parametrize("place", [(-230, 0), (0, -120), (260, 0), (0, 370), (-2000, 0)])
def test_a_face_that_leaves_the_picture_is_no_accident(portrait, place):
    frame, face = portrait
    changed = frame.clone()
    expressions.change(changed, shifted(face, *place), MUCH)
    assert torch.isfinite(changed).all()
    assert changed.min() >= 0 and changed.max() <= 1
    if place[0] == -2000:
        assert torch.equal(changed, frame)
