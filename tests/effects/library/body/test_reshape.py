import torch

from mayfly.effects.library.body import reshape
from mayfly.effects.library.body.body_field import Change
from mayfly.effects.vision import finder
from tests.effects import figures
from tests.effects.library.body import bodies


def given(grid=False):
    picture = figures.standing(figures.grid() if grid else (186, 190, 196))[0]
    frame = bodies.frame(picture)
    find = finder.Finder()
    return frame[None].float() / 255, find.person(frame)[None], find.pose(frame)


def test_fills_are_remembered_and_followed():
    frame, mask, pose = given()
    change = Change(slim=1.0)
    first, fill = reshape.reshaped(frame, mask, pose, change, remember=True)
    assert fill is not None and fill.there.any()
    brighter = (frame + 0.02).clamp(0, 1)
    alone, _ = reshape.reshaped(brighter, mask, pose, change)
    followed, _ = reshape.reshaped(brighter, mask, pose, change, fill, remember=True)
    inside = fill.there.expand_as(first) > 0
    assert (followed - first)[inside].abs().mean() < (alone - first)[inside].abs().mean()
    # Colours that are others altogether are not held.
    dark = frame * 0.3
    fresh, _ = reshape.reshaped(dark, mask, pose, change)
    after, _ = reshape.reshaped(dark, mask, pose, change, fill)
    assert (after - fresh).abs().max() < 0.02


def test_a_body_out_of_view_is_left():
    frame, mask, pose = given()
    result, fill = reshape.reshaped(frame[..., :100, :100], mask[..., :100, :100], pose, Change(legs=1.0))
    assert torch.equal(result, frame[..., :100, :100]) and fill is None
