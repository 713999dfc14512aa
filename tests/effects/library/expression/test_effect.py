"""What is asked is found again in the result: by MediaPipe, or by following the picture itself where it is blind."""

import cv2
import numpy as np
import pytest
import torch
from skimage import data

from mayfly.effects import registry
from mayfly.effects.errors import NoFace
from mayfly.effects.library.expression import ExpressionParameters, face_field, muscles
from mayfly.effects.runner import Runner
from mayfly.effects.vision import face_points
from mayfly.effects.vision.finder import Finder
from tests.effects import portraits
from tests.effects.library.expression import eye_motion, grimaces
from tests.effects.vision import pictures

AMOUNTS = (-1.0, -0.5, 0.5, 1.0)
# The least share of what is asked that is found again, without glasses before eyes and brows. Wanted is 0.6; where it
# is less here, MediaPipe's points move less than the picture does (docs/effects.md has the figures; irises and lids are
# followed in the picture further below); a turn, found at 0.61 at least, is left a margin for other processors.
BY_MEDIAPIPE = {"smile": 0.6, "mouth_open": 0.6, "turn_x": 0.55, "turn_y": 0.45, "gaze_x": 0.35, "eyes_open": 0.25}
BY_FLOW = {"smile": 0.6, "frown": 0.6, "brows": 0.6, "turn_x": 0.6, "turn_y": 0.6, "gaze_x": 0.5}
UPPER_LIDS = (face_points.RIGHT_UPPER_LID, face_points.LEFT_UPPER_LID)
LOWER_LIDS = (face_points.RIGHT_LOWER_LID, face_points.LEFT_LOWER_LID)

PEOPLE = {
    "astronaut": portraits.astronaut,
    "close": lambda: portraits.close_up(700),
    "dark and mirrored": lambda: (portraits.close_up(512)[:, ::-1] * 0.5).astype(np.uint8),
    "talking": lambda: pictures.talking(0),
    "talking, later": lambda: pictures.talking(20),
    "talking, later still": lambda: pictures.talking(100),
}


@pytest.fixture(scope="module")
def runner():
    return Runner(registry.find("expression")())


@pytest.fixture(scope="module")
def finder():
    return Finder()


def expressed(runner, picture, **given):
    return runner(pictures.frame(picture)[None], ExpressionParameters(**given))[0].permute(1, 2, 0).numpy()


def face_of(finder, picture):
    return finder.faces(pictures.frame(picture))[0]


def followed(face, before, after):
    """Where the face's points went, by the optical flow between two pictures (Lucas and Kanade)."""
    grey = [cv2.cvtColor(np.ascontiguousarray(picture), cv2.COLOR_RGB2GRAY) for picture in (before, after)]
    window = max(7, int(0.09 * face.size) | 1)
    start = (face.points - 0.5).reshape(-1, 1, 2)
    found, _, _ = cv2.calcOpticalFlowPyrLK(*grey, start, None, winSize=(window, window), maxLevel=3)
    return found[:, 0] + 0.5


@pytest.mark.parametrize("motion", sorted(BY_MEDIAPIPE | BY_FLOW))
@pytest.mark.parametrize("who", [*PEOPLE, "with glasses"])
def test_what_is_asked_is_found_again(runner, finder, who, motion):
    if who == "with glasses" and motion not in ("smile", "mouth_open", "turn_x", "turn_y"):
        # Frames and reflections lie before eyes and brows, and move with them.
        return
    picture = portraits.admiral() if who == "with glasses" else PEOPLE[who]()
    face, measure = face_of(finder, picture), getattr(grimaces, motion)
    by_mediapipe, by_flow = [], []
    for amount in AMOUNTS:
        shown = expressed(runner, picture, **{motion: amount})
        asked = measure(muscles.moved(face, muscles.Expression(**{motion: amount}))) - measure(face.points)
        assert asked * amount > 0
        if motion in BY_MEDIAPIPE:
            by_mediapipe.append(measure(face_of(finder, shown).points) - measure(face.points))
            assert by_mediapipe[-1] / asked >= BY_MEDIAPIPE[motion]
        if motion in BY_FLOW:
            by_flow.append(measure(followed(face, picture, shown)) - measure(face.points))
            assert by_flow[-1] / asked >= BY_FLOW[motion]
    for found in (by_mediapipe, by_flow):
        growing = [*found[:2], 0.0, *found[2:]] if found else []
        assert growing == sorted(growing)


