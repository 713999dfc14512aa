"""Regions are where they are known to be, opacity and colours at their edges included; what lies behind is as asked."""

import base64
import io

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data

from mayfly.effects import registry
from mayfly.effects.errors import InvalidParameters, NoFace, NoPerson
from mayfly.effects.library.segment import SegmentParameters
from mayfly.effects.runner import Runner
from tests.effects import portraits, worn
from tests.effects.composites import composite
from tests.effects.vision import pictures

COMPOSITES = [
    ("astronaut", "coffee", {}),
    ("astronaut", "chelsea", {"mirrored": True, "exposure": 0.45}),
    ("astronaut", "grass", {"scale": 2}),
    ("astronaut", "rocket", {"scale": 0.5, "canvas": (480, 360)}),
    ("astronaut", "gravel", {"scale": 0.7, "mirrored": True, "canvas": (640, 480)}),
    ("astronaut", "immunohistochemistry", {"scale": 1.3}),
    ("astronaut", "brick", {"exposure": 1.4}),
    ("admiral", "rocket", {"scale": 0.6, "canvas": (640, 480)}),
    ("admiral", "hubble_deep_field", {"scale": 0.8}),
    ("admiral", "retina", {"mirrored": True}),
    ("admiral", "grass", {"exposure": 0.5}),
]


@pytest.fixture(scope="module")
def runner():
    return Runner(registry.find("segment")())


def segmented(runner, picture, **given):
    """(H, W, 3 or 4) uint8."""
    return runner(pictures.frame(picture)[None], SegmentParameters(**given))[0].permute(1, 2, 0).numpy()


def mask(runner, picture, **given):
    """(H, W) in 0…1."""
    return segmented(runner, picture, output="mask", **given)[..., 0] / 255


def overlap(one, other):
    return ((one > 0.5) & (other > 0.5)).sum() / ((one > 0.5) | (other > 0.5)).sum()


@pytest.mark.parametrize(("who", "background", "given"), COMPOSITES)
def test_the_opacity_of_a_person_is_the_known_one(runner, who, background, given):
    made = composite(who, background, **given)
    found = mask(runner, made.picture)
    assert np.abs(found - made.alpha).mean() <= 0.03
    assert overlap(found, made.alpha) >= 0.95


def test_edges_are_told_apart_and_not_only_smoothed(runner):
    """In the band along the edge a hard mask of the very same region is further from the truth."""
    errors = []
    for who, background, given in COMPOSITES:
        made = composite(who, background, **given)
        found = mask(runner, made.picture)
        band = (made.alpha > 0.02) & (made.alpha < 0.98)
        errors.append([np.abs(values - made.alpha)[band].mean() for values in (found, found > 0.5)])
    fine, hard = np.mean(errors, 0)
    assert fine < 0.9 * hard


def test_the_background_is_the_rest(runner):
    picture = data.astronaut()
    both = mask(runner, picture) + mask(runner, picture, region="background")
    assert np.abs(both - 1).max() < 1.5 / 255


def test_a_cutout_takes_nothing_of_its_background_along(runner):
    """Laid on blue, it is nearer to the person on blue than what the picture's own colours give."""
    blue = np.array([20.0, 40.0, 200.0])
    errors = []
    for who, background, given in COMPOSITES:
        made = composite(who, background, **given)
        cut = segmented(runner, made.picture)
        assert cut.shape == (*made.alpha.shape, 4)
        share = cut[..., 3:] / 255
        assert np.abs(share[..., 0] - made.alpha).mean() <= 0.03
        assert (cut[..., :3][cut[..., 3] == 0] == 0).all(), "what is not seen is not kept"
        # The person's own colours are known where enough of them is before black.
        black = composite(who, 0.0, **given)
        pure = (black.picture / black.alpha[..., None].clip(0.05)).clip(0, 255)
        known = (made.alpha > 0.3) & (made.alpha < 0.9)
        truth = pure[known] * share[known] + blue * (1 - share[known])
        for colours in (cut[..., :3], made.picture):
            errors.append(np.abs(colours[known] * share[known] + blue * (1 - share[known]) - truth).mean())
    assert np.mean(errors[0::2]) < 0.8 * np.mean(errors[1::2])


