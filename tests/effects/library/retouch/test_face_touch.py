"""Each correction is nothing at 0, keeps to its own place, and takes faces that lie partly outside."""

import numpy as np
import pytest
import torch

from mayfly.effects.library.retouch import face_touch
from mayfly.effects.shared import colour, face_masks, skin
from mayfly.effects.vision.finder import Finder
from mayfly.effects.vision.types import Face
from tests.effects import portraits
from tests.effects.vision import pictures

ALONE = [face_touch.teeth, face_touch.eyes, face_touch.lips]
WITH_SKIN = [face_touch.under_eyes, face_touch.light]


@pytest.fixture(scope="module")
def face():
    return Finder().faces(pictures.frame(portraits.close_up(400)))[0]


def prepared(face):
    """OKLab, skin and grid of the astronaut's head."""
    frame = pictures.frame(portraits.close_up(400))[None].float() / 255
    grid = face_masks.grid(face, frame, margin=0.25, unit=1000)
    left, top, right, bottom = grid.box
    lab = colour.srgb_to_oklab(frame[..., top:bottom, left:right].contiguous())
    return lab, skin.find(lab, grid), grid


def touched(correction, lab, mask, grid, amount):
    return correction(lab, mask, grid, amount) if correction in WITH_SKIN else correction(lab, grid, amount)


@pytest.mark.parametrize("correction", ALONE + WITH_SKIN)
def test_nothing_at_0_and_more_with_more(face, correction):
    lab, mask, grid = prepared(face)
    copy = lab.clone()
    none, half, all_of_it = (touched(correction, lab, mask, grid, amount) for amount in (0.0, 0.5, 1.0))
    assert torch.equal(lab, copy)
    assert (none - lab).abs().max() < 1e-5
    assert 0 < (half - lab).abs().mean() < (all_of_it - lab).abs().mean()


@pytest.mark.parametrize("correction", ALONE + WITH_SKIN)
def test_a_face_that_is_cut_by_the_border_is_taken(face, correction):
    moved = face.points - np.array([190, 150], np.float32)
    (left, top), (right, bottom) = moved.min(0), moved.max(0)
    cut = Face(points=moved, depth=face.depth, box=(left, top, right, bottom), score=1.0)
    frame = pictures.frame(portraits.close_up(400)[150:, 190:])[None].float() / 255
    grid = face_masks.grid(cut, frame, margin=0.25, unit=1000)
    near, above, far, below = grid.box
    lab = colour.srgb_to_oklab(frame[..., above:below, near:far].contiguous())
    result = touched(correction, lab, skin.find(lab, grid), grid, 1.0)
    assert result.shape == lab.shape and torch.isfinite(result).all()


def test_more_light_never_leaves_white_behind():
    white = torch.tensor([0.99, 0.0, 0.0]).view(1, 3, 1, 1)
    dark = torch.tensor([0.4, 0.05, 0.05]).view(1, 3, 1, 1)
    more = torch.full((1, 1, 1, 1), 0.2)
    assert float(face_touch.brightened(white, more)[0, 0]) <= 1.0
    assert float(face_touch.brightened(dark, more)[0, 0]) == pytest.approx(0.6, abs=1e-5)
