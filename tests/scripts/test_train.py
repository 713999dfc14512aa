"""Training of enhance: growing a network changes nothing, Muon goes downhill, hard places are known."""

import numpy as np
import torch
from safetensors.torch import save_file

from mayfly.effects.models.enhancer import Enhancer
from scripts.train import corpus, enhance, muon


def test_a_network_that_grew_is_the_network_that_it_was(tmp_path, monkeypatch):
    torch.manual_seed(0)
    small = Enhancer(scale=2, width=8, blocks=2)
    save_file(small.state_dict(), tmp_path / "small.safetensors")
    monkeypatch.setattr(enhance, "SIZES", {2: (8, 4)})
    grown = enhance.begun(2, tmp_path / "small.safetensors")
    x = torch.rand(1, 3, 12, 12)
    assert len(grown.body) == 4
    torch.testing.assert_close(grown(x), small(x))
    # The new blocks can learn.
    grown(x).square().mean().backward()
    assert grown.body[3].second.weight.grad.abs().max() > 0


def test_both_sizes_are_compact():
    for scale, (width, blocks) in enhance.SIZES.items():
        network = Enhancer(scale=scale, width=width, blocks=blocks)
        assert sum(value.numel() for value in network.parameters()) <= 400_000


def test_muons_update_is_nearly_orthogonal():
    matrix = torch.randn(8, 30, generator=torch.Generator().manual_seed(1))
    sizes = torch.linalg.svdvals(muon.orthogonal(matrix))
    assert sizes.min() > 0.5 and sizes.max() < 1.5


def test_muon_goes_downhill():
    torch.manual_seed(2)
    truth, weight = torch.randn(6, 10), torch.zeros(6, 10, requires_grad=True)
    optimiser = muon.Muon([weight])
    errors = []
    for _ in range(200):
        weight.grad = None
        error = (weight - truth).square().mean()
        error.backward()
        optimiser.step(0.05)
        errors.append(error.item())
    assert errors[-1] < 0.1 * errors[0]


def test_hardness_is_where_bicubic_fails():
    picture = np.full((64, 64, 3), 128, np.uint8)
    picture[:32, :32] = np.random.default_rng(0).integers(0, 256, (32, 32, 3))
    source = corpus.Source(picture)
    assert source.hardness(0, 0, 32) > 20 * source.hardness(32, 32, 32)
