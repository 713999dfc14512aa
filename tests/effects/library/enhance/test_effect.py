"""`enhance` on pictures kept from its training: better than bicubic, cleaner than the damage, no seams."""

import json
import shutil
import types

import numpy as np
import pytest
import torch

from benchmarks import enhance_quality as quality
from mayfly.effects import registry, tiling
from mayfly.effects.contract import Tag, Tiling
from mayfly.effects.errors import InvalidParameters, WeightsError
from mayfly.effects.library.enhance import Enhance, effect
from mayfly.effects.models import enhancer, weights
from mayfly.effects.runner import Runner
from mayfly.effects.shared import temporal


@pytest.fixture(scope="module")
def runner():
    return Runner(Enhance())


@pytest.fixture(scope="module")
def frames():
    picture = quality.held_out("astronaut")[20:170, 150:337]
    return torch.from_numpy(picture.copy()).permute(2, 0, 1)[None]


def parameters(**given):
    return registry.parameters("enhance", given)


def levels(a, b):
    return (a.to(torch.int16) - b.to(torch.int16)).abs().max().item()


def test_declaration():
    declared = registry.declaration("enhance")
    assert (declared.tag, declared.dtype, declared.face) == (Tag.GPU, "float32", False)
    assert declared.temporal_context >= temporal.CONTEXT


def test_parameters_are_read_from_the_command_line_and_bounded():
    assert parameters().scale == 2
    assert parameters(scale="1", strength="0.5").scale == 1
    assert parameters(scale="4").scale == 4
    wrong = [{"scale": "3"}, {"scale": 0}, {"scale": "8"}, {"model": "../x"}, {"face_model": ""}]
    wrong += [{"strength": 1.1}, {"denoise": -0.1}, {"low_light": 2}, {"deblur": 2}, {"strength": "nan"}, {"zoom": 2}]
    for bad in wrong:
        with pytest.raises(InvalidParameters):
            parameters(**bad)


@pytest.mark.parametrize("name", ["enhance-x1", "enhance-x2"])
def test_networks_are_compact(name):
    network = enhancer.build(weights.entry(name).architecture)
    assert sum(value.numel() for value in network.parameters()) == sum(v.numel() for v in weights.load(name).values())
    assert sum(value.numel() for value in network.parameters()) <= 400_000


@pytest.mark.parametrize("name", ["enhance-x1", "enhance-x2"])
def test_receptive_radius_is_what_the_network_says(name):
    """The input pixels that the result's middle pixels depend on, found by differentiating."""
    network = enhancer.build(weights.entry(name).architecture)
    network.load_state_dict(weights.load(name))
    middle = 40
    x = torch.rand(1, 3, 2 * middle, 2 * middle, requires_grad=True)
    at = middle * network.scale
    network(x)[..., at : at + 2, at : at + 2].sum().backward()
    rows = x.grad.abs().amax(dim=(0, 1, 3)).nonzero().flatten()
    assert max(middle - rows.min().item(), rows.max().item() - middle) <= network.radius
    assert rows.max() - rows.min() >= 2 * network.radius - 2


@pytest.mark.parametrize("size", [(1, 1), (1, 2), (3, 1), (7, 5), (16, 33), (130, 97)])
@pytest.mark.parametrize("scale", [1, 2, 4])
def test_sizes(runner, size, scale):
    frames = torch.randint(0, 256, (1, 3, *size), dtype=torch.uint8)
    result = runner(frames, parameters(scale=scale, denoise=1))
    assert result.dtype == torch.uint8
    assert result.shape == (1, 3, size[0] * scale, size[1] * scale)


CUT = [
    {"scale": 1},
    {"scale": 2},
    {"scale": 2, "denoise": 0.7, "strength": 0.8},
    {"scale": 4, "denoise": 1, "deblur": 0.6},
]


@pytest.mark.parametrize("given", CUT)
def test_tiled_equals_whole(monkeypatch, runner, frames, given):
    """The halo is what each choice of networks needs, and no less."""
    frames = frames[..., :128, :130]
    whole = runner(frames, parameters(**given))
    monkeypatch.setattr(effect, "_TILES", dict.fromkeys((1, 2, 4), 34))
    assert levels(runner(frames, parameters(**given)), whole) <= 1


