"""The staircase has its treads and no cliffs."""

from __future__ import annotations

import torch

from mayfly.effects.library.anime import tone

VALUES = torch.linspace(-0.5, 0.5, 4001)


def test_hardness_one_is_the_identity() -> None:
    torch.testing.assert_close(tone.soft_steps(VALUES, 0.1, torch.ones_like(VALUES)), VALUES, atol=1e-5, rtol=0)


def test_hard_steps_are_flat_between_risers_and_never_jump() -> None:
    stepped = tone.soft_steps(VALUES, 0.1, torch.full_like(VALUES, 8.0))
    steps = stepped.diff()
    assert float(steps.min()) > -1e-6
    # A riser is at most as much steeper than the input as it is hard.
    assert float(steps.max()) < 8.5 * float(VALUES.diff().max())
    on_treads = ((VALUES / 0.1) - (VALUES / 0.1).round()).abs() < 0.3
    torch.testing.assert_close(stepped[on_treads], (VALUES[on_treads] / 0.1).round() * 0.1, atol=2e-3, rtol=0)
