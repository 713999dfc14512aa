"""`retouch` on real portraits of many tones: what it calms, what it leaves, and what it changes on purpose."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from mayfly.effects.contract import Locality, Tag
from mayfly.effects.errors import NoFace
from mayfly.effects.library.retouch import Retouch, RetouchParameters
from mayfly.effects.runner import Runner
from mayfly.effects.vision import face_points
from mayfly.effects.vision.finder import Finder
from tests.effects import portraits
from tests.effects.vision import pictures

NOTHING = dict.fromkeys(("smooth", "blemishes", "under_eye", "teeth", "eyes", "lips", "light"), 0)
ENERGIES = [portraits.band_energy, portraits.laplacian_energy]
TONES = {
    "as it is": None,
    "dark": (0.25, 0.25, 0.25),
    "bright": (1.5, 1.5, 1.5),
    "in warm light": (1.0, 0.8, 0.55),
    "in cold light": (0.7, 0.85, 1.1),
}
# Gains that make light skin brown and very dark, and one paler.
SKINS = {"brown": (0.38, 0.26, 0.2), "dark brown": (0.16, 0.11, 0.09), "pale": (1.1, 1.25, 1.35)}


@pytest.fixture(scope="module")
def runner():
    return Runner(Retouch())


@pytest.fixture(scope="module")
def finder():
    return Finder()


def face_of(finder, picture):
    return finder.faces(pictures.frame(picture))[0]


def retouched(runner, picture, **given):
    result = runner(pictures.frame(picture)[None], RetouchParameters(**given))
    return result[0].permute(1, 2, 0).numpy()


def only(**given):
    """Parameters of which all others do nothing."""
    return NOTHING | given


def check_the_proof(runner, picture, face, parts):
    """High-frequency energy falls by 40 % on skin and by 5 % at most elsewhere."""
    result = retouched(runner, picture, **only(smooth=1))
    for energy in ENERGIES:
        left = {
            name: energy(result, mask, face.size) / energy(picture, mask, face.size) for name, mask in parts.items()
        }
        assert left.pop("skin") <= 0.6, energy.__name__
        for name, share in left.items():
            assert share == pytest.approx(1, abs=0.05), (name, energy.__name__)


def check_the_astronaut(runner, picture, face):
    parts = portraits.parts(picture, face) | {"hair": portraits.hair(picture)}
    check_the_proof(runner, picture, face, parts)


@pytest.mark.parametrize("tone", TONES)
def test_skin_is_calm_in_every_light_and_nothing_else_is_touched(runner, finder, tone):
    gains = TONES[tone]
    picture = portraits.astronaut()
    if gains:
        picture = portraits.toned(picture, gains)
    check_the_astronaut(runner, picture, face_of(finder, picture))


@pytest.mark.parametrize("skin", SKINS)
def test_skin_of_every_tone_is_calm(runner, finder, skin):
    picture = portraits.astronaut()
    face = face_of(finder, picture)
    check_the_astronaut(runner, portraits.recoloured(picture, face, SKINS[skin]), face)


@pytest.mark.parametrize("gains", [(1, 1, 1), (0.35, 0.25, 0.22)])
def test_an_old_face_with_glasses_becomes_calm(runner, finder, gains):
    picture = portraits.toned(portraits.admiral(), gains)
    face = face_of(finder, picture)
    check_the_proof(runner, picture, face, portraits.parts(picture, face))


@pytest.mark.parametrize(
    "change",
    [portraits.noisy, lambda picture: pictures.scaled(picture, 2), lambda picture: pictures.scaled(picture, 0.7)],
)
def test_noise_and_size_do_not_matter(runner, finder, change):
    picture = np.asarray(change(portraits.astronaut()), np.uint8)
    face = face_of(finder, picture)
    check_the_proof(runner, picture, face, portraits.parts(picture, face))


@pytest.mark.parametrize("pores", [0.0, 1.0])
def test_pores_stay_or_go_as_told(runner, finder, pores):
    """Grain that is finer than the grid on which a large face is worked on."""
    picture = portraits.noisy(portraits.close_up(1280), 4)
    face = face_of(finder, picture)
    skin = portraits.parts(picture, face)["skin"]
    result = retouched(runner, picture, **only(smooth=1, pores=pores))
    share = portraits.laplacian_energy(result, skin, 0) / portraits.laplacian_energy(picture, skin, 0)
    assert share > 0.85 if pores else share < 0.1


def test_the_tone_of_skin_stays(runner, finder):
    for gains in [(1, 1, 1), *SKINS.values()]:
        picture = portraits.toned(portraits.admiral(), gains)
        skin = portraits.parts(picture, face_of(finder, picture))["skin"]
        result = retouched(runner, picture, **only(smooth=1, blemishes=1))
        assert np.abs(result[skin].mean(0) - picture[skin].mean(0)).max() < 3


def test_there_is_no_halo_at_the_edge_of_the_face(runner):
    """Nothing overshoots: each pixel stays within what is near it in the source."""
    picture = portraits.close_up()
    result = retouched(runner, picture, **only(smooth=1)).astype(int)
    near = np.ones((31, 31), np.uint8)
    assert (result <= cv2.dilate(picture, near).astype(int) + 2).all()
    assert (result >= cv2.erode(picture, near).astype(int) - 2).all()


def spotted(picture, face, factors):
    """With round spots on cheeks, jaw and under an eye, and where they are."""
    places = face.points[[425, 50, 199, 347]] + np.array([[0, 0], [0, -0.03], [0.04, 0], [0, 0.05]]) * face.size
    rows, columns = np.mgrid[: picture.shape[0], : picture.shape[1]] + 0.5
    result = picture.astype(np.float64)
    for x, y in places:
        share = np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * (0.011 * face.size) ** 2))[..., None]
        result *= 1 - share * (1 - np.array(factors))
    return result.round().astype(np.uint8), places


def contrast(picture, places, size):
    """By how many levels each place is darker than what surrounds it."""
    green = picture[..., 1].astype(np.float64)
    found = []
    for x, y in places.astype(int):
        reach = round(0.035 * size)
        around = green[y - reach : y + reach + 1, x - reach : x + reach + 1]
        found.append(np.median(around) - green[y - 1 : y + 2, x - 1 : x + 2].mean())
    return np.array(found)


@pytest.mark.parametrize("gains", [(1, 1, 1), (0.35, 0.22, 0.15)])
def test_spots_are_healed_and_moles_stay(runner, finder, gains):
    clean = portraits.toned(portraits.close_up(), gains)
    face = face_of(finder, clean)
    before = contrast(clean, face.points[[425]], face.size).mean()
    for factors, healed in (((0.92, 0.72, 0.75), True), ((0.4, 0.4, 0.4), False)):
        picture, places = spotted(clean, face, factors)
        added = contrast(picture, places, face.size) - before
        left = contrast(retouched(runner, picture, **only(blemishes=1)), places, face.size) - before
        if healed:
            assert left.mean() < 0.4 * added.mean()
        else:
            assert left.min() > 0.85 * added.min()


def test_shadows_under_the_eyes_are_lifted_and_their_texture_stays(runner, finder):
    picture = portraits.close_up()
    face = face_of(finder, picture)
    under = np.zeros(picture.shape[:2], bool)
    for outline in (face_points.RIGHT_UNDER_EYE, face_points.LEFT_UNDER_EYE):
        under |= portraits.area(picture, face, outline)
    share = cv2.GaussianBlur(under.astype(np.float64), (0, 0), 0.02 * face.size)[..., None]
    tired = portraits.noisy(picture * (1 - 0.3 * share * np.array([0.9, 1, 0.9])), 3)
    result = retouched(runner, tired, **only(under_eye=1))
    dark, lifted = (picture[under].mean() - shown[under].mean() for shown in (tired, result))
    assert 0 < lifted < 0.6 * dark
    grain = portraits.laplacian_energy(result, under, 0) / portraits.laplacian_energy(tired, under, 0)
    assert grain == pytest.approx(1, abs=0.25)


def lab(picture):
    return cv2.cvtColor(picture.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)


def test_teeth_become_white_and_not_grey_and_lips_stay(runner, finder):
    picture = portraits.close_up()
    face = face_of(finder, picture)
    mouth, lips = portraits.area(picture, face, face_points.INNER_LIPS, -0.01), portraits.parts(picture, face)["lips"]
    teeth = mouth & (picture.min(2) > 150)
    assert teeth.sum() > 500
    result = retouched(runner, picture, **only(teeth=1))
    before, after = lab(picture), lab(result)
    assert np.abs(after[teeth][:, 2]).mean() < 0.7 * np.abs(before[teeth][:, 2]).mean()
    assert (after[teeth][:, 0] >= before[teeth][:, 0] - 0.5).all()
    assert np.abs(after[lips] - before[lips]).mean() < 0.7
    beyond = ~portraits.area(picture, face, face_points.OUTER_LIPS, 0.05)
    assert np.array_equal(result[beyond], picture[beyond])


def test_eyes_become_clearer(runner, finder):
    picture = portraits.close_up()
    face = face_of(finder, picture)
    eyes = portraits.parts(picture, face)["eyes"]
    result = retouched(runner, picture, **only(eyes=1))
    assert lab(result)[eyes][:, 0].std() > 1.1 * lab(picture)[eyes][:, 0].std()
    beyond = ~(
        portraits.area(picture, face, face_points.RIGHT_EYE, 0.03)
        | portraits.area(picture, face, face_points.LEFT_EYE, 0.03)
    )
    assert np.array_equal(result[beyond], picture[beyond])


def test_lips_become_richer_in_their_own_colour(runner, finder):
    picture = portraits.close_up()
    face = face_of(finder, picture)
    parts = portraits.parts(picture, face)
    before, after = lab(picture), lab(retouched(runner, picture, **only(lips=1)))
    assert (after - before)[parts["lips"]][:, 1].mean() > 4
    assert abs((after - before)[parts["lips"]][:, 0].mean()) < 6
    assert np.abs(after - before)[parts["skin"]].max() < 1


def test_light_fills_the_dark_side_of_a_face(runner, finder):
    picture = portraits.close_up()
    face = face_of(finder, picture)
    falling = np.linspace(1.2, 0.25, picture.shape[1])[None, :, None]
    side_lit = np.clip(picture * falling, 0, 255).astype(np.uint8)
    skin = portraits.parts(picture, face)["skin"]
    middle = int(face.points[face_points.NOSE_TIP, 0])

    def difference(shown):
        lightness = lab(shown)[..., 0]
        return lightness[:, :middle][skin[:, :middle]].mean() - lightness[:, middle:][skin[:, middle:]].mean()

    before = difference(side_lit)
    assert before > 15
    assert 0 < difference(retouched(runner, side_lit, **only(light=1))) < 0.75 * before


def width(face):
    """The jaw's width at the mouth's height in distances of the eyes."""
    points = face.points
    eyes = np.linalg.norm(points[face_points.LEFT_EYE_OUTER] - points[face_points.RIGHT_EYE_OUTER])
    return np.linalg.norm(points[288] - points[58]) / eyes


def eyes_area(face):
    """Both eyes' openings as a share of the face."""
    areas = [
        cv2.contourArea(face.points[list(outline)])
        for outline in (face_points.RIGHT_EYE, face_points.LEFT_EYE, face_points.FACE_OVAL)
    ]
    return (areas[0] + areas[1]) / areas[2]


