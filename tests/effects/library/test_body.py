"""A body's parts change as asked, found again in the result; the background stays exactly where it is."""

import numpy as np
import pytest
import torch
from skimage import data

from effects import registry
from effects.errors import NoPerson
from effects.runner import Runner


@pytest.fixture(scope="module")
def runner():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield Runner(registry.find("body")())
    torch.set_num_threads(before)


def frame(picture):
    return torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1)[None]


def changed(runner, picture, **given):
    return runner(frame(picture), registry.parameters("body", given))[0].permute(1, 2, 0).numpy()


def test_neutral_parameters_keep_the_picture_and_look_for_nobody(runner):
    coffee = data.coffee()
    assert np.array_equal(changed(runner, coffee), coffee)


def test_without_a_person_it_is_refused_or_left(runner):
    with pytest.raises(NoPerson):
        changed(runner, data.coffee(), waist=-1)
    assert np.array_equal(changed(runner, data.coffee(), waist=-1, missing="ignore"), data.coffee())


def test_far_from_the_person_nothing_changes(runner):
    picture = data.astronaut()
    result = changed(runner, picture, head=1)
    assert np.array_equal(result[:, 400:], picture[:, 400:])
    assert not np.array_equal(result[:200, 150:300], picture[:200, 150:300])