@pytest.mark.parametrize("change", ["as it is", "small", "large", "mirrored", "dark"])
def test_hair_and_skin_are_where_they_are(runner, change):
    person = {
        "as it is": worn.astronaut,
        "small": lambda: worn.astronaut().scaled(0.6),
        "large": lambda: worn.astronaut().scaled(1.7),
        "mirrored": lambda: worn.astronaut().mirrored(),
        "dark": lambda: worn.astronaut().darkened(0.55),
    }[change]()
    hair, skin = (mask(runner, person.picture, region=region) for region in ("hair", "skin"))
    assert hair[person.hair].mean() > 0.9
    assert max(hair[person.background].mean(), hair[person.garment].mean()) < 0.01
    face = mask(runner, person.picture, region="face")
    bare = person.skin & (face > 0.5)
    # Eyes, brows and mouth, which are no skin, lie within.
    assert skin[bare].mean() > 0.6
    assert hair[bare].mean() < 0.05
    assert max(skin[area].mean() for area in (person.background, person.garment)) < 0.01
    assert skin[person.hair].mean() < 0.15


def test_a_face_is_its_outline(runner):
    picture = data.astronaut()
    found = mask(runner, picture, region="face")
    rows, columns = np.nonzero(found > 0.5)
    # Read off the picture by eye: chin, forehead and cheeks.
    assert abs(rows.max() - 180) < 10 and abs(columns.min() - 178) < 12 and abs(columns.max() - 270) < 14
    assert found[110:150, 205:245].min() > 0.95


def test_blur_keeps_the_person_and_spreads_points_to_discs(runner):
    made = composite("admiral", "hubble_deep_field", scale=0.8)
    shown = segmented(runner, made.picture, output="blur", blur=1.0)
    deep = cv2.erode(made.alpha, np.ones((25, 25))) > 0.99
    assert (np.abs(shown.astype(int) - made.picture)[deep].max(-1) <= 1).mean() > 0.99
    behind = cv2.dilate(made.alpha, np.ones((31, 31))) < 0.01
    calm = [cv2.Laplacian(picture.astype(np.float32), cv2.CV_32F)[behind].std() for picture in (made.picture, shown)]
    assert calm[1] < 0.1 * calm[0]
    less = segmented(runner, made.picture, output="blur", blur=0.3)
    sharp = [cv2.Laplacian(picture.astype(np.float32), cv2.CV_32F)[behind].std() for picture in (shown, less)]
    assert sharp[0] < sharp[1]


def test_a_replaced_background_is_there_and_its_light_wraps(runner):
    made = composite("astronaut", "coffee")
    away = cv2.dilate(made.alpha, np.ones((61, 61))) < 0.01
    deep = cv2.erode(made.alpha, np.ones((61, 61))) > 0.99
    rim = (cv2.erode(made.alpha, np.ones((9, 9))) > 0.99) & ~(cv2.erode(made.alpha, np.ones((15, 15))) > 0.99)
    plain, wrapped = (
        segmented(runner, made.picture, output="replace", colour="#40ff40", wrap=wrap).astype(int) for wrap in (0, 1)
    )
    found = mask(runner, made.picture)
    assert np.abs(plain - (0x40, 0xFF, 0x40))[away & (found == 0)].max() <= 1
    assert np.abs(plain - made.picture)[deep].max() <= 1
    greener = [(picture[..., 1] - picture[..., [0, 2]].mean(-1)) for picture in (plain, wrapped)]
    assert (greener[1] - greener[0])[rim].mean() > 4
    assert (greener[1] - greener[0])[deep].mean() < 0.5


def test_a_picture_covers_the_background(runner):
    stream = io.BytesIO()
    two = Image.new("RGB", (40, 20), "#ff0000")
    two.paste("#0000ff", (20, 0, 40, 20))
    two.save(stream, "PNG")
    text = base64.b64encode(stream.getvalue()).decode()
    shown = segmented(runner, data.astronaut(), output="replace", background_image=text, wrap=0)
    assert (np.abs(shown[40, 40].astype(int) - (255, 0, 0)) <= 2).all()
    assert (np.abs(shown[40, 470].astype(int) - (0, 0, 255)) <= 2).all()
    with pytest.raises(InvalidParameters):
        registry.parameters("segment", {"background_image": base64.b64encode(b"GIF89a" + bytes(40)).decode()})