PORTRAITS = [portraits.astronaut, portraits.admiral, lambda: portraits.close_up()[:, ::-1].copy()]


@pytest.mark.parametrize("portrait", PORTRAITS)
def test_form_changes_when_looked_at_again(runner, finder, portrait):
    picture = portrait()
    less, more = (face_of(finder, retouched(runner, picture, **only(slim=amount))) for amount in (-1, 1))
    assert width(more) < 0.96 * width(less)
    less, more = (face_of(finder, retouched(runner, picture, **only(eye_size=amount))) for amount in (-1, 1))
    assert eyes_area(more) > 1.08 * eyes_area(less)


def test_form_changes_both_ways(runner, finder):
    picture = portraits.astronaut()
    face = face_of(finder, picture)
    fuller, slimmer = (face_of(finder, retouched(runner, picture, **only(slim=amount))) for amount in (-1, 1))
    assert width(slimmer) < 0.96 * width(face) and width(fuller) > 1.04 * width(face)
    less, more = (face_of(finder, retouched(runner, picture, **only(eye_size=amount))) for amount in (-1, 1))
    assert eyes_area(less) < 0.9 * eyes_area(face) and eyes_area(more) > 1.15 * eyes_area(face)


def test_what_is_far_from_the_face_stays_as_it_is(runner, finder):
    picture = portraits.astronaut()
    result = retouched(runner, picture, smooth=1, blemishes=1, light=1, slim=1, eye_size=1)
    left, top, right, bottom = (round(side) for side in face_of(finder, picture).box)
    away = np.ones(picture.shape[:2], bool)
    away[max(0, top - 25) : bottom + 50, left - 70 : right + 70] = False
    assert np.array_equal(result[away], picture[away])


