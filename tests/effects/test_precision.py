"""Half precision, forced upon a CPU, changes results by no more than is stated; CUDA itself is not tried here."""

import pytest
import skimage.data
import torch

from mayfly.effects import precision, registry
from mayfly.effects.models.installed import Model
from mayfly.effects.runner import Runner
from tests.effects import checkpoints

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


def picture():
    return torch.from_numpy(skimage.data.astronaut()[40:200, 140:300].copy()).permute(2, 0, 1)[None]


@pytest.mark.parametrize("scale", sorted(precision.CORRECTION_LEVELS))
def test_corrections_in_bfloat16(monkeypatch, scale):
    results = []
    for dtype in (torch.float32, torch.bfloat16):
        monkeypatch.setattr(precision, "for_corrections", lambda device, dtype=dtype: dtype)
        runner = Runner(registry.find("enhance")())
        assert next(runner.effect._restore.parameters()).dtype == dtype
        results.append(runner(picture(), registry.parameters("enhance", {"scale": scale})).to(torch.int16))
    levels = (results[0] - results[1]).abs()
    assert 0 < levels.max() <= precision.CORRECTION_LEVELS[scale]


@pytest.mark.parametrize("make", [checkpoints.animegan, checkpoints.compact, checkpoints.esrgan])
def test_pictures_in_float16(monkeypatch, tmp_path, make):
    state = torch.load(make(tmp_path / "model.pth"), weights_only=True)
    model = Model(state.get("params", state), CPU)
    given = picture()[..., :64, :64].float() / 255
    exact = model(given)
    monkeypatch.setattr(precision, "for_pictures", lambda device, *, supported: torch.autocast("cpu", torch.float16))
    half = model(given)
    assert half.dtype == torch.float32
    levels = (half - exact).abs() * 255
    assert 0 < levels.max() <= precision.PICTURE_LEVELS


def test_the_formats_of_a_device(monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": False})
    assert precision.for_corrections(CPU) == torch.float32
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": True})
    assert precision.for_corrections(CPU) == torch.bfloat16
    for native, expected in ((True, torch.bfloat16), (False, torch.float32)):
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda *, including_emulation, native=native: native)
        assert precision.for_corrections(CUDA) == expected


def test_float16_is_for_networks_on_cuda_that_bear_it(monkeypatch):
    monkeypatch.setattr(torch, "autocast", lambda device, dtype: (device, dtype))
    assert precision.for_pictures(CUDA, supported=True) == ("cuda", torch.float16)
    for device, supported in ((CPU, True), (CUDA, False)):
        assert not isinstance(precision.for_pictures(device, supported=supported), tuple)
