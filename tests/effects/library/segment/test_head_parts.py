import numpy as np
import pytest
import torch

from mayfly.effects.library.segment import head_parts
from mayfly.effects.vision import face_points as names
from mayfly.effects.vision.finder import Finder
from tests.effects import worn
from tests.effects.vision import pictures


@pytest.fixture(scope="module")
def portrait():
    person = worn.astronaut()
    frame = pictures.frame(person.picture)
    finder = Finder()
    return person, frame.to(torch.float32) / 255, finder.faces(frame)[0], finder.person(frame)


def test_hair_is_above_and_beside_the_face(portrait):
    person, frame, face, mask = portrait
    hair = head_parts.rough_hair(frame, face, mask)[0].numpy()
    assert set(np.unique(hair)) <= {0, 1}
    assert hair[person.hair].mean() > 0.9
    assert hair[person.background].mean() < 0.01 and hair[person.garment].mean() == 0


def test_nobody_there_has_no_hair(portrait):
    _, frame, face, mask = portrait
    assert head_parts.rough_hair(frame, face, torch.zeros_like(mask)).sum() == 0


def test_a_face_and_its_skin(portrait):
    person, frame, face, _ = portrait
    inside, skin = head_parts.face_mask(frame, face)[0], head_parts.skin_mask(frame, face)[0]
    x, y = np.round(face.points[names.NOSE_TIP]).astype(int)
    assert inside[y, x] == 1 and skin[y, x] > 0.8
    x, y = np.round(face.points[names.RIGHT_PUPIL]).astype(int)
    assert inside[y, x] == 1 and skin[y, x] < 0.2
    assert inside[person.background].max() == 0 and skin[person.garment].max() < 0.05


def test_a_scaled_face_is_in_a_scaled_picture(portrait):
    face = portrait[2]
    small = head_parts.scaled(face, 0.5)
    assert np.abs(small.points * 2 - face.points).max() < 1e-3
    assert small.size == pytest.approx(face.size / 2)
    assert small.number == face.number