def test_nothing_is_the_identity(runner):
    picture = portraits.astronaut()
    assert np.array_equal(retouched(runner, picture, **NOTHING), picture)


def test_a_chosen_face_alone_is_retouched(runner):
    picture = pictures.pasted((420, 40, 200), (300, 800, 300))
    second = retouched(runner, picture, **only(smooth=1, face=2))
    assert np.array_equal(second[:, :640], picture[:, :640]) and not np.array_equal(second, picture)
    both = retouched(runner, picture, **only(smooth=1))
    assert not np.array_equal(both[:, :640], picture[:, :640])
    assert np.array_equal(both[:, 640:], second[:, 640:])


def test_without_a_face_it_says_so_or_leaves_the_picture(runner):
    table = pictures.resized(pictures.data.coffee(), 300, 200)
    with pytest.raises(NoFace):
        retouched(runner, table)
    assert np.array_equal(retouched(runner, table, missing="ignore"), table)


def test_a_batch_is_its_pictures(runner):
    frames = torch.stack([pictures.frame(portraits.astronaut()), pictures.frame(portraits.astronaut()[:, ::-1])])
    params = RetouchParameters(light=0.5, slim=0.5)
    batch = runner(frames, params)
    assert torch.equal(batch, torch.cat([runner(frame[None], params) for frame in frames]))


