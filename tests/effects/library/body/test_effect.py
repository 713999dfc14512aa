"""A body's parts change as asked, found again in the result; the background stays exactly where it is."""

import cv2
import numpy as np
import pytest
import torch
from skimage import data

from mayfly.effects import registry
from mayfly.effects.errors import NoPerson
from mayfly.effects.runner import Runner
from tests.effects import figures, worn
from tests.effects.library.body import bodies

PARTS = ("slim", "waist", "hips", "chest", "shoulders", "arms", "legs", "head", "posture")
# On a whole figure: what is measured, and the least change at 1 and −1, as a share.
MEASURES = {
    "slim": (bodies.area, -0.06),
    "waist": (bodies.trunk_width(0.68), 0.15),
    "hips": (bodies.trunk_width(1.03), 0.12),
    "chest": (bodies.trunk_width(0.27), 0.1),
    "shoulders": (bodies.shoulders, 0.06),
    "arms": (bodies.forearm_width, 0.12),
    "legs": (bodies.legs, 0.05),
    "head": (bodies.head, 0.1),
    "posture": (bodies.neck, 0.05),
}
PERIOD, LINE = 36, 3


@pytest.fixture(scope="module")
def runner():
    return Runner(registry.find("body")())


@pytest.fixture(scope="module")
def figure():
    return figures.standing()[0]


@pytest.fixture(scope="module")
def scene():
    """A figure before a grid, and where it is."""
    return figures.standing(figures.grid(PERIOD, LINE))


def frame(picture):
    return torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1)[None]


def changed(runner, picture, **given):
    return runner(frame(picture), registry.parameters("body", given))[0].permute(1, 2, 0).numpy()


@pytest.mark.parametrize("part", PARTS)
def test_a_figures_part_changes_as_asked(runner, figure, part):
    measure, least = MEASURES[part]
    source = bodies.points(figure)
    pictures = [changed(runner, figure, **{part: amount}) for amount in (-1, -0.5, 0.5, 1)]
    found = [measure(picture, source) for picture in (*pictures[:2], figure, *pictures[2:])]
    growing = found if least > 0 else found[::-1]
    assert growing == sorted(growing)
    assert growing[-1] >= (1 + abs(least)) * found[2]
    assert growing[0] <= (1 - abs(least)) * found[2]


REAL = {
    "astronaut": worn.astronaut,
    "mirrored and small": lambda: worn.astronaut().mirrored().scaled(0.6),
    "large": lambda: worn.astronaut().scaled(1.7),
    "in the dark": lambda: worn.astronaut().darkened(0.5),
    "admiral": worn.hopper,
    "admiral, mirrored and small": lambda: worn.hopper().mirrored().scaled(0.7),
}


@pytest.mark.parametrize("who", REAL)
def test_a_real_head_changes_as_asked(runner, who):
    picture = REAL[who]().picture
    small, large = (bodies.face_width(changed(runner, picture, head=amount)) for amount in (-1, 1))
    before = bodies.face_width(picture)
    assert small < 0.92 * before < before < 0.95 * large


@pytest.mark.parametrize("who", [who for who in REAL if "admiral" not in who])
def test_a_real_chest_changes_as_asked(runner, who):
    picture = REAL[who]().picture
    source, measure = bodies.points(picture), bodies.trunk_width(0.27)
    narrow, broad = (measure(changed(runner, picture, chest=amount), source) for amount in (-1, 1))
    before = measure(picture, source)
    assert narrow < 0.95 * before < before < 0.95 * broad


@pytest.mark.parametrize("who", ["admiral", "admiral, mirrored and small"])
def test_a_real_neck_changes_with_posture(runner, who):
    picture = REAL[who]().picture
    slouching, straight = (bodies.neck(changed(runner, picture, posture=amount)) for amount in (-1, 1))
    before = bodies.neck(picture)
    assert slouching < 0.96 * before < before < 0.96 * straight


def line_shifts(picture, person):
    """How far each piece of the grid's lines is from its place, in pixels, where no person is nearby."""
    dark = np.clip((205 - picture.astype(float).mean(2)) / 135, 0, 1)
    shifts, where = [], []
    for turned, offset, other in ((False, 11, 7), (True, 7, 11)):
        plane, covered = (dark.T, person.T) if turned else (dark, person)
        for start in range(PERIOD - offset, plane.shape[1] - LINE - 9, PERIOD):
            if start < 9:
                continue
            window = plane[:, start - 9 : start + LINE + 9]
            phase = (np.arange(len(plane)) + other) % PERIOD
            rows = np.flatnonzero(
                (phase > LINE) & (phase < PERIOD - 1) & ~covered[:, start - 9 : start + LINE + 9].any(1)
            )
            total = window[rows].sum(1)
            centre = (window[rows] @ np.arange(LINE + 18)) / np.maximum(total, 1e-6)
            # A line that is gone counts as far away.
            shifts.append(np.where(total > 1, np.abs(centre - (8.5 + LINE / 2)), 9))
            where.append(np.stack([np.full(len(rows), start + 1), rows][:: -1 if turned else 1], -1))
    return np.concatenate(shifts), np.concatenate(where)