def test_without_blur_it_is_the_identity_and_looks_for_nobody(runner):
    noise = torch.randint(0, 256, (2, 3, 40, 56), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    assert torch.equal(runner(noise, SegmentParameters(output="blur", blur=0)), noise)


def test_softer_and_wider_edges(runner):
    picture = data.astronaut()

    def between(**given):
        found = mask(runner, picture, **given)
        return ((found > 0.05) & (found < 0.95)).sum()

    assert between(feather=0) < between(feather=0.5) < between(feather=1)
    assert between(refine=0) < between(refine=1)


def test_a_chosen_face_alone_is_cut_out(runner):
    picture = pictures.pasted((480, 40, 120), (360, 800, 200))
    whole = mask(runner, picture, region="face", face=0)
    first, second = (mask(runner, picture, region="face", face=number) for number in (1, 2))
    assert first[:, :640].max() > 0.9 and first[:, 640:].max() == 0
    assert second[:, 640:].max() > 0.9 and second[:, :640].max() == 0
    assert np.abs(np.maximum(first, second) - whole).max() < 0.02
    with pytest.raises(NoFace, match="fewer"):
        mask(runner, picture, region="face", face=3)


@pytest.mark.parametrize("region", ["person", "background", "hair", "skin", "face"])
def test_without_anybody_it_says_so_or_leaves_the_picture(runner, region):
    picture = np.ascontiguousarray(data.coffee()[:300, :400])
    error = NoPerson if region in ("person", "background") else NoFace
    with pytest.raises(error):
        segmented(runner, picture, region=region)
    kept = segmented(runner, picture, region=region, missing="ignore")
    assert (kept[..., :3] == picture).all() and (kept[..., 3] == 255).all()
    for output in ("blur", "replace"):
        assert (segmented(runner, picture, region=region, output=output, missing="ignore") == picture).all()


@pytest.mark.parametrize("picture", ["grey", "old", "half a face"])
def test_grey_old_and_cut_people_are_taken(runner, picture):
    given = {
        "grey": lambda: cv2.cvtColor(cv2.cvtColor(data.astronaut(), cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB),
        "old": portraits.admiral,
        "half a face": lambda: np.ascontiguousarray(data.astronaut()[:, :245]),
    }[picture]()
    share = mask(runner, given).mean()
    assert 0.3 < share < 0.85


def test_a_video_has_no_opacity_is_steady_and_people_may_leave_it(runner):
    random = np.random.default_rng(5)
    still = pictures.scaled(data.astronaut(), 0.5)
    clip = [(still + random.normal(0, 4, still.shape)).clip(0, 255).astype(np.uint8) for _ in range(12)]
    clip += [pictures.resized(data.coffee(), 256, 256)] * 3
    given = torch.stack([pictures.frame(picture) for picture in clip])
    video = runner.video(SegmentParameters(colour="#00ff00"))
    shown = torch.cat([video(part) for part in given.split(4)])
    assert shown.shape == given.shape
    assert (shown[2, :, 5, 250].to(torch.int16) - torch.tensor([0, 255, 0])).abs().max() <= 1
    assert (shown[-1] == torch.tensor([0, 255, 0], dtype=torch.uint8).view(3, 1, 1)).float().mean() > 0.99
    masks = runner.video(SegmentParameters(output="mask"))
    steady = torch.cat([masks(part) for part in given[:12].split(4)])[:, 0].to(torch.float32) / 255
    alone = torch.stack([runner(frame[None], SegmentParameters(output="mask"))[0, 0] for frame in given[:12]]) / 255

    def flicker(values):
        return (values[5:] - values[4:-1]).abs().mean()

    assert flicker(steady) < 2 / 3 * flicker(alone)


def test_a_batch_is_its_pictures(runner):
    given = torch.stack([pictures.frame(data.astronaut()), pictures.frame(data.astronaut()[:, ::-1])])
    params = SegmentParameters()
    assert torch.equal(runner(given, params), torch.cat([runner(frame[None], params) for frame in given]))
