"""Every effect of the library does what it declares."""

import functools
import json
import re

import numpy as np
import pytest
import skimage.data
import torch
from PIL import Image

from mayfly import local
from mayfly.effects import registry
from mayfly.effects.contract import Locality, Media, Parameters
from mayfly.effects.errors import NoFace, NoPerson
from mayfly.effects.runner import Runner
from tests.effects.vision import pictures

LIBRARY = [
    name for name, effect in registry.load().items() if effect.__module__.startswith(f"{registry.library.__name__}.")
]
REPORTS = [name for name in LIBRARY if registry.declaration(name).report]
SIZES = [(1, 1), (1, 33), (2, 3), (31, 17), (64, 48)]
BATCH_LEVELS = 1  # a batch may be summed in another order than a single frame


@pytest.fixture(scope="module", params=[name for name in LIBRARY if name not in REPORTS])
def runner(request):
    return Runner(registry.find(request.param)())


def frames(height, width, count=1):
    """Smooth colours with some noise, different in each frame."""
    generator = torch.Generator().manual_seed(height * 1000 + width)
    coarse = torch.rand(count, 3, 4, 4, generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, size=(height, width), mode="bilinear")
    noise = torch.rand(count, 3, height, width, generator=generator) * 0.1
    return ((smooth * 0.9 + noise) * 255).to(torch.uint8)


@functools.cache
def people():
    """(1, 3, 256, 256): a person."""
    return pictures.frame(pictures.resized(pictures.astronaut(), 256, 256))[None]


def default(runner):
    declared = runner.effect.declaration
    return registry.parameters(declared.name, without_people(declared))


def without_people(declared):
    """What lets an effect that needs a face or a person take pictures without any."""
    return {"missing": "ignore"} if "missing" in declared.parameters.model_fields else {}


def variants(runner):
    """The default parameters, and for each choice or bounded number its ends."""
    declared = runner.effect.declaration
    found = [{}]
    for name, rule in declared.parameters.model_json_schema().get("properties", {}).items():
        choices = rule.get("enum") or [rule[end] for end in ("minimum", "maximum") if end in rule]
        found += [{name: choice} for choice in choices]
        if rule.get("type") == "boolean":
            found += [{name: choice} for choice in (True, False)]
    return [registry.parameters(declared.name, given | without_people(declared)) for given in found]


def test_the_declaration_is_whole(runner):
    declared = runner.effect.declaration
    assert re.fullmatch(r"[a-z][a-z0-9-]{0,63}", declared.name)
    assert declared.summary and "\n" not in declared.summary
    assert issubclass(declared.parameters, Parameters)
    assert declared.media
    assert declared.batch >= 1 and declared.multiple >= 1 and declared.temporal_context >= 0
    if declared.tiling is not None:
        assert declared.tiling.size % declared.multiple == declared.tiling.halo % declared.multiple == 0
        assert declared.tiling.size > 0 <= declared.tiling.halo
    for name, field in declared.parameters.model_fields.items():
        assert field.description, f"{name} has no description"
        assert not field.is_required(), f"{name} has no default"


def test_every_number_is_bounded(runner):
    schema = runner.effect.declaration.parameters.model_json_schema()
    for name, rule in schema.get("properties", {}).items():
        if rule.get("type") in ("number", "integer") and "enum" not in rule:
            assert {"minimum", "maximum"} <= set(rule), f"{name} has no bounds"
        assert rule.get("type") != "string" or {"enum", "pattern", "const"} & set(rule), f"{name} may be any text"


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_the_size_is_the_scale_that_is_declared(runner, height, width):
    for params in variants(runner) if (height, width) == (31, 17) else [default(runner)]:
        scale = runner.scale(params)
        # What a producer is told beforehand.
        assert params.result_size(width, height) in (None, (width * scale, height * scale))
        result = runner(frames(height, width), params)
        channels = runner.effect.channels(params)
        assert channels in (3, 4)
        assert result.shape == (1, channels, height * scale, width * scale), params
        assert result.dtype == torch.uint8


