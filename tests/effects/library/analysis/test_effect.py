"""Analysis: which fields may exist, that each figure follows known damage, and that what it proposes can be done."""

import itertools
import json

import cv2
import numpy as np
import pytest
import skimage.data
import torch
from PIL import Image

from mayfly import local
from mayfly.client.errors import InvalidTarget
from mayfly.effects import registry
from mayfly.effects.library.analysis import Analysis
from mayfly.effects.runner import Runner

# Whoever adds a field adds it here, and thinks about what it says of a person.
FIELDS = {
    *("version", "width", "height", "faces", "sharpness", "exposure", "noise", "white_balance", "colours", "framing"),
    *("suits", "faces[].box", "faces[].sharpness", "sharpness.value", "sharpness.word", "exposure.mean"),
    *("exposure.contrast", "exposure.black", "exposure.burnt", "exposure.word", "noise.levels", "noise.word"),
    *("white_balance.warmth", "white_balance.tint", "white_balance.word", "colours[].hex", "colours[].share"),
    *("framing.tilt", "framing.advice", "framing.crop", "framing.advice[].code", "framing.advice[].text"),
    *("suits[].effect", "suits[].parameters", "suits[].why"),
}
PICTURES = {
    "astronaut": skimage.data.astronaut(),
    "coffee": skimage.data.coffee(),
    "rocket": skimage.data.rocket(),
    "chelsea": skimage.data.chelsea(),
}


@pytest.fixture(scope="module")
def analyse():
    runner, params = Runner(registry.find("analysis")()), registry.parameters("analysis", {})

    def run(picture):
        tensor = torch.from_numpy(np.array(picture)).permute(2, 0, 1)
        return runner.report(tensor, params).model_dump(mode="json")

    return run


@pytest.fixture(params=sorted(PICTURES))
def picture(request):
    return PICTURES[request.param]


def paths(value, place=""):
    """Every field of plain data; parameters of another effect are that effect's."""
    if isinstance(value, dict):
        for name, inner in value.items():
            here = f"{place}.{name}" if place else name
            yield here
            if name != "parameters":
                yield from paths(inner, here)
    elif isinstance(value, list):
        for inner in value:
            yield from paths(inner, f"{place}[]")


def in_linear_light(picture, gains):
    linear = (picture / 255.0) ** 2.2 * gains
    return (np.clip(linear, 0, 1) ** (1 / 2.2) * 255).round().astype(np.uint8)


def group(people):
    """A wide picture with so many faces."""
    wide = np.full((300, 1000, 3), 128, np.uint8)
    face = cv2.resize(skimage.data.astronaut()[:300, 60:360], (240, 240), interpolation=cv2.INTER_AREA)
    for number in range(people):
        wide[30:270, 40 + 320 * number : 280 + 320 * number] = face
    return wide


def test_only_known_fields_exist(analyse):
    found = set()
    dark = (PICTURES["astronaut"] * 0.3).astype(np.uint8)
    tilted = np.asarray(Image.fromarray(PICTURES["rocket"]).rotate(-4).crop((60, 60, 580, 370)))
    for one in (dark, group(3), tilted, np.zeros((1, 1, 3), np.uint8)):
        found |= set(paths(analyse(one)))
    assert found == FIELDS


def test_the_schema_has_no_further_fields():
    schema = Analysis.model_json_schema()
    names = {name for model in [schema, *schema["$defs"].values()] for name in model["properties"]}
    assert names == {path.replace("[]", "").split(".")[-1] for path in FIELDS}


@pytest.mark.parametrize("people", [0, 1, 2, 3])
def test_faces_are_counted_where_they_are(analyse, people):
    faces = sorted(analyse(group(people))["faces"], key=lambda face: face["box"][0])
    assert len(faces) == people
    for number, face in enumerate(faces):
        left, top, width, height = face["box"]
        assert abs(left + width / 2 - (0.172 + 0.32 * number)) < 0.05
        assert 0 < top < 0.6
        assert 0 < width < 0.24
        assert 0 < height < 0.8


def test_sharpness_falls_with_blur(analyse, picture):
    found = [analyse(picture)["sharpness"]]
    found += [analyse(cv2.GaussianBlur(picture, (0, 0), sigma))["sharpness"] for sigma in (0.7, 1.5, 3, 6)]
    values = [one["value"] for one in found]
    assert all(after < before - 0.02 for before, after in itertools.pairwise(values))
    assert (found[0]["word"], found[-1]["word"]) == ("sharp", "blurred")