@pytest.mark.parametrize("amount", [-1, 1])
@pytest.mark.parametrize("part", PARTS)
def test_lines_of_the_background_stay_straight(runner, scene, part, amount):
    picture, cover = scene
    result = changed(runner, picture, **{part: amount})
    grow = np.ones((13, 13), np.uint8)
    now = cv2.dilate((bodies.mask(result) > 0.1).astype(np.uint8), grow) > 0
    shifts, places = line_shifts(result, now)
    uncovered = cv2.dilate((cover > 0.02).astype(np.uint8), grow) > 0
    in_margin = uncovered[places[:, 1], places[:, 0]]
    assert len(shifts) > 8000
    assert shifts[~in_margin].max() <= 1
    # What is filled in continues them; now and then a piece at a corner is missing.
    assert (shifts[in_margin] > 1).sum() <= 0.02 * in_margin.sum()


def test_feet_and_head_stay_in_the_picture(runner, figure):
    """Longer legs need room that this figure has not: it is made smaller, with its feet where they were."""
    before, after = (bodies.mask(picture) > 0.5 for picture in (figure, changed(runner, figure, legs=1)))
    ends = [np.flatnonzero(mask.any(1))[[0, -1]] for mask in (before, after)]
    assert ends[1][0] > 0
    assert abs(int(ends[0][1]) - int(ends[1][1])) <= 6


@pytest.mark.parametrize("part", ["legs", "hips", "waist"])
def test_what_is_out_of_view_does_nothing(runner, part):
    picture = worn.hopper().picture
    assert np.array_equal(changed(runner, picture, **{part: -1}), picture)


def test_far_from_the_person_nothing_changes(runner):
    picture = data.astronaut()
    result = changed(runner, picture, head=1)
    assert np.array_equal(result[:, 400:], picture[:, 400:])
    assert not np.array_equal(result[:200, 150:300], picture[:200, 150:300])


def test_neutral_parameters_keep_the_picture_and_look_for_nobody(runner):
    coffee = data.coffee()
    assert np.array_equal(changed(runner, coffee), coffee)


def test_without_a_person_it_is_refused_or_left(runner):
    with pytest.raises(NoPerson):
        changed(runner, data.coffee(), waist=-1)
    assert np.array_equal(changed(runner, data.coffee(), waist=-1, missing="ignore"), data.coffee())


def test_a_batch_is_its_pictures(runner):
    pictures = torch.cat([frame(worn.astronaut().picture), frame(worn.astronaut().mirrored().picture)])
    params = registry.parameters("body", {"slim": 1, "head": -0.5})
    singles = torch.cat([runner(picture[None], params) for picture in pictures])
    assert torch.equal(runner(pictures, params), singles)


def test_grey_pictures_work(runner):
    camera = np.repeat(data.camera()[..., None], 3, -1)
    result = changed(runner, camera, slim=1)
    assert np.array_equal(result[..., 0], result[..., 1]) or np.ptp(result.astype(int), axis=-1).max() <= 1
    assert not np.array_equal(result, camera)


def test_in_a_video_the_change_flickers_less_than_in_pictures(runner, scene):
    picture = cv2.resize(scene[0], None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    noise = np.random.default_rng(5)
    frames = [np.clip(picture + noise.normal(0, 6, picture.shape), 0, 255).astype(np.uint8) for _ in range(10)]
    video = torch.cat([frame(each) for each in frames])
    params = registry.parameters("body", {"slim": 1, "legs": -1})

    def flicker(result):
        change = (result.float() - video.float()).abs().mean(1)
        return (change[4:] - change[3:-1]).abs().mean()

    assert flicker(runner.video(params)(video)) < 0.9 * flicker(runner(video, params))


def test_a_video_goes_on_when_the_person_leaves(runner):
    person = frame(worn.astronaut().scaled(0.5).picture)
    empty = torch.full_like(person, 90)
    video = runner.video(registry.parameters("body", {"slim": 1}))
    video(person)
    for _ in range(6):
        last = video(empty)
    assert torch.equal(last, empty)
