"""The network of `enhance`: a compact residual network that predicts what plain interpolation lacks."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from mayfly.effects.errors import WeightsError


class _Block(nn.Module):
    """Two convolutions around one activation, added to their input; no normalisation (Lim et al., EDSR, 2017)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        correction: Tensor = self.second(functional.leaky_relu_(self.first(x), 0.1))
        return x + correction


class Enhancer(nn.Module):
    """All convolutions run at low resolution; sub-pixel convolution (Shi et al., ESPCN, 2016) makes the result.

    With scale 2 the input is the low-resolution picture. With scale 1 it is first folded 2×2 into channels, which
    makes restoration four times cheaper per pixel.
    """

    def __init__(self, *, scale: int, width: int, blocks: int) -> None:
        """Build it with random weights; `scale` is 1 or 2, `width` the channels of the `blocks` residual blocks."""
        super().__init__()
        self.fold = 2 // scale
        self.scale = scale
        self.blocks = blocks
        self.head = nn.Conv2d(3 * self.fold**2, width, 3, padding=1)
        self.body = nn.Sequential(*(_Block(width) for _ in range(blocks)))
        self.tail = nn.Conv2d(width, 12, 3, padding=1)

    @property
    def radius(self) -> int:
        """Receptive radius in input pixels."""
        return (2 * self.blocks + 2) * self.fold + self.fold - 1

    def forward(self, x: Tensor) -> Tensor:
        """Predict the difference between the enhanced and the interpolated picture.

        Args:
            x: (N, 3, H, W) RGB in 0…1; H and W are even where scale is 1.

        Returns:
            (N, 3, H·scale, W·scale), of x's dtype, to be added to `interpolate(x, scale)`.
        """
        features = self.head(functional.pixel_unshuffle(x, self.fold) if self.fold > 1 else x)
        return functional.pixel_shuffle(self.tail(features + self.body(features)), 2)


def build(architecture: Mapping[str, str | int]) -> Enhancer:
    """The network that a manifest's entry describes. Raises WeightsError."""
    match architecture:
        case {"network": "enhancer", "scale": int(scale), "width": int(width), "blocks": int(blocks)}:
            return Enhancer(scale=scale, width=width, blocks=blocks)
    raise WeightsError("the manifest describes another network than this effect's; install mayfly again")


def interpolate(x: Tensor, scale: int) -> Tensor:
    """The picture that the network corrects: bicubic enlargement, or x itself where scale is 1."""
    if scale == 1:
        return x
    return functional.interpolate(x, scale_factor=scale, mode="bicubic", align_corners=False)


def initialise(network: Enhancer) -> None:
    """Start training from plain interpolation: the last convolution and every block's last are scaled down."""
    with torch.no_grad():
        for block in network.body:
            assert isinstance(block, _Block)
            block.second.weight.mul_(0.1)
        network.tail.weight.mul_(0.1)
        assert network.tail.bias is not None
        network.tail.bias.zero_()
