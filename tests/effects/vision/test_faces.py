"""Faces are found whatever their size, light and place, and their points move with the picture."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data

from mayfly.effects.vision import face_points as names
from tests.effects.vision import pictures

# Where the astronaut's features are, read off the picture by eye: within 4 pixels.
SEEN = {
    names.RIGHT_PUPIL: (204, 101),
    names.LEFT_PUPIL: (247, 104),
    names.RIGHT_MOUTH_CORNER: (202, 140),
    names.LEFT_MOUTH_CORNER: (245, 141),
    names.CHIN: (222, 178),
}


@pytest.fixture(scope="module")
def portrait(finder):
    return finder.faces(pictures.frame(pictures.astronaut()))[0]


def distance(points, others):
    return np.linalg.norm(points - others, axis=1)


def test_a_portrait(finder, portrait):
    assert len(finder.faces(pictures.frame(pictures.astronaut()))) == 1
    assert portrait.points.shape == (478, 2) and portrait.depth.shape == (478,)
    assert portrait.points.dtype == portrait.depth.dtype == np.float32
    assert 0.5 < portrait.score <= 1 and portrait.number == 1
    for index, place in SEEN.items():
        assert np.hypot(*(portrait.points[index] - place)) < 4, index
    left, top, right, bottom = portrait.box
    assert (portrait.points.min(0) == (left, top)).all() and (portrait.points.max(0) == (right, bottom)).all()
    assert portrait.depth[names.NOSE_TIP] < portrait.depth[list(names.FACE_OVAL)].min(), "the nose is nearest"


def test_the_sample_of_the_demo(finder):
    path = Path(__file__).parents[3] / "mayfly" / "samples" / "portrait.jpg"
    with Image.open(path) as image:
        found = finder.faces(pictures.frame(np.array(image.convert("RGB"))))
    assert len(found) == 1


@pytest.mark.parametrize("factor", [0.3, 0.5, 2, 3])
def test_points_grow_with_the_picture(finder, portrait, factor):
    found = finder.faces(pictures.frame(pictures.scaled(pictures.astronaut(), factor)))
    assert len(found) == 1
    assert distance(found[0].points / factor, portrait.points).mean() < 0.02 * portrait.size


def test_a_flip_flips_the_points_and_swaps_left_and_right(finder, portrait):
    flipped = finder.faces(pictures.frame(pictures.astronaut()[:, ::-1]))[0]
    back = flipped.points * (-1, 1) + (512, 0)
    for name in [name for name in dir(names) if name.startswith("RIGHT_")]:
        right, left = (np.atleast_1d(getattr(names, side)) for side in (name, name.replace("RIGHT", "LEFT")))
        if name == "RIGHT_IRIS":
            # Its rim is named by directions in the picture.
            left = left[[0, 3, 2, 1, 4]]
        assert distance(back[left], portrait.points[right]).max() < 0.04 * portrait.size, name
    assert distance(back[list(names.OUTER_LIPS)].mean(0)[None], portrait.points[list(names.OUTER_LIPS)].mean(0)) < 2


@pytest.mark.parametrize("light", ["dark", "bright", "grey", "noise"])
def test_light_hardly_moves_the_points(finder, portrait, light):
    picture = pictures.astronaut().astype(np.float64)
    if light == "dark":
        picture *= 0.25
    elif light == "bright":
        picture = picture * 0.6 + 100
    elif light == "grey":
        picture[:] = picture.mean(2, keepdims=True)
    else:
        picture += np.random.default_rng(0).normal(0, 15, picture.shape)
    found = finder.faces(pictures.frame(picture.clip(0, 255).astype(np.uint8)))
    assert len(found) == 1
    assert distance(found[0].points, portrait.points).mean() < 0.03 * portrait.size


def test_a_turned_head(finder, portrait):
    import cv2

    for degrees in (-35, 35):
        matrix = cv2.getRotationMatrix2D((225, 120), degrees, 1)
        turned = cv2.warpAffine(pictures.astronaut(), matrix, (512, 512), borderMode=cv2.BORDER_REPLICATE)
        found = finder.faces(pictures.frame(turned))
        assert len(found) == 1
        expected = portrait.points @ matrix[:, :2].T + matrix[:, 2]
        assert distance(found[0].points, expected).mean() < 0.03 * portrait.size


def test_crops_with_the_face_at_an_edge(finder, portrait):
    for left, top, right, bottom in ((150, 40, 300, 200), (170, 0, 420, 512), (0, 60, 300, 260)):
        found = finder.faces(pictures.frame(pictures.astronaut()[top:bottom, left:right]))
        assert len(found) == 1
        assert distance(found[0].points + np.array([left, top]), portrait.points).mean() < 0.03 * portrait.size


def test_faces_come_from_the_largest_to_the_smallest(finder):
    canvas = pictures.pasted((160, 1000, 40), (420, 500, 250), (260, 60, 60))
    found = finder.faces(pictures.frame(canvas))
    assert [face.number for face in found] == [1, 2, 3]
    for face, (side, left, top) in zip(found, ((420, 500, 250), (260, 60, 60), (160, 1000, 40)), strict=True):
        centre = np.array([left + side * 225 / 512, top + side * 122 / 512])
        assert np.hypot(*(face.points.mean(0) - centre)) < 0.03 * side
    assert [face.box for face in finder.faces(pictures.frame(canvas), 2)] == [face.box for face in found[:2]]


def test_two_faces_side_by_side_are_two(finder):
    face = pictures.astronaut()[40:200, 150:300]
    found = finder.faces(pictures.frame(np.concatenate([face, pictures.scaled(face, 1)[:, ::-1], face], 1)))
    assert len(found) == 3
    assert sorted(round(one.points[names.NOSE_TIP][0] / 150 - 0.5) for one in found) == [0, 1, 2]


@pytest.mark.parametrize(("side", "width", "height"), [(110, 640, 480), (200, 1920, 1080), (400, 3840, 2160)])
def test_a_small_face_in_a_large_picture(finder, side, width, height):
    canvas = pictures.pasted((side, width // 3, height // 2), width=width, height=height)
    found = finder.faces(pictures.frame(canvas))
    assert len(found) == 1
    centre = np.array([width // 3 + side * 225 / 512, height // 2 + side * 122 / 512])
    assert np.hypot(*(found[0].points.mean(0) - centre)) < 0.03 * side


@pytest.mark.parametrize("size", [(2000, 300), (300, 2000)])
def test_a_long_strip(finder, size):
    canvas = pictures.resized(data.coffee(), *size)
    canvas[:250, :250] = pictures.resized(pictures.astronaut(), 250, 250)
    assert len(finder.faces(pictures.frame(canvas))) == 1


@pytest.mark.parametrize(
    "name", ["coffee", "chelsea", "rocket", "brick", "moon", "page", "retina", "hubble_deep_field"]
)
def test_no_face_where_there_is_none(finder, name):
    picture = getattr(data, name)()
    if picture.ndim == 2:
        picture = np.stack([picture] * 3, 2)
    assert finder.faces(pictures.frame(picture)) == []


@pytest.mark.parametrize("size", [(1, 1), (2, 31), (31, 31), (1, 4000), (32, 32), (33, 3000), (5000, 32), (40, 90)])
@pytest.mark.parametrize("level", [0, 255])
def test_tiny_and_odd_frames_hold_no_face(finder, size, level):
    assert finder.faces(torch.full((3, *size), level, dtype=torch.uint8)) == []
    noise = torch.rand(3, *size, generator=torch.Generator().manual_seed(1))
    assert finder.faces(noise) == []


def test_floats_and_bytes_are_the_same(finder, portrait):
    values = pictures.frame(pictures.astronaut()).to(torch.float32) / 255
    assert (finder.faces(values)[0].points == portrait.points).all()