def test_sharpness_is_of_the_picture_and_not_of_its_size(analyse, picture):
    half = cv2.resize(picture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    assert abs(analyse(half)["sharpness"]["value"] - analyse(picture)["sharpness"]["value"]) < 0.12


def test_a_portrait_with_a_blurred_background_is_sharp(analyse):
    picture = PICTURES["astronaut"].copy()
    blurred = cv2.GaussianBlur(picture, (0, 0), 8)
    blurred[40:200, 150:310] = picture[40:200, 150:310]
    found = analyse(blurred)
    assert found["sharpness"]["value"] < 0.45
    assert found["sharpness"]["word"] == "sharp"


@pytest.mark.parametrize("sigma", [3, 6, 12, 20])
def test_noise_is_what_was_added(analyse, picture, sigma):
    noisy = picture + np.random.default_rng(1).normal(0, sigma, picture.shape)
    levels = analyse(np.clip(noisy, 0, 255).round().astype(np.uint8))["noise"]["levels"]
    assert levels == pytest.approx(sigma, rel=0.25)
    assert levels > analyse(picture)["noise"]["levels"]


def test_exposure_follows_the_light(analyse, picture):
    found = [analyse(in_linear_light(picture, gain))["exposure"] for gain in (0.1, 0.4, 1, 2.5, 8)]
    means, burnt = [one["mean"] for one in found], [one["burnt"] for one in found]
    assert means == sorted(set(means))
    assert burnt == sorted(burnt)
    assert found[0]["word"] == "under"
    assert found[-1]["word"] == ("under" if means[-1] < 0.27 else "over")


def test_the_cast_follows_the_lamp(analyse, picture):
    warmths = [
        analyse(in_linear_light(picture * 0.7, [stops, 1, 1 / stops]))["white_balance"]["warmth"]
        for stops in (0.5, 0.7, 1, 1.4, 2)
    ]
    assert warmths == sorted(set(warmths))
    assert warmths[-1] - warmths[0] == pytest.approx(4, abs=1.2)
    tints = [analyse(in_linear_light(picture * 0.7, [1, gain, 1]))["white_balance"]["tint"] for gain in (0.6, 1, 1.7)]
    assert tints == sorted(set(tints))


def test_casts_have_words(analyse):
    grey = np.random.default_rng(0).integers(60, 200, (64, 64, 1)).repeat(3, 2).astype(np.uint8)
    words = {"warm": [1.6, 1, 0.6], "cool": [0.6, 1, 1.6], "green": [1, 1.7, 1], "magenta": [1, 0.6, 1]}
    assert analyse(grey)["white_balance"]["word"] == "neutral"
    for word, gains in words.items():
        assert analyse(in_linear_light(grey, gains))["white_balance"]["word"] == word


@pytest.mark.parametrize("name", ["rocket", "camera"])
@pytest.mark.parametrize("angle", [-5, 3, 6])
def test_a_tilted_picture_is_straightened(analyse, name, angle):
    level = PICTURES.get(name, np.stack([skimage.data.camera()] * 3, -1))
    height, width = level.shape[:2]
    turned = Image.fromarray(level).rotate(-angle, Image.Resampling.BICUBIC).crop((60, 60, width - 60, height - 60))
    framing = analyse(np.asarray(turned))["framing"]
    assert framing["tilt"] == pytest.approx(angle, abs=1)
    assert [one["code"] for one in framing["advice"]] == ["straighten"]
    assert ("left" if angle > 0 else "right") in framing["advice"][0]["text"]


def test_colours_are_those_of_the_picture(analyse):
    flags = np.zeros((60, 100, 3), np.uint8)
    flags[:, :60], flags[:, 60:90], flags[:, 90:] = (200, 30, 30), (30, 30, 200), (240, 240, 240)
    colours = analyse(flags)["colours"]
    assert [one["hex"] for one in colours[:3]] == ["#c81e1e", "#1e1ec8", "#f0f0f0"]
    assert [one["share"] for one in colours[:3]] == pytest.approx([0.6, 0.3, 0.1], abs=0.03)


@pytest.mark.parametrize(
    ("box", "advice"),
    [((0, 0, 512, 512), []), ((200, 40, 400, 512), ["face_cut"]), ((60, 60, 420, 420), ["more_headroom"])],
)
def test_framing_of_a_portrait(analyse, box, advice):
    left, top, right, bottom = box
    found = analyse(PICTURES["astronaut"][top:bottom, left:right])["framing"]["advice"]
    assert [one["code"] for one in found] == advice


def test_a_small_face_gets_a_closer_cut(analyse):
    scene = np.full((1200, 1600, 3), 120, np.uint8)
    scene[500:800, 900:1200] = cv2.resize(skimage.data.astronaut(), (300, 300), interpolation=cv2.INTER_AREA)
    found = analyse(scene)
    assert [one["code"] for one in found["framing"]["advice"]] == ["come_closer"]
    left, top, width, height = found["framing"]["crop"]
    assert 0 <= left <= left + width <= 1
    assert 0 <= top <= top + height <= 1
    face = found["faces"][0]["box"]
    assert left < face[0] < face[0] + face[2] < left + width
    assert face[3] / height == pytest.approx(0.2, abs=0.03)


def test_what_is_proposed_can_be_done(analyse, picture):
    variants = [picture, cv2.GaussianBlur(picture, (0, 0), 4), (picture * 0.2).astype(np.uint8)]
    for one in variants:
        suits = analyse(one)["suits"]
        assert suits[-1]["effect"] == "anime"
        for suit in suits:
            registry.parameters(suit["effect"], suit["parameters"])


def test_damage_is_answered(analyse):
    picture = PICTURES["astronaut"]
    dark = analyse((picture * 0.2).astype(np.uint8))["suits"][0]
    assert (dark["effect"], dark["why"]) == ("enhance", "dark")
    assert dark["parameters"]["low_light"] > 0
    blurred = analyse(cv2.GaussianBlur(picture, (0, 0), 5))["suits"][0]
    assert blurred["parameters"]["deblur"] > 0


def test_a_report_is_a_file_of_json(tmp_path):
    source, target = tmp_path / "in.png", tmp_path / "out.json"
    Image.fromarray(PICTURES["coffee"]).save(source)
    local.apply(source, target, "analysis")
    assert json.loads(target.read_text()) == local.report(source, "analysis")
    with pytest.raises(InvalidTarget, match="ends in"):
        local.apply(source, tmp_path / "out.png", "analysis")
    with pytest.raises(InvalidTarget, match="makes a picture"):
        local.report(source, "anime")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.png", "out.json"]
