"""Whole silhouettes: who is seen, who is only guessed at, and how small pictures get."""

import numpy as np
import pytest
from skimage import data

from mayfly.effects.vision import silhouettes
from tests.effects.composites import composite
from tests.effects.vision import pictures


@pytest.fixture(scope="module")
def found():
    return silhouettes.Silhouettes()


def test_people_are_where_they_are_and_the_same_each_time(found):
    made = composite("admiral", "rocket", scale=0.6, canvas=(640, 480))
    picture = silhouettes.reduced(made.picture.transpose(2, 0, 1).copy())
    mask = found.find(picture)
    assert mask.shape == picture.shape[:2] and mask.dtype == np.float32
    assert mask.min() >= 0 and mask.max() <= 1
    alpha = pictures.resized(made.alpha, picture.shape[1], picture.shape[0])
    assert np.abs(mask - alpha).mean() < 0.05
    found.find(silhouettes.reduced(data.coffee().transpose(2, 0, 1).copy()))
    assert (found.find(picture) == mask).all()


@pytest.mark.parametrize("name", ["coffee", "chelsea", "rocket", "brick"])
def test_things_are_nobody(found, name):
    picture = getattr(data, name)()
    picture = np.repeat(picture[..., None], 3, 2) if picture.ndim == 2 else picture
    mask = found.find(silhouettes.reduced(picture.transpose(2, 0, 1).copy()))
    assert mask is None or (mask > 0.5).mean() < 0.02


@pytest.mark.parametrize("size", [(1, 1), (31, 400), (5000, 3), (1300, 700)])
def test_a_reduced_picture_has_at_most_so_many_pixels(found, size):
    planes = np.random.default_rng(1).integers(0, 256, (3, *size), np.uint8)
    picture = silhouettes.reduced(planes)
    assert picture.shape[2] == 3 and max(picture.shape[:2]) <= max(512, 1)
    assert abs(picture.mean() - planes.mean()) < 8
    if min(picture.shape[:2]) < 32:
        assert found.find(picture) is None


class OneSmallBodyAndALargeBack(pictures.Faceless):
    """Of a wide picture a body to the left is known; the mask of the whole shows only what is on the right."""

    def __init__(self, doubt):
        super().__init__(60, 60, 90, 180)
        self.doubt = doubt

    def person(self, picture):
        if picture.shape != (240, 480, 3):
            return np.ones(picture.shape[:2], np.float32)
        mask = np.zeros(picture.shape[:2], np.float32)
        mask[40:, 300:400] = 1 - self.doubt
        return mask


@pytest.mark.parametrize(("doubt", "is_believed"), [(0.0, True), (0.2, False)])
def test_who_is_seen_surely_is_found_beside_somebody_with_a_body(doubt, is_believed):
    mask = silhouettes.Silhouettes(OneSmallBodyAndALargeBack(doubt)).find(np.zeros((240, 480, 3), np.uint8))
    assert mask[100, 75] == 1
    assert (mask[100, 350] > 0.5) == is_believed
    assert mask[100, 230] == 0
