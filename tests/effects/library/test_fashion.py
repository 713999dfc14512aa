"""New colours, fabrics and patterns on real garments; all else stays as it was."""

import base64
import io

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import color, data

from effects import registry
from effects.errors import InvalidParameters, NoPerson
from effects.runner import Runner
from tests.effects.ops import worn

NEUTRAL = [{}, {"strength": 0, "colour": "#123456"}, {"garment": "full", "extent": "whole", "second_colour": "#ffffff"}]
PATTERNS = ["stripes", "hoops", "checks", "tartan", "dots", "denim", "knit", "herringbone", "flowers"]
PEOPLE = {
    "suit": worn.astronaut,
    "suit, mirrored and small": lambda: worn.astronaut().mirrored().scaled(0.6),
    "suit, large": lambda: worn.astronaut().scaled(1.7),
    "suit, in the dark": lambda: worn.astronaut().darkened(0.6),
    "uniform": worn.hopper,
    "uniform, mirrored and small": lambda: worn.hopper().mirrored().scaled(0.7),
}


@pytest.fixture(scope="module")
def runner():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield Runner(registry.find("fashion")())
    torch.set_num_threads(before)


def frame(picture):
    return torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1)[None]


def dressed(runner, picture, **given):
    params = registry.parameters("fashion", given)
    return runner(frame(picture), params)[0].permute(1, 2, 0).numpy()


def lab_of(text):
    return color.rgb2lab(np.array([[[int(text[i : i + 2], 16) / 255 for i in (1, 3, 5)]]]))[0, 0]


def difference(one, other, mask):
    """Mean ΔE2000 inside a mask."""
    return color.deltaE_ciede2000(color.rgb2lab(one[mask][None]), color.rgb2lab(other[mask][None])).mean()


def correlation(one, other):
    return np.corrcoef(one, other)[0, 1]


@pytest.mark.parametrize("colour", ["#2f6fd0", "#000000", "#efe6d2", "#ff0000"])
@pytest.mark.parametrize("who", PEOPLE)
def test_a_garment_gets_its_colour_and_keeps_its_folds(runner, who, colour):
    person = PEOPLE[who]()
    result = dressed(runner, person.picture, colour=colour)
    after = color.rgb2lab(result)[person.garment]
    assert color.deltaE_ciede2000(after.mean(0), lab_of(colour)) <= 6
    assert correlation(color.rgb2lab(person.picture)[person.garment][:, 0], after[:, 0]) >= 0.9
    for place in (person.skin, person.hair, person.background):
        assert difference(person.picture, result, place) < 1


def test_the_whole_of_a_garment_takes_its_badge_along(runner):
    person = worn.astronaut()
    badge = worn.drawn(person.picture, [(150, 360), (190, 360), (200, 385), (190, 410), (150, 410), (140, 385)])
    main = dressed(runner, person.picture, colour="#2e7d4f")
    whole = dressed(runner, person.picture, colour="#2e7d4f", extent="whole")
    assert difference(person.picture, main, badge) < 1
    assert difference(person.picture, whole, badge) > 10
    for place in (person.skin, person.hair):
        assert difference(person.picture, whole, place) < 1


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_pattern_shows_on_the_garment_alone(runner, pattern):
    person = worn.hopper()
    colour = "#805030"
    plain = dressed(runner, person.picture, colour=colour)
    result = dressed(runner, person.picture, colour=colour, pattern=pattern)
    assert difference(plain, result, person.garment) > 1
    for place in (person.skin, person.hair, person.background):
        assert difference(person.picture, result, place) < 1


def test_a_pattern_lies_in_the_folds_light(runner):
    person = worn.astronaut()
    result = dressed(runner, person.picture, colour="#205090", second_colour="#b04040", pattern="stripes")
    before = color.rgb2lab(person.picture)[person.garment][:, 0]
    after = color.rgb2lab(result)[person.garment]
    # The two colours of the stripes apart: each has the folds of the source.
    is_red = after[:, 1] > 20
    assert 0.25 < is_red.mean() < 0.55
    for colour in (is_red, ~is_red):
        assert correlation(before[colour], after[colour][:, 0]) > 0.7