def test_a_videos_frames_have_no_opacity(runner):
    if Media.VIDEO in runner.effect.declaration.media:
        for params in variants(runner):
            scale = runner.scale(params)
            assert runner.video(params)(frames(17, 15, 2)).shape == (2, 3, 17 * scale, 15 * scale), params


def test_apply_itself_keeps_dtype_range_and_input(runner):
    declared, params = runner.effect.declaration, default(runner)
    side = 8 * declared.multiple
    given = frames(side, side, 2)
    if declared.dtype == "float32":
        given = given.to(torch.float32) / 255
    copy = given.clone()
    with torch.inference_mode():
        result = runner.effect.apply(given, params)
    assert torch.equal(given, copy), "apply wrote to its input"
    assert result.dtype == given.dtype
    scale = runner.scale(params)
    assert result.shape == (2, runner.effect.channels(params), side * scale, side * scale)
    assert torch.isfinite(result.to(torch.float32)).all()
    if declared.dtype == "float32":
        # Not 0…255: clipping takes a small overshoot only.
        assert result.min() > -0.5 and result.max() < 1.5


def test_a_batch_is_its_frames(runner):
    params = default(runner)
    given = frames(40, 56, 3)
    batch = runner(given, params).to(torch.int16)
    singles = torch.cat([runner(frame[None], params) for frame in given]).to(torch.int16)
    assert (batch - singles).abs().max() <= BATCH_LEVELS


def test_the_same_input_gives_the_same_output(runner):
    params = default(runner)
    given, other = frames(40, 56), frames(24, 24)
    first = runner(given, params)
    runner(other, params)
    assert torch.equal(runner(given, params), first)
    assert torch.equal(Runner(type(runner.effect)())(given, params), first)


@pytest.mark.parametrize("level", [0, 255])
def test_black_and_white_are_no_accident(runner, level):
    result = runner(torch.full((1, 3, 20, 20), level, dtype=torch.uint8), default(runner))[:, :3]
    assert (result.to(torch.int16) - level).abs().to(torch.float32).mean() < 64


def test_neutral_parameters_give_the_picture(runner):
    declared = runner.effect.declaration
    assert declared.neutral is not None, "no parameters keep the picture: declare them, or say why there are none"
    params = registry.parameters(declared.name, declared.neutral)
    given = torch.cat([people(), frames(256, 256)])
    for run in (runner, runner.video(params)):
        result = run(given, params) if run is runner else run(given)
        assert (result.to(torch.int16) - given).abs().max() <= 1
    assert runner(frames(1, 1), params).shape == (1, 3, 1, 1)


def test_sixteen_bits_are_the_same_picture(runner):
    if runner.effect.declaration.dtype == "uint8":
        # It is never given more.
        assert runner.depth == 8
        return
    given, params = people(), default(runner)
    fine = runner((given.to(torch.int32) * 257).to(torch.uint16), params)
    assert fine.dtype == torch.uint16
    assert (fine.to(torch.float32) / 257 - runner(given, params)).abs().max() <= 1


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "P", "1", "I;16", "CMYK"])
@pytest.mark.parametrize("size", [(1, 1), (33, 20)])
def test_pictures_of_every_kind_are_taken(runner, mode, size, tmp_path):
    declared, params = runner.effect.declaration, default(runner)
    rgb = Image.fromarray(frames(size[1], size[0])[0].permute(1, 2, 0).numpy())
    if mode == "I;16":
        source = Image.fromarray(np.asarray(rgb.convert("L")).astype(np.uint16) * 257)
    else:
        source = rgb.convert(mode)
    if mode.endswith("A"):
        source.putalpha(Image.linear_gradient("L").resize(size))
    path, target = tmp_path / f"in.{'jpg' if mode == 'CMYK' else 'png'}", tmp_path / "out.png"
    source.save(path)
    local.apply(path, target, declared.name, without_people(declared))
    scale = runner.scale(params)
    with Image.open(target) as result:
        assert result.size == (size[0] * scale, size[1] * scale)
        assert result.mode == ("RGBA" if mode.endswith("A") or runner.effect.channels(params) == 4 else "RGB")
        if mode.endswith("A"):
            alpha = np.asarray(source.getchannel("A").resize(result.size, Image.Resampling.BILINEAR)).astype(int)
            assert np.abs(np.asarray(result.getchannel("A")) - alpha).max() <= 6


