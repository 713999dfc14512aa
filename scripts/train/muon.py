"""Muon: momentum whose matrices are made orthogonal, for convolutions; learns in fewer steps than Adam.

Jordan et al., Muon: an optimizer for hidden layers in neural networks, 2024; scaled to Adam's step size as by
Liu et al., Muon is scalable for LLM training, 2025.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor


class Muon:
    """Steps for weights of two and more dimensions, seen as (out, in·height·width) matrices."""

    def __init__(self, weights: Iterable[Tensor], *, momentum: float = 0.95) -> None:
        """Begin with no momentum."""
        self.weights = list(weights)
        self.momentum = momentum
        self.buffers = [torch.zeros_like(weight) for weight in self.weights]

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """One step of learning rate `rate`, which means about what it means to Adam."""
        for weight, buffer in zip(self.weights, self.buffers, strict=True):
            if weight.grad is None:
                continue
            buffer.lerp_(weight.grad, 1 - self.momentum)
            # Nesterov's look ahead.
            update = weight.grad.lerp(buffer, self.momentum).flatten(1)
            update = orthogonal(update) * (0.2 * max(update.shape) ** 0.5)
            weight.add_(update.view_as(weight), alpha=-rate)


def orthogonal(matrix: Tensor, steps: int = 5) -> Tensor:
    """The nearest matrix of singular values near 1, by Newton and Schulz' iteration, of (rows, columns)."""
    x = matrix / (matrix.norm() + 1e-12)
    turned = x.shape[0] > x.shape[1]
    x = x.T if turned else x
    for _ in range(steps):
        square = x @ x.T
        x = 3.4445 * x + (-4.7750 * square + 2.0315 * square @ square) @ x
    return x.T if turned else x
