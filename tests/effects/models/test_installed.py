"""What spandrel leaves to us about the networks that it reads."""

import types

import torch

from mayfly.effects.models import installed


def test_gfpgan_works_from_minus_one_to_one_and_without_random_noise():
    seen = []

    def network(image, *, return_rgb, randomize_noise):
        seen.append((image, randomize_noise))
        return image * 0.5, []

    given = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    result = installed._gfpgan(types.SimpleNamespace(model=network), given)
    [(image, randomize_noise)] = seen
    torch.testing.assert_close(image, given * 2 - 1)
    assert not randomize_noise
    torch.testing.assert_close(result, (given - 0.5) * 0.5 + 0.5)
