"""What enhance does beside enlarging by two: by four, in the dark, in videos, with installed models."""

import numpy as np
import pytest
import skimage.metrics
import torch
from PIL import Image, ImageFilter
from torch.nn import functional

from benchmarks import enhance_quality as quality
from mayfly.effects import registry
from mayfly.effects.errors import UnknownModel
from mayfly.effects.library.enhance import Enhance
from mayfly.effects.models import enhancer, install, installed
from mayfly.effects.runner import Runner
from mayfly.effects.shared import colour
from tests.effects import checkpoints


@pytest.fixture(scope="module")
def runner():
    return Runner(Enhance())


@pytest.fixture
def folder(folder, tmp_path):
    about = {"version": "1", "licence": "BSD-3-Clause", "origin": "this test"}
    install.add(checkpoints.compact(tmp_path / "a.pth"), folder, name="compact", **about)
    install.add(checkpoints.esrgan(tmp_path / "b.pth"), folder, name="esrgan", **about)


def params(**given):
    return registry.parameters("enhance", given)


def frames_of(picture):
    return torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1)[None]


def picture_of(frames):
    return frames[0].permute(1, 2, 0).numpy()


@pytest.mark.parametrize("name", ["astronaut", "motorcycle"])
def test_by_four_is_better_than_bicubic(runner, name):
    truth = quality.held_out(name)[:384, :384]
    low = quality.reduced(quality.reduced(truth))
    enlarged = quality.enhanced(runner, low, scale=4)
    assert enlarged.shape == truth.shape
    assert quality.psnr(enlarged, truth) > quality.psnr(quality.bicubic(quality.bicubic(low)), truth) + 0.7


def test_by_four_is_twice_by_two(runner):
    low = quality.held_out("coffee")[100:150, 100:160]
    once = quality.enhanced(runner, low, scale=4).astype(int)
    twice = quality.enhanced(runner, quality.enhanced(runner, low, scale=2), scale=2).astype(int)
    assert np.abs(once - twice).mean() < 0.6


def blurred(picture, sigma):
    return np.asarray(Image.fromarray(picture).filter(ImageFilter.GaussianBlur(sigma)))


@pytest.mark.parametrize("sigma", [1.0, 1.5])
@pytest.mark.parametrize("name", ["astronaut", "coffee", "motorcycle"])
def test_blur_is_taken_back(runner, name, sigma):
    """From a blurred picture, and from one with noise and JPEG damage as well."""
    truth = quality.held_out(name)[:300, :400]
    blurry = blurred(truth, sigma)
    bad = quality.damaged(blurry, noise=4, quality=80)
    for given, least in ((blurry, 1.2), (bad, 0.8)):
        restored = quality.enhanced(runner, given, scale=1, deblur=sigma / 2)
        assert quality.psnr(restored, truth) > quality.psnr(given, truth) + least


def test_deblurring_before_enlarging(runner):
    truth = quality.held_out("astronaut")
    low = blurred(quality.reduced(truth), 1.0)
    plain, sharp = (quality.enhanced(runner, low, deblur=deblur) for deblur in (0, 0.5))
    assert quality.psnr(sharp, truth) > quality.psnr(plain, truth) + 1


def darkened(picture, share=0.05, noise=4.0):
    """As if so much of the light had fallen in, with grain of so many levels."""
    linear = colour.srgb_to_linear(torch.from_numpy(picture.copy()).float() / 255) * share
    dark = colour.linear_to_srgb(linear).numpy() * 255
    return np.clip(dark + np.random.default_rng(0).normal(0, noise, dark.shape), 0, 255).round().astype(np.uint8)


@pytest.mark.parametrize("name", ["astronaut", "coffee", "motorcycle"])
def test_low_light_is_nearer_to_the_picture_before_the_dark(runner, name):
    truth = quality.held_out(name)[:300, :400]
    dark = darkened(truth)
    lit = quality.enhanced(runner, dark, scale=1, low_light=1)
    plain = quality.enhanced(runner, dark, scale=1)
    alike = [skimage.metrics.structural_similarity(image, truth, channel_axis=2) for image in (dark, plain, lit)]
    assert quality.psnr(lit, truth) > quality.psnr(dark, truth) + 6
    assert quality.psnr(lit, truth) > quality.psnr(plain, truth) + 6
    assert alike[2] > max(alike[:2]) + 0.2


def test_lifted_shadows_are_cleaned_of_their_grain(runner):
    grey = darkened(np.full((96, 96, 3), 120, np.uint8))
    lit = quality.enhanced(runner, grey, scale=1, low_light=1, strength=0)
    gain = lit.mean() / grey.mean()
    assert gain > 2
    assert lit.std() < 0.6 * gain * grey.std()


