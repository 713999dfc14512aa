"""Skin is found by this face's own colour, whatever that is."""

import numpy as np
import pytest
import torch

from mayfly.effects.shared import colour, face_masks, skin
from mayfly.effects.vision.finder import Finder
from tests.effects import portraits
from tests.effects.vision import pictures


@pytest.fixture(scope="module")
def finder():
    return Finder()


def found(picture, face):
    """(H, W) in 0…1."""
    frame = pictures.frame(picture)[None].float() / 255
    grid = face_masks.grid(face, frame, margin=0.25, unit=224)
    left, top, right, bottom = grid.box
    part = torch.nn.functional.interpolate(frame[..., top:bottom, left:right], grid.size, mode="bilinear")
    mask = skin.find(colour.srgb_to_oklab(part), grid)
    assert float(mask.min()) >= 0 and float(mask.max()) <= 1
    result = np.zeros(picture.shape[:2], np.float32)
    result[top:bottom, left:right] = torch.nn.functional.interpolate(mask, (bottom - top, right - left))[0, 0]
    return result


@pytest.mark.parametrize("gains", [(1, 1, 1), (0.3, 0.3, 0.3), (0.35, 0.22, 0.15), (1, 0.75, 0.5)])
@pytest.mark.parametrize("portrait", [portraits.astronaut, portraits.admiral])
def test_skin_is_found_and_nothing_else(finder, portrait, gains):
    picture = portraits.toned(portrait(), gains)
    face = finder.faces(pictures.frame(picture))[0]
    mask, parts = found(picture, face), portraits.parts(picture, face)
    assert mask[parts.pop("skin")].mean() > 0.8
    for name, part in parts.items():
        assert mask[part].mean() < 0.02, name
    if portrait is portraits.astronaut:
        assert mask[portraits.hair(picture)].mean() < 0.1


def test_ears_and_neck_are_skin_and_the_wall_is_none(finder):
    picture = portraits.astronaut()
    mask = found(picture, finder.faces(pictures.frame(picture))[0])
    # The lit side of her neck, her right ear, and the wall beside them.
    assert mask[172:182, 194:208].mean() > 0.5
    assert mask[120:128, 172:178].mean() > 0.5
    assert mask[135:160, 140:165].mean() < 0.02


def test_less_light_changes_lightness_only():
    bright = torch.tensor([0.8, 0.5, 0.4]).view(1, 3, 1, 1)
    dark = colour.linear_to_srgb(colour.srgb_to_linear(bright) * 0.3)
    one, other = (skin.colours(colour.srgb_to_oklab(given)) for given in (bright, dark))
    assert torch.allclose(one[:, 1:], other[:, 1:], atol=1e-3)
    assert float(other[:, 0]) < 0.75 * float(one[:, 0])
