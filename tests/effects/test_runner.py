"""The runner: dtype, padding and smaller batches, whatever the effect does."""

import pytest
import torch

from mayfly.effects.contract import Declaration, Effect, Parameters, Tiling
from mayfly.effects.runner import Runner


class Nothing(Parameters):
    pass


def make(function, *, scale=1, **declared):
    """A runner of an effect that notes what `apply` gets."""

    class Made(Effect[Nothing]):
        declaration = Declaration(name="made", summary="for a test", parameters=Nothing, **declared)
        seen: list[torch.Tensor] = []  # noqa: RUF012
        setups = 0

        def setup(self, device):
            type(self).setups += 1

        def scale(self, params):
            return scale

        def apply(self, frames, params):
            self.seen.append(frames)
            return function(frames)

    return Runner(Made())


def frames(count=1, height=5, width=7):
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, 3, height, width), dtype=torch.uint8, generator=generator)


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_every_level_comes_back(dtype):
    runner = make(lambda x: x, dtype=dtype)
    levels = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16).expand(1, 3, 16, 16)
    result = runner(levels, Nothing())
    assert torch.equal(result, levels)
    (seen,) = runner.effect.seen
    assert seen.dtype == getattr(torch, dtype)
    assert seen.max() == (255 if dtype == "uint8" else 1.0)


def test_sixteen_bits_stay_sixteen():
    runner = make(lambda x: x)
    assert (runner.depth, make(lambda x: x, dtype="uint8").depth) == (16, 8)
    levels = torch.arange(65536).reshape(1, 1, 256, 256).expand(1, 3, 256, 256).to(torch.uint16)
    result = runner(levels, Nothing())
    assert result.dtype == torch.uint16
    assert torch.equal(result.int(), levels.int())
    (seen,) = runner.effect.seen
    assert (seen.dtype, float(seen.max())) == (torch.float32, 1.0)
    brighter = make(lambda x: x * 2 - 0.5)(levels, Nothing()).int()
    assert (brighter.min(), brighter.max()) == (0, 65535)


def test_values_are_rounded_and_clipped():
    runner = make(lambda x: torch.tensor([-0.5, 0.5004, 1.5]).reshape(1, 3, 1, 1).expand_as(x), dtype="float32")
    assert runner(frames(), Nothing())[0, :, 0, 0].tolist() == [0, 128, 255]


@pytest.mark.parametrize(("height", "width"), [(1, 1), (5, 7), (8, 8), (9, 16)])
def test_sizes_are_padded_with_the_edge_and_cropped(height, width):
    given = frames(2, height, width)
    runner = make(lambda x: x, dtype="uint8", multiple=8)
    assert torch.equal(runner(given, Nothing()), given)
    (seen,) = runner.effect.seen
    assert seen.shape[-2] % 8 == seen.shape[-1] % 8 == 0
    assert torch.equal(seen[..., -1, :width], given[..., -1, :])
    assert torch.equal(seen[..., :height, -1], given[..., :, -1])


def test_what_is_larger_is_cropped_to_the_scale():
    runner = make(lambda x: x.repeat_interleave(2, -1).repeat_interleave(2, -2), scale=2, dtype="uint8", multiple=4)
    given = frames(1, 5, 7)
    result = runner(given, Nothing())
    assert result.shape == (1, 3, 10, 14)
    assert torch.equal(result[..., ::2, ::2], given)


def test_large_frames_come_in_tiles():
    runner = make(lambda x: x, dtype="uint8", tiling=Tiling(size=16, halo=4))
    given = frames(1, 50, 40)
    assert torch.equal(runner(given, Nothing()), given)
    assert len(runner.effect.seen) > 4
    assert max(max(tile.shape[-2:]) for tile in runner.effect.seen) <= 24


def test_a_batch_that_is_too_large_for_memory_is_halved():
    def function(x):
        if len(x) > 2:
            raise torch.OutOfMemoryError
        return 255 - x

    given = frames(7)
    runner = make(function, dtype="uint8")
    assert torch.equal(runner(given, Nothing()), 255 - given)
    assert [len(seen) for seen in runner.effect.seen] == [7, 3, 1, 2, 4, 2, 2]


def test_a_frame_that_is_too_large_for_memory_is_an_error():
    def function(x):
        raise torch.OutOfMemoryError

    with pytest.raises(torch.OutOfMemoryError):
        make(function, dtype="uint8")(frames(2), Nothing())


def test_set_up_happens_once_and_no_gradient_is_kept():
    runner = make(lambda x: x * torch.nn.Parameter(torch.ones(1)), dtype="float32")
    given = frames()
    for _ in range(2):
        result = runner(given, Nothing())
        assert not result.requires_grad
    assert runner.effect.setups == 1
    assert torch.equal(given, frames())


class Trail(Effect[Nothing]):
    """Each frame with half of what was shown before."""

    declaration = Declaration(name="trail", summary="for a test", parameters=Nothing, temporal_context=16)
    largest = 100

    def apply(self, frames, params):
        return frames

    def apply_next(self, frames, params, state):
        if len(frames) > self.largest:
            raise torch.OutOfMemoryError
        shown = []
        for frame in frames:
            state = frame if state is None else (state + frame) / 2
            shown.append(state)
        return torch.stack(shown), state


def test_a_video_is_remembered_from_batch_to_batch():
    given = frames(6)
    whole = Runner(Trail()).video(Nothing())(given)
    parts = Runner(Trail()).video(Nothing())
    assert torch.equal(torch.cat([parts(part) for part in given.split([1, 3, 2])]), whole)
    assert not torch.equal(whole, given)


def test_two_videos_remember_nothing_of_each_other():
    runner, given = Runner(Trail()), frames(4)
    first, second = runner.video(Nothing()), runner.video(Nothing())
    first(255 - given)
    assert torch.equal(second(given), runner.video(Nothing())(given))


def test_what_is_remembered_survives_a_batch_that_is_too_large():
    given, small = frames(7), Trail()
    small.largest = 2
    assert torch.equal(Runner(small).video(Nothing())(given), Runner(Trail()).video(Nothing())(given))


def test_a_picture_remembers_nothing():
    given = frames(3)
    assert torch.equal(Runner(Trail())(given, Nothing()), given)
