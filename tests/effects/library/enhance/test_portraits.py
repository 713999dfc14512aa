"""Faces are cut out upright, given to a network and put back: only there, without a seam, where they were."""

import numpy as np
import pytest
import torch
from skimage import data

from mayfly.effects.library.enhance import portraits
from mayfly.effects.vision import face_points
from mayfly.effects.vision.finder import Finder


@pytest.fixture(scope="module")
def frame():
    return torch.from_numpy(data.astronaut()).permute(2, 0, 1)[None].float() / 255


@pytest.fixture(scope="module")
def faces(frame):
    return Finder().faces(frame[0])


def test_alignment_puts_the_features_where_networks_want_them(faces):
    matrix = portraits.alignment(faces[0])
    points = faces[0].points[[face_points.RIGHT_PUPIL, face_points.LEFT_PUPIL, face_points.NOSE_TIP]]
    placed = points @ matrix[:, :2].T + matrix[:, 2]
    assert np.abs(placed - portraits._PLACES[:3]).max() < 30
    # A similarity: no shear, no mirror.
    linear = matrix[:, :2]
    np.testing.assert_allclose(linear @ linear.T, np.linalg.det(linear) * np.eye(2), atol=1e-6)
    assert np.linalg.det(linear) > 0


def test_the_network_gets_an_upright_face(frame, faces):
    seen = []

    def network(crop):
        seen.append(crop)
        return crop

    turned = torch.rot90(frame, 1, (2, 3))
    for given in (frame, turned):
        portraits.restored(given, Finder().faces(given[0]), network, 1.0)
    assert [crop.shape for crop in seen] == [(1, 3, 512, 512)] * 2
    assert (seen[0] - seen[1]).abs().mean() < 0.06


def test_a_network_that_changes_nothing_changes_nothing(frame, faces):
    result = portraits.restored(frame, faces, lambda crop: crop.clone(), 1.0)
    torch.testing.assert_close(result, frame)


def test_only_the_face_is_changed_and_there_is_no_seam(frame, faces):
    before = frame.clone()
    result = portraits.restored(frame, faces, lambda crop: (crop + 0.2).clamp(0, 1), 1.0)
    assert torch.equal(frame, before)
    change = (result - frame).abs().amax(1)[0]
    left, top, right, bottom = (int(side) for side in faces[0].box)
    middle = change[
        (top + bottom) // 2 - 5 : (top + bottom) // 2 + 5, (left + right) // 2 - 5 : (left + right) // 2 + 5
    ]
    assert middle.mean() > 0.15
    assert change[300:].max() == 0 and change[:, 350:].max() == 0
    # A plain change fades out over several pixels.
    grey = torch.full_like(frame, 0.5)
    smooth = (portraits.restored(grey, faces, lambda crop: crop + 0.2, 1.0) - grey)[0, 0]
    assert smooth.max() > 0.19
    assert smooth.diff(dim=1).abs().max() < 0.06


def test_amount_is_how_much_is_shown(frame, faces):
    frame = frame / 2 + 0.25  # nothing is clipped
    none, half, full = (portraits.restored(frame, faces, lambda crop: crop * 0.8, amount) for amount in (0, 0.5, 1))
    assert torch.equal(none, frame)
    torch.testing.assert_close(half, (frame + full) / 2, atol=1e-4, rtol=0)


def test_a_face_with_more_detail_than_the_network_gives_is_left_alone(frame):
    large = torch.nn.functional.interpolate(frame[..., 40:200, 140:300], size=(1500, 1500), mode="bicubic").clamp(0, 1)
    faces = Finder().faces(large[0])
    assert faces
    assert torch.equal(portraits.restored(large, faces, torch.zeros_like, 1.0), large)