def test_a_large_picture_is_cut_without_seams(runner):
    params = parameters(scale=2)
    declared = Tiling(size=effect._TILES[2], halo=runner.effect.halo(params))
    length = declared.size + 2 * declared.halo + 3
    row = torch.from_numpy(np.tile(quality.held_out("coffee")[100:133], (1, 2, 1))[:, :length].copy())
    frames = row.permute(2, 0, 1)[None]
    cuts = tiling.spans(length + 1, declared, 2)
    assert len(cuts) == 2
    result = runner(frames, params)
    # A window around the cut, enlarged alone.
    cut = cuts[0][1]
    window = frames[..., cut - 60 : cut + 60]
    alone = runner(window, params)
    assert levels(result[..., 2 * (cut - 20) : 2 * (cut + 20)], alone[..., 80:160]) <= 1


def test_what_would_become_too_large_is_refused(runner):
    frames = torch.empty(1, 3, 1, 1).expand(1, 3, 8000, 8000)
    with pytest.raises(InvalidParameters, match="smaller scale"):
        runner.effect.apply(frames, parameters(scale=4))


@pytest.mark.parametrize("scale", [1, 2])
def test_batch_equals_singles(runner, frames, scale):
    batch = torch.cat([frames, frames.flip(-1), 255 - frames])
    together = runner(batch, parameters(scale=scale))
    singles = torch.cat([runner(frame, parameters(scale=scale)) for frame in batch.split(1)])
    assert levels(together, singles) <= 1
    assert torch.equal(together, runner(batch, parameters(scale=scale)))


def test_strength_0_at_scale_1_is_the_identity(runner, frames):
    assert torch.equal(runner(frames, parameters(scale=1, strength=0)), frames)


def test_strength_blends(runner, frames):
    frames = frames // 2 + 64  # nothing is clipped
    none, half, full = (runner(frames, parameters(strength=strength)).float() for strength in (0, 0.5, 1))
    torch.testing.assert_close(half, (none + full) / 2, atol=1.01, rtol=0)
    assert (full - none).abs().max() > 10


def test_denoise_takes_more_noise_the_higher_it_is(runner):
    grey = quality.damaged(np.full((64, 64, 3), 128, np.uint8), quality=90)
    results = [quality.enhanced(runner, grey, denoise=denoise) for denoise in (0, 0.5, 1)]
    deviations = [result.std() for result in results]
    assert deviations[0] > deviations[1] > deviations[2]
    assert deviations[2] < 0.5 * deviations[0]


@pytest.mark.parametrize("given", [{"scale": 1}, {"scale": 2}, {"scale": 2, "denoise": 1}])
def test_flat_colour_keeps_its_colour(runner, given):
    for colour in ((0, 0, 0), (255, 255, 255), (128, 128, 128), (224, 172, 140), (200, 30, 40)):
        flat = torch.tensor(colour, dtype=torch.uint8).reshape(1, 3, 1, 1).expand(1, 3, 48, 48)
        result = runner(flat, parameters(**given))
        difference = result.float().mean(dim=(-1, -2)) - flat.float().mean(dim=(-1, -2))
        assert difference.abs().max() <= 1.5
        assert result.float().std(dim=(-1, -2)).max() <= 1.5


def test_better_than_bicubic_and_than_the_damage(monkeypatch, runner):
    monkeypatch.setattr(quality, "Runner", lambda effect: runner)
    figures = quality.main()
    assert figures["mean_x2_gain"] >= 2.8
    assert figures["mean_x1_gain"] >= 2.0
    assert figures["mean_x2_damaged_gain"] >= 0.95
    assert all(figures[f"{name}_{gain}"] > 0 for name in quality.HELD_OUT for gain in ("x2_gain", "x1_gain"))


def test_judged_by_no_picture_that_was_trained_on():
    for name in ("enhance-x1", "enhance-x2"):
        assert not any(picture in weights.entry(name).source for picture in quality.HELD_OUT)


def test_tampered_weights_are_refused(monkeypatch, tmp_path):
    shutil.copytree(weights.FOLDER, tmp_path / "weights")
    path = tmp_path / "weights" / "enhance-x2.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    there = types.SimpleNamespace(
        entry=lambda name: weights.entry(name, path.parent), load=lambda name: weights.load(name, path.parent)
    )
    monkeypatch.setattr("mayfly.effects.library.enhance.effect.weights", there)
    with pytest.raises(WeightsError):
        Runner(Enhance())


def test_weights_of_another_architecture_are_refused(monkeypatch, tmp_path):
    shutil.copytree(weights.FOLDER, tmp_path / "weights")
    manifest = tmp_path / "weights" / "manifest.json"
    entries = json.loads(manifest.read_text())
    for entry in entries:
        entry["architecture"]["network"] = "other"
    manifest.write_text(json.dumps(entries))
    with pytest.raises(WeightsError):
        enhancer.build(weights.entry("enhance-x2", manifest.parent).architecture)