@pytest.mark.parametrize("who", PEOPLE)
def test_eyes_close(runner, finder, who):
    picture = PEOPLE[who]()
    face = face_of(finder, picture)
    shown = expressed(runner, picture, eyes_open=-1)
    assert grimaces.eyes_open(face_of(finder, shown).points) < 0.7 * grimaces.eyes_open(face.points)


@pytest.mark.parametrize("more", [{}, {"gaze_y": -1}, {"brows": 1, "gaze_y": -1, "frown": -1}, {"gaze_x": 1}])
def test_of_a_closed_eye_no_iris_is_seen(runner, finder, more):
    picture = portraits.close_up(700)
    face = face_of(finder, picture)
    shown = expressed(runner, picture, eyes_open=-1, **more)
    for iris in (face_points.RIGHT_PUPIL, face_points.LEFT_PUPIL):
        x, y = np.round(face.points[iris] - 0.5).astype(int)
        window = (slice(y - 3, y + 4), slice(x - 3, x + 4))
        x, y = np.round(face.points[face_points.RIGHT_CHEEK] - 0.5).astype(int)
        skin = picture[y, x].mean()
        assert picture[window].mean() < 0.5 * skin < 0.75 * skin < shown[window].mean()


@pytest.mark.parametrize("motion", ["gaze_x", "gaze_y"])
@pytest.mark.parametrize("who", PEOPLE)
def test_irises_go_where_they_are_asked_to(runner, finder, who, motion):
    picture = PEOPLE[who]()
    face, axis = face_of(finder, picture), ("gaze_x", "gaze_y").index(motion)
    found = []
    for amount in AMOUNTS:
        points = muscles.moved(face, muscles.Expression(**{motion: amount}))
        moved = (points - face.points)[[face_points.RIGHT_PUPIL, face_points.LEFT_PUPIL]].mean(0)
        asked = grimaces.directions(face.points)[axis] @ moved
        shown = expressed(runner, picture, **{motion: amount})
        shift = eye_motion.iris_shift(picture, shown, face, points)
        found.append(shift[axis] * np.sign(asked * amount))
        assert shift[axis] / asked >= 0.6
        # At the corner of an eye little of the iris is left to match.
        assert abs(shift[1 - axis]) < (0.1 if abs(amount) < 1 else 0.5) * abs(asked)
    assert found == sorted(found)


@pytest.mark.parametrize("who", PEOPLE)
def test_lids_go_where_they_are_asked_to(runner, finder, who):
    picture = PEOPLE[who]()
    face = face_of(finder, picture)
    # Over the pupils.
    upper, lower = ([*right[3:6], *left[3:6]] for right, left in (UPPER_LIDS, LOWER_LIDS))
    found = []
    for amount in AMOUNTS:
        moved = muscles.moved(face, muscles.Expression(eyes_open=amount)) - face.points
        asked = grimaces.directions(face.points)[1] @ (moved[lower].mean(0) - moved[upper].mean(0))
        found.append(eye_motion.opening_change(picture, expressed(runner, picture, eyes_open=amount), face))
        assert found[-1] / asked >= 0.6
    assert [*found[:2], 0, *found[2:]] == sorted([*found, 0])


@pytest.mark.parametrize("motion", [*grimaces.MEASURES])
def test_what_is_away_from_the_face_is_identical(runner, finder, motion):
    picture = data.astronaut()
    face = face_of(finder, picture)
    left, top, right, bottom = face.box
    more = face_field.MARGIN * face.size + 1
    away = np.ones(picture.shape[:2], bool)
    away[int(top - more) : int(bottom + more) + 1, int(left - more) : int(right + more) + 1] = False
    for amount in (-1, 1):
        shown = expressed(runner, picture, **{motion: amount})
        assert (shown[away] == picture[away]).all()
        assert not (shown == picture).all()