def encoded(picture, kind="PNG"):
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, kind)
    return base64.b64encode(stream.getvalue()).decode()


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_supplied_picture_is_repeated_over_the_garment(runner, kind):
    tile = np.zeros((24, 24, 3), np.uint8)
    tile[:, :12], tile[:, 12:] = (20, 140, 60), (120, 40, 160)
    person = worn.astronaut()
    result = dressed(runner, person.picture, pattern_image=encoded(tile, kind))
    hue = color.rgb2lab(result)[person.garment][:, 1]
    assert 0.35 < (hue < -10).mean() < 0.65
    assert 0.35 < (hue > 10).mean() < 0.65
    assert difference(person.picture, result, person.background) < 1


@pytest.mark.parametrize(
    "text",
    [
        "a path/../../x",
        "AAAA",
        base64.b64encode(b"GIF89a" + bytes(40)).decode(),
        encoded(np.zeros((1025, 2, 3), np.uint8)),
        encoded(np.random.default_rng(0).integers(0, 255, (300, 300, 3), np.uint8)),
        encoded(np.random.default_rng(0).integers(0, 255, (30, 30, 3), np.uint8))[:1000],
    ],
    ids=["no base64", "no picture", "another format", "many pixels", "much text", "half a file"],
)
def test_what_is_no_small_picture_is_refused(text):
    with pytest.raises(InvalidParameters) as caught:
        registry.parameters("fashion", {"pattern_image": text})
    assert text[:20] not in str(caught.value)


def test_silk_and_leather_shine_more_than_cotton(runner):
    person = worn.astronaut()
    brightest = {}
    for fabric in ("cotton", "silk", "leather"):
        light = color.rgb2lab(dressed(runner, person.picture, colour="#701828", fabric=fabric))[person.garment][:, 0]
        brightest[fabric] = np.percentile(light, 99) - np.median(light)
    assert brightest["cotton"] + 2 < min(brightest["silk"], brightest["leather"])


@pytest.mark.parametrize("given", NEUTRAL)
def test_neutral_parameters_keep_the_picture_and_look_for_nobody(runner, given):
    coffee = data.coffee()
    assert np.array_equal(dressed(runner, coffee, **given), coffee)


def test_half_the_strength_is_half_way(runner):
    picture = worn.hopper().picture
    whole, half = (dressed(runner, picture, colour="#c03030", strength=s).astype(float) for s in (1, 0.5))
    assert np.abs((whole + picture) / 2 - half).max() <= 1


def test_without_a_wearer_it_is_refused_or_left(runner):
    with pytest.raises(NoPerson):
        dressed(runner, data.coffee(), colour="#c03030")
    assert np.array_equal(dressed(runner, data.coffee(), colour="#c03030", missing="ignore"), data.coffee())
    # A head and shoulders have no trousers.
    with pytest.raises(NoPerson):
        dressed(runner, worn.hopper().picture, colour="#c03030", garment="lower")


def test_a_batch_is_its_pictures(runner):
    pictures = torch.cat([frame(worn.astronaut().picture), frame(worn.astronaut().mirrored().picture)])
    params = registry.parameters("fashion", {"colour": "#2f6fd0", "pattern": "dots"})
    singles = torch.cat([runner(picture[None], params) for picture in pictures])
    assert torch.equal(runner(pictures, params), singles)


def test_grey_pictures_work(runner):
    person = worn.astronaut()
    grey = np.repeat(person.picture.mean(-1, keepdims=True).astype(np.uint8), 3, -1)
    result = dressed(runner, grey, colour="#2f6fd0")
    assert difference(grey, result, person.garment) > 10
    assert difference(grey, result, person.skin) < 1


def test_in_a_video_edges_flicker_less_than_in_pictures(runner):
    person = worn.astronaut().scaled(0.5)
    noise = np.random.default_rng(5)
    frames = [np.clip(person.picture + noise.normal(0, 6, person.picture.shape), 0, 255) for _ in range(10)]
    video = torch.cat([frame(picture.astype(np.uint8)) for picture in frames])
    params = registry.parameters("fashion", {"colour": "#2f6fd0"})
    steady = runner.video(params)(video)
    single = runner(video, params)

    def flicker(result):
        # What the effect changes, from frame to frame; the noise itself is in both.
        change = (result.float() - video.float()).abs().mean(1)
        return (change[4:] - change[3:-1]).abs().mean()

    assert flicker(steady) < 0.8 * flicker(single)


def test_a_video_goes_on_when_its_wearer_leaves(runner):
    person = frame(worn.astronaut().scaled(0.5).picture)
    empty = torch.full_like(person, 90)
    video = runner.video(registry.parameters("fashion", {"colour": "#2f6fd0"}))
    video(person)
    for _ in range(6):
        last = video(empty)
    assert torch.equal(last, empty)
