"""Warps move what they should, smoothly, and nothing out of reach."""

import pytest
import torch

from mayfly.effects.library.retouch import face_warp
from mayfly.effects.vision.finder import Finder
from tests.effects import portraits
from tests.effects.vision import pictures


@pytest.fixture(scope="module")
def portrait():
    frame = pictures.frame(portraits.astronaut())
    return Finder().faces(frame)[0], frame[None].float() / 255


def ramps(height=512, width=512):
    """Each pixel's own place, 0…1, as a picture: what a warp does to it is the warp."""
    across = ((torch.arange(width) + 0.5) / width).expand(height, width)
    down = ((torch.arange(height) + 0.5) / height).view(-1, 1).expand(height, width)
    return torch.stack([across, down, torch.zeros(height, width)])[None]


@pytest.mark.parametrize("given", [(1, 0), (-1, 0), (0, 1), (0, -1), (1, 1)])
def test_nothing_folds_and_nothing_far_moves(portrait, given):
    face, _ = portrait
    places = ramps()
    moved = face_warp.warped(places, face, corner=(0, 0), slim=given[0], eye_size=given[1])
    assert float(moved[0, 0].diff(dim=1).min()) > 0.2 / 512 and float(moved[0, 1].diff(dim=0).min()) > 0.2 / 512
    left, top, right, bottom = (round(side) for side in face_warp.reach(face))
    outside = torch.ones(512, 512, dtype=torch.bool)
    outside[max(0, top) : bottom, max(0, left) : right] = False
    assert torch.equal(moved[..., outside], places[..., outside])
    assert float((moved - places).abs().max()) * 512 > 1


def test_a_part_is_warped_as_the_whole(portrait):
    face, frame = portrait
    left, top, right, bottom = (max(0, round(side)) for side in face_warp.reach(face))
    whole = face_warp.warped(frame, face, corner=(0, 0), slim=1, eye_size=1)
    part = face_warp.warped(frame[..., top:bottom, left:right], face, corner=(left, top), slim=1, eye_size=1)
    assert (whole[..., top:bottom, left:right] - part).abs().max() < 2e-3


def test_nothing_asked_is_nothing_done(portrait):
    face, frame = portrait
    assert torch.equal(face_warp.warped(frame, face, corner=(0, 0), slim=0, eye_size=0), frame)
