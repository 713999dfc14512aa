"""No effect takes more memory than it says, and short memory makes batches and tiles smaller, not results."""

import pytest
import skimage.data
import torch

from mayfly.effects import memory, registry
from mayfly.effects.contract import Tiling
from mayfly.effects.runner import Runner

LIBRARY = [
    name
    for name, effect in registry.load().items()
    if effect.__module__.startswith(f"{registry.library.__name__}.") and not effect.declaration.report
]
CPU = torch.device("cpu")
GIB = 1024**3
# Those that take the most, beside each effect's defaults.
HEAVY = [
    ("anime", {"style": "ink"}),
    ("anime", {"style": "watercolour"}),
    ("enhance", {"scale": 1, "low_light": 1, "deblur": 1}),
    ("body", {"slim": 1, "head": -1}),
    ("enhance", {"scale": 4, "denoise": 1, "deblur": 1}),
    ("expression", {"smile": 1, "mouth_open": 1, "eyes_open": -1}),
    ("fashion", {"pattern": "tartan"}),
    ("retouch", {"slim": 1, "eye_size": 1}),
    ("segment", {"output": "blur"}),
    ("segment", {"output": "replace", "wrap": 1}),
    ("segment", {"region": "hair"}),
]


def peak(run):
    """Bytes that torch's allocator had lent at most while `run` ran."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        run()
    found = [event for event in profile.profiler.kineto_results.events() if event.name() == "[memory]"]
    lent = most = 0
    for event in sorted(found, key=lambda event: event.start_ns()):
        lent += event.nbytes()
        most = max(most, lent)
    return most


def test_the_measure_sees_what_is_lent():
    def run():
        first, second = torch.ones(1_000_000), torch.ones(1_000_000)
        third = first * second
        del first, second
        return third.sum()

    assert 12_000_000 <= peak(run) <= 12_100_000


def picture():
    """(1, 3, 512, 512) uint8: an upright person with a face."""
    return torch.from_numpy(skimage.data.astronaut()).permute(2, 0, 1)[None].contiguous()


@pytest.mark.parametrize(("name", "given"), [(name, {}) for name in LIBRARY] + HEAVY)
def test_no_effect_takes_more_than_it_says(name, given):
    runner, frame = Runner(registry.find(name)()), picture()
    if name == "enhance":
        # It needs no face, and its largest enlargement of the whole takes a minute.
        frame = frame[..., :256, 128:384]
    params = registry.parameters(name, given)
    allowed = runner.effect.working_bytes(params) * frame.shape[-1] * frame.shape[-2]
    # Weights are loaded once, and are no working memory.
    nobody = {"missing": "ignore"} if hasattr(params, "missing") else {}
    runner(frame[..., ::4, ::4], registry.parameters(name, given | nobody))
    assert peak(lambda: runner(frame, params)) <= allowed
    video = runner.video(params)
    video(frame)
    assert peak(lambda: video(frame)) <= allowed


def test_short_memory_means_fewer_frames_at_once(monkeypatch):
    runner = Runner(registry.find("anime")())
    params = registry.parameters("anime", {})
    calls, apply = [], runner.effect.apply
    monkeypatch.setattr(
        runner.effect, "apply", lambda frames, params: calls.append(len(frames)) or apply(frames, params)
    )
    given = picture()[..., ::4, ::4].repeat(4, 1, 1, 1)
    whole = runner(given, params)
    monkeypatch.setattr(memory, "budget", lambda device: 2 * runner.effect.working_bytes(params) * 128 * 128)
    assert torch.equal(runner(given, params), whole)
    assert calls == [4, 2, 2]


def test_one_frame_is_the_least():
    assert memory.frames(10**9, 4000, 4000, CPU) == 1


@pytest.mark.parametrize(
    ("room", "expected"), [(GIB, 704), (500 * 2 * 736**2, 704), (500 * 2 * 736**2 - 1, 352), (1, 88)]
)
def test_short_memory_means_smaller_tiles(monkeypatch, room, expected):
    monkeypatch.setattr(memory, "budget", lambda device: room)
    found = memory.tiling(Tiling(size=704, halo=16), 500, 2, 2, CPU)
    assert (found.size, found.halo) == (expected, 16)


def test_smaller_tiles_change_no_more_than_a_level(monkeypatch):
    runner, frame = Runner(registry.find("enhance")()), picture()[..., :256, 128:384]
    params = registry.parameters("enhance", {})
    whole = runner(frame, params).to(torch.int16)
    monkeypatch.setattr(memory, "budget", lambda device: 1)
    assert (runner(frame, params).to(torch.int16) - whole).abs().max() <= 1


def test_a_processor_gets_no_more_than_its_share(monkeypatch):
    free = type("Memory", (), {"available": 100 * 1024**2})
    monkeypatch.setattr(memory.psutil, "virtual_memory", lambda: free)
    assert memory.budget(CPU) == 50 * 1024**2
    free.available = 64 * GIB
    assert memory.budget(CPU) == 384 * 1024**2
