"""A cut is told from motion, light and noise."""

import numpy as np
import pytest
import torch
from skimage import data

from mayfly.effects.vision import scene_cuts
from tests.effects.vision import pictures


def is_cut(before, after):
    return scene_cuts.is_cut(scene_cuts.thumbnail(before), scene_cuts.thumbnail(after))


def test_other_pictures_are_cuts():
    given = [
        pictures.frame(pictures.resized(getattr(data, name)(), 320, 240))
        for name in ("astronaut", "coffee", "rocket", "chelsea")
    ]
    for index, one in enumerate(given):
        for other in given[:index]:
            assert is_cut(one, other) and is_cut(other, one)


@pytest.mark.parametrize("change", ["shift", "dark", "flash", "noise", "zoom"])
def test_what_happens_within_a_scene_is_no_cut(change):
    picture = pictures.astronaut()
    values = picture.astype(np.float64)
    other = {
        "shift": lambda: pictures.shifted(picture, 25),
        "dark": lambda: values * 0.4,
        "flash": lambda: values * 0.5 + 127,
        "noise": lambda: values + np.random.default_rng(0).normal(0, 30, values.shape),
        "zoom": lambda: pictures.resized(picture[20:-20, 20:-20], 512, 512),
    }[change]()
    assert not is_cut(pictures.frame(picture), pictures.frame(np.clip(other, 0, 255).astype(np.uint8)))


def test_noise_in_the_dark_is_no_cut():
    dark = [torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(seed)) * 0.05 for seed in (0, 1)]
    assert not is_cut(*dark)
    assert not is_cut(torch.zeros(3, 8, 8), torch.zeros(3, 8, 8))


def test_bytes_and_floats_make_the_same_thumbnail():
    frame = pictures.frame(pictures.astronaut())
    assert torch.allclose(scene_cuts.thumbnail(frame), scene_cuts.thumbnail(frame.to(torch.float32) / 255), atol=1e-5)
    assert scene_cuts.thumbnail(frame).shape == (3, 24, 24)