@pytest.mark.parametrize("motion", [*grimaces.MEASURES])
def test_next_to_nothing_changes_next_to_nothing(runner, motion):
    """There is no step between 0 and the first change."""
    picture = portraits.close_up(400)
    changed = np.abs(expressed(runner, picture, **{motion: 0.01}).astype(int) - picture)
    assert changed.mean() < 0.1
    assert np.quantile(changed, 0.999) <= 12


def test_an_open_mouth_has_a_dark_inside_and_a_closed_one_teeth_when_it_opens(runner, finder):
    picture = portraits.admiral()
    shown = expressed(runner, picture, mouth_open=1)
    face = face_of(finder, shown)
    upper, lower = face.points[13], face.points[14]

    def tone(share):
        x, y = np.round(upper + (lower - upper) * share - 0.5).astype(int)
        return shown[y - 1 : y + 2, x - 3 : x + 4].mean()

    assert tone(0.2) > 2 * tone(0.6)


def test_motions_combine(runner, finder):
    picture = portraits.close_up(512)
    face = face_of(finder, picture)
    shown = face_of(finder, expressed(runner, picture, smile=-0.6, mouth_open=0.6, eyes_open=-1, turn_x=0.7))
    for motion, way in (("smile", -1), ("mouth_open", 1), ("eyes_open", -1), ("turn_x", 1)):
        measure = getattr(grimaces, motion)
        assert way * (measure(shown.points) - measure(face.points)) > 0.01


def test_a_mouth_that_is_wide_open_opens_no_further(runner, finder):
    picture = pictures.talking(60)
    face = face_of(finder, picture)
    shown = face_of(finder, expressed(runner, picture, mouth_open=1))
    assert abs(grimaces.mouth_open(shown.points) - grimaces.mouth_open(face.points)) < 0.12
    closed = face_of(finder, expressed(runner, picture, mouth_open=-1))
    assert grimaces.mouth_open(closed.points) < 0.8 * grimaces.mouth_open(face.points)


def test_without_a_face_it_says_so(runner):
    with pytest.raises(NoFace):
        expressed(runner, data.coffee(), smile=1)


def test_a_talking_face_smiles_all_the_time_and_is_as_steady_as_before(runner, finder):
    clip = [pictures.talking(number) for number in range(16)]
    video = runner.video(ExpressionParameters(smile=1))
    given = torch.stack([pictures.frame(picture) for picture in clip])
    shown = torch.cat([video(part) for part in given.split(4)])
    before = [grimaces.smile(finder.faces(frame)[0].points) for frame in given]
    after = [grimaces.smile(finder.faces(frame)[0].points) for frame in shown]
    gained = np.subtract(after, before)
    assert gained.min() > 0.03
    assert np.abs(np.diff(after)).mean() < np.abs(np.diff(before)).mean() + 0.01


def test_grain_on_a_still_face_does_not_make_it_twitch(runner):
    still = portraits.close_up(320).astype(np.float64)
    generator = np.random.default_rng(5)
    clip = [np.clip(still + generator.normal(0, 3, still.shape), 0, 255).astype(np.uint8) for _ in range(8)]
    clip.append(pictures.resized(data.coffee(), 320, 320))
    given = torch.stack([pictures.frame(frame) for frame in clip])
    video = runner.video(ExpressionParameters(smile=1, brows=0.5, mouth_open=0.4))
    shown = torch.cat([video(part) for part in given.split(3)])
    assert torch.equal(shown[-1], given[-1])

    def flicker(frames):
        wide = [cv2.GaussianBlur(frame.permute(1, 2, 0).numpy().astype(np.float32), (0, 0), 3) for frame in frames[:-1]]
        return np.abs(np.diff(wide, axis=0)).mean()

    assert flicker(shown) < 1.3 * flicker(given)