def test_low_light_leaves_a_well_lit_picture(runner):
    bright = frames_of(quality.held_out("chelsea") // 2 + 115)
    result = runner(bright, params(scale=1, strength=0, low_light=1))
    assert (result.float() - bright).abs().max() <= 1


def test_low_light_is_judged_by_the_whole_picture(runner, monkeypatch):
    """Cutting into tiles does not show."""
    from mayfly.effects.library.enhance import effect

    dark = frames_of(darkened(quality.held_out("coffee")[:128, :130]))
    whole = runner(dark, params(scale=1, low_light=1))
    monkeypatch.setattr(effect, "_TILES", dict.fromkeys((1, 2, 4), 34))
    assert (runner(dark, params(scale=1, low_light=1)).float() - whole).abs().max() <= 1


def video(count, deviation):
    """(N, 3, 96, 128) uint8: a still scene with grain of so many levels."""
    still = frames_of(quality.held_out("coffee")[100:196, 100:228]).expand(count, -1, -1, -1).float()
    noise = deviation * torch.randn(still.shape, generator=torch.Generator().manual_seed(1))
    return (still + noise).round().clamp(0, 255).to(torch.uint8)


@pytest.mark.parametrize("given", [{}, {"scale": 1}, {"denoise": 1}, {"scale": 1, "low_light": 1}])
@pytest.mark.parametrize("deviation", [2.0, 8.0])
def test_a_still_scene_with_grain_does_not_flicker(runner, given, deviation):
    source = video(8, deviation)
    if "low_light" in given:
        source = source // 6
    shown = runner.video(params(**given))(source)
    assert shown[4:].float().diff(dim=0).abs().mean() <= 1.3 * source[4:].float().diff(dim=0).abs().mean()


def test_a_video_in_parts_is_the_video_and_identity_stays_identity(runner):
    source = video(6, 5.0)
    whole = runner.video(params())(source)
    parts = runner.video(params())
    assert torch.equal(torch.cat([parts(part) for part in source.split([1, 3, 2])]), whole)
    assert torch.equal(runner.video(params(scale=1, strength=0))(source), source)


def test_a_moving_object_leaves_no_trail(runner):
    ground = frames_of(quality.held_out("coffee")[100:196, 100:228])
    clean = ground.repeat(7, 1, 1, 1) // 2
    for index, frame in enumerate(clean):
        frame[:, 30:60, 10 + 10 * index : 34 + 10 * index] = 230
    noise = 2 * torch.randn(clean.shape, generator=torch.Generator().manual_seed(2))
    source = (clean + noise).round().clamp(0, 255).to(torch.uint8)
    shown = runner.video(params(scale=1))(source)[-1].float()
    behind = (slice(None), slice(32, 58), slice(12, 66))
    assert (shown - clean[-1])[behind].abs().mean() < 3


@pytest.mark.parametrize("size", [(1, 1), (5, 3), (40, 31), (290, 20)])
@pytest.mark.parametrize(("name", "scale"), [("compact", 2), ("esrgan", 4)])
def test_an_installed_model_enlarges_by_its_own_scale(folder, runner, name, scale, size):
    frames = torch.randint(0, 256, (1, 3, *size), dtype=torch.uint8, generator=torch.Generator().manual_seed(3))
    assert runner(frames, params(model=name)).shape == (1, 3, size[0] * scale, size[1] * scale)


def test_a_model_gives_what_spandrel_gives_and_strength_blends_it(folder, runner):
    frames = frames_of(quality.held_out("coffee")[100:140, 100:160] // 2 + 64)  # nothing is clipped
    expected = installed.get("compact", torch.device("cpu"), "enlarge")(frames.float() / 255)
    full, half, none = (runner(frames, params(model="compact", strength=s)).float() / 255 for s in (1, 0.5, 0))
    torch.testing.assert_close(full, expected, atol=0.003, rtol=0)
    plain = enhancer.interpolate(frames.float() / 255, 2).clamp(0, 1)
    torch.testing.assert_close(none, plain, atol=0.003, rtol=0)
    torch.testing.assert_close(half, (plain + expected) / 2, atol=0.006, rtol=0)


def test_a_models_tiles_have_no_seams(folder, runner, monkeypatch):
    from mayfly.effects.library.enhance import effect

    frames = frames_of(quality.held_out("coffee")[100:200, 100:220])
    whole = runner(frames, params(model="compact")).float()
    monkeypatch.setattr(effect, "_MODEL_TILE", 32)
    assert (runner(frames, params(model="compact")).float() - whole).abs().max() <= 1


def test_an_unknown_model_is_named_by_its_code(folder, runner):
    frames = video(1, 0)
    for given in ({"model": "absent"}, {"face_model": "absent"}, {"face_model": "compact"}):
        with pytest.raises(UnknownModel):
            runner(frames, params(**given))


def test_a_face_model_restores_faces_and_nothing_else(runner, monkeypatch):
    def darker(crop):
        assert crop.shape == (1, 3, 512, 512)
        return crop * 0.7

    monkeypatch.setattr(installed, "get", lambda name, device, *purposes: darker)
    frames = frames_of(quality.held_out("astronaut")[:300])
    with_model = runner(frames, params(scale=1, face_model="face")).float()
    without = runner(frames, params(scale=1)).float()
    change = (with_model - without).mean(1)[0]
    assert change[90:170, 200:250].mean() < -20
    assert functional.avg_pool2d(change.abs()[None, :, 350:], 8).max() == 0


def test_without_a_face_a_face_model_does_nothing(runner, monkeypatch):
    monkeypatch.setattr(installed, "get", lambda name, device, *purposes: torch.zeros_like)
    frames = frames_of(quality.held_out("coffee")[100:200, 100:220])
    assert torch.equal(runner(frames, params(scale=1, face_model="face")), runner(frames, params(scale=1)))