def needing(runner):
    """Parameters, for each way to look for somebody, that need somebody to be there."""
    fields = runner.effect.declaration.parameters.model_fields
    if "missing" not in fields:
        return []
    return [params for params in variants(runner) if not kept(runner, params)]


def kept(runner, params):
    """Whether a picture with people in it stays as it is."""
    result = runner(people(), params)
    return result.shape == people().shape and torch.equal(result, people())


def test_without_anybody_there_is_a_clear_error_or_the_picture(runner):
    declared = runner.effect.declaration
    if "missing" not in declared.parameters.model_fields:
        assert "face" not in declared.parameters.model_fields, "who can choose a face wants to know when it is missing"
        return
    wanted = needing(runner)
    assert wanted, "no parameters do anything to people"
    nobody = torch.from_numpy(skimage.data.coffee()[:300, :400].copy()).permute(2, 0, 1)[None]
    for params in wanted:
        same = runner(nobody, params)[:, :3]
        if getattr(params, "output", None) != "mask":
            assert torch.equal(same, nobody), params
        with pytest.raises((NoFace, NoPerson)) as caught:
            runner(nobody, params.model_copy(update={"missing": "error"}))
        assert caught.value.code in ("no_face", "no_person")
        # People leave videos.
        assert runner.video(params.model_copy(update={"missing": "error"}))(nobody).shape == nobody.shape


def test_a_chosen_face_is_the_one_that_changes(runner):
    declared = runner.effect.declaration
    if "face" not in declared.parameters.model_fields:
        return
    given = pictures.frame(pictures.pasted((240, 30, 100), (180, 400, 150), width=640, height=360))[None]
    for params in needing(runner):
        if "region" in declared.parameters.model_fields and params.region in ("person", "background"):
            continue
        halves = [
            [half.to(torch.int16) for half in runner(given, params.model_copy(update={"face": face})).split(320, -1)]
            for face in (0, 1, 2)
        ]
        both, first, second = halves
        # The other's half is as it is without either.
        assert not torch.equal(first[0], second[0]), params
        assert not torch.equal(first[1], second[1]), params
        assert (first[0] - both[0]).abs().to(torch.float32).mean() < 0.2, params
        assert (second[1] - both[1]).abs().to(torch.float32).mean() < 0.2, params
        with pytest.raises(NoFace, match="fewer"):
            runner(given, params.model_copy(update={"face": 7, "missing": "error"}))


@pytest.mark.parametrize("name", REPORTS)
@pytest.mark.parametrize(("height", "width"), SIZES)
def test_a_report_is_plain_data_and_always_the_same(name, height, width):
    runner = Runner(registry.find(name)())
    declared = runner.effect.declaration
    assert declared.locality is Locality.DEVICE
    assert declared.media == {Media.IMAGE}
    level = torch.full((3, height, width), 255, dtype=torch.uint8)
    for picture in (frames(height, width)[0], frames(height, width)[0, :1].expand(3, -1, -1), level, level * 0):
        copy = picture.clone()
        report = runner.report(picture, default(runner))
        assert torch.equal(picture, copy), "report wrote to its input"
        assert json.loads(report.model_dump_json()) == report.model_dump(mode="json")
        assert Runner(registry.find(name)()).report(picture, default(runner)) == report