def test_grey_and_cut_faces_are_taken(runner):
    grey = np.repeat(portraits.close_up(300).mean(2, keepdims=True), 3, 2).astype(np.uint8)
    result = retouched(runner, grey, **only(smooth=1, light=1, slim=1))
    assert np.abs(result.astype(int) - result.mean(2, keepdims=True)).max() <= 2
    cut = portraits.close_up(400)[:, 190:]
    assert retouched(runner, cut, slim=1, eye_size=1, light=1, missing="ignore").shape == cut.shape


def test_a_video_is_steady_and_people_may_leave_it(runner):
    """A still portrait with new grain in every frame: what is changed must not flicker."""
    still = portraits.close_up(320).astype(np.float64)
    generator = np.random.default_rng(5)
    frames = [np.clip(still + generator.normal(0, 3, still.shape), 0, 255).astype(np.uint8) for _ in range(8)]
    frames.append(pictures.resized(pictures.data.coffee(), 320, 320))
    given = torch.stack([pictures.frame(frame) for frame in frames])
    video = runner.video(RetouchParameters(smooth=1, blemishes=1, under_eye=1, teeth=1, eyes=1, lips=1, light=1))
    shown = torch.cat([video(part) for part in given.split(3)])
    assert torch.equal(shown[-1], given[-1])

    def flicker(clip):
        wide = [cv2.GaussianBlur(frame.permute(1, 2, 0).numpy().astype(np.float32), (0, 0), 4) for frame in clip[:-1]]
        return np.abs(np.diff(wide, axis=0)).mean(), np.abs(np.diff(wide, axis=0)).max()

    (mean, most), (mean_before, _) = flicker(shown), flicker(given)
    assert mean < mean_before + 0.1 and most < 4


def test_a_talking_face_flickers_no_more_than_before(runner):
    given = torch.stack([pictures.frame(pictures.talking(number)) for number in range(16)])
    video = runner.video(RetouchParameters(smooth=1, blemishes=1, under_eye=1, teeth=1, eyes=1, lips=1, slim=1))
    shown = torch.cat([video(part) for part in given.split(4)])
    assert not torch.equal(shown, given)

    def twitching(frames):
        calm = [cv2.GaussianBlur(frame.permute(1, 2, 0).numpy().astype(np.float32), (0, 0), 2) for frame in frames]
        return np.abs(np.diff(calm, 2, axis=0)).mean()

    assert twitching(shown) < 1.05 * twitching(given)


def test_it_runs_on_the_device_and_on_a_processor():
    declared = Retouch.declaration
    assert (declared.locality, declared.tag, declared.face) == (Locality.DEVICE, Tag.CPU, True)
    assert declared.temporal_context > 0
