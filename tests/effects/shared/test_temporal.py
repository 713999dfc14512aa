"""Steady video: grain calms down where nothing moves, nothing trails behind what does, a cut begins anew."""

import pytest
import torch
from skimage import data
from torch.nn import functional

from mayfly.effects.shared import temporal

GRAIN = 0.02


def scene(height=180, width=320):
    """(1, 3, H, W): a portrait."""
    picture = torch.from_numpy(data.astronaut()).permute(2, 0, 1)[None].float() / 255
    return functional.interpolate(picture, size=(height, width), mode="area")


def grainy(frames, seed=0, deviation=GRAIN):
    generator = torch.Generator().manual_seed(seed)
    return (frames + deviation * torch.randn(frames.shape, generator=generator)).clamp(0, 1)


def flicker(frames):
    return frames.diff(dim=0).abs().mean().item()


def error(frames, truth):
    return (frames - truth).abs().mean().item()


def test_a_still_scene_becomes_steady_and_keeps_its_detail():
    still = scene().expand(14, -1, -1, -1)
    given = grainy(still)
    shown, state = temporal.steadied(given, None)
    assert flicker(shown[8:]) < 0.25 * flicker(given[8:])
    assert error(shown[-1], still[0]) < 0.5 * error(given[-1], still[0])
    assert state.frame.shape == (1, 3, 180, 320)


def test_the_first_frame_is_itself():
    given = grainy(scene())
    assert torch.equal(temporal.steadied(given, None)[0], given)


def test_in_parts_as_in_one_and_the_state_is_left_alone():
    given = grainy(scene().expand(7, -1, -1, -1))
    whole, _ = temporal.steadied(given, None)
    first, state = temporal.steadied(given[:3], None)
    kept = state.frame.clone(), state.age.clone()
    second, _ = temporal.steadied(given[3:], state)
    again, _ = temporal.steadied(given[3:], state)
    assert torch.equal(torch.cat([first, second]), whole)
    assert torch.equal(second, again)
    assert torch.equal(state.frame, kept[0]) and torch.equal(state.age, kept[1])


@pytest.mark.parametrize("contrast", [0.03, 0.1, 0.4])
@pytest.mark.parametrize("speed", [1, 4, 12])
def test_nothing_trails_behind_what_moves(contrast, speed):
    clean = scene().repeat(12, 1, 1, 1)
    for index, frame in enumerate(clean):
        left = 40 + index * speed
        frame[:, 60:120, left : left + 60] = frame[:, 60:120, left : left + 60] * 0.3 + 0.35 + contrast
    given = grainy(clean)
    shown, _ = temporal.steadied(given, None)
    left = 40 + 11 * speed
    uncovered = (slice(-1, None), slice(None), slice(61, 119), slice(max(40, left - 6 * speed), left))
    inside = (slice(-1, None), slice(None), slice(61, 119), slice(left, left + 60))
    for where in (uncovered, inside):
        assert error(shown[where], clean[where]) < 1.1 * error(given[where], clean[where])


@pytest.mark.parametrize("speed", [0.25, 1, 3])
def test_a_camera_that_pans_blurs_nothing(speed):
    picture = torch.from_numpy(data.coffee()).permute(2, 0, 1)[None].float() / 255
    wide = functional.interpolate(picture, size=(180, 500), mode="area")
    clean = []
    for index in range(10):
        left, part = divmod(index * speed, 1)
        window = wide[..., int(left) : int(left) + 321]
        clean.append((1 - part) * window[..., :-1] + part * window[..., 1:])
    clean = torch.cat(clean)
    given = grainy(clean)
    shown, _ = temporal.steadied(given, None)
    assert error(shown[-1], clean[-1]) < error(given[-1], clean[-1])


def test_light_that_fades_does_not_lag():
    clean = torch.cat([scene() * (1 - 0.02 * index) for index in range(10)])
    given = grainy(clean, deviation=0.008)
    shown, _ = temporal.steadied(given, None)
    assert error(shown[-1], clean[-1]) < 1.1 * error(given[-1], clean[-1])


def test_a_cut_begins_anew():
    given = grainy(torch.cat([scene().expand(5, -1, -1, -1), 1 - scene().flip(3).expand(2, -1, -1, -1)]))
    shown, _ = temporal.steadied(given, None)
    torch.testing.assert_close(shown[5], given[5], atol=1e-5, rtol=0)


def test_another_size_begins_anew():
    _, state = temporal.steadied(grainy(scene()), None)
    other = grainy(scene(90, 70))
    assert torch.equal(temporal.steadied(other, state)[0], other)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (2, 3), (37, 1), (61, 83)])
def test_any_size(size):
    given = torch.rand(4, 3, *size, generator=torch.Generator().manual_seed(2))
    shown, _ = temporal.steadied(given, None)
    assert shown.shape == given.shape
    assert shown.isfinite().all() and shown.min() >= 0 and shown.max() <= 1
