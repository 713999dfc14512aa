"""The generator of AnimeGANv2 (Chen, Liu and Chen, 2020), in the layout of its published PyTorch checkpoints.

Names and shapes of the weights are those of github.com/bryandlee/animegan2-pytorch, whose checkpoints are
`celeba_distill`, `face_paint_512_v1`, `face_paint_512_v2` and `paprika`.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from mayfly.effects.errors import WeightsError

# What only this generator's checkpoints have.
_TELLS = ("block_a.0.1.weight", "block_c.1.layers.0.1.weight", "out_layer.0.weight")
# Frames are padded to multiples of this, as the published ones were trained.
MULTIPLE = 32


def _convolution(given: int, wanted: int, *, kernel: int = 3, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """Reflected border, convolution, normalisation over all channels, leaky ReLU."""
    edge = kernel // 2
    # A stride of two looks to the right and down only.
    padding = (0, 1, 0, 1) if stride == 2 else (edge,) * 4
    return nn.Sequential(
        nn.ReflectionPad2d(padding),
        nn.Conv2d(given, wanted, kernel, stride, groups=groups, bias=groups > 1),
        nn.GroupNorm(1, wanted),
        nn.LeakyReLU(0.2, inplace=True),
    )


class _Inverted(nn.Module):
    """An inverted residual block: wider, each channel by itself, narrow again (Sandler et al., MobileNetV2, 2018)."""

    def __init__(self, given: int, middle: int, wanted: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            _convolution(given, middle, kernel=1),
            _convolution(middle, middle, groups=middle),
            nn.Conv2d(middle, wanted, 1, bias=False),
            nn.GroupNorm(1, wanted),
        )

    def forward(self, x: Tensor) -> Tensor:
        narrow: Tensor = self.layers(x)
        return x + narrow if x.shape == narrow.shape else narrow


class Generator(nn.Module):
    """Down to a quarter, eight blocks, up again. Its normalisation looks at the whole picture, so it is not tiled."""

    def __init__(self, *, width: int = 32, blocks: int = 4) -> None:
        """Build it with random weights; published checkpoints have a `width` of 32 channels and 4 inverted blocks."""
        super().__init__()
        one, two, four, eight = width, 2 * width, 4 * width, 8 * width
        self.block_a = nn.Sequential(
            _convolution(3, one, kernel=7), _convolution(one, two, stride=2), _convolution(two, two)
        )
        self.block_b = nn.Sequential(_convolution(two, four, stride=2), _convolution(four, four))
        inverted = [_Inverted(four, eight, eight), *(_Inverted(eight, 2 * eight, eight) for _ in range(blocks - 1))]
        self.block_c = nn.Sequential(_convolution(four, four), *inverted, _convolution(eight, four))
        self.block_d = nn.Sequential(_convolution(four, four), _convolution(four, four))
        self.block_e = nn.Sequential(_convolution(four, two), _convolution(two, two), _convolution(two, one, kernel=7))
        self.out_layer = nn.Sequential(nn.Conv2d(one, 3, 1, bias=False), nn.Tanh())

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, H, W) in 0…1, sides of 4 pixels or more and multiples of 4, to the drawing, of the same shape."""
        start = self.block_a(x * 2 - 1)
        deep = self.block_c(self.block_b(start))
        middle = self.block_d(_enlarged(deep, start))
        drawn: Tensor = self.out_layer(self.block_e(_enlarged(middle, x)))
        return drawn * 0.5 + 0.5


def _enlarged(image: Tensor, like: Tensor) -> Tensor:
    return functional.interpolate(image, size=like.shape[-2:], mode="bilinear", align_corners=True)


def recognises(state: Mapping[str, Tensor]) -> bool:
    """Whether these weights look like this generator's."""
    return all(name in state for name in _TELLS)


def build(state: Mapping[str, Tensor]) -> Generator:
    """The generator with these weights, ready to run. Raises WeightsError."""
    try:
        blocks = len({name.split(".")[1] for name in state if name.startswith("block_c.") and ".layers." in name})
        network = Generator(width=state["block_a.0.1.weight"].shape[0], blocks=blocks)
        network.load_state_dict(dict(state))
    except (KeyError, IndexError, RuntimeError, ValueError):
        raise WeightsError("these weights are of no known AnimeGAN generator; choose another checkpoint") from None
    network.requires_grad_(requires_grad=False)
    return network.eval()


def drawn(network: Generator, frames: Tensor) -> Tensor:
    """(N, 3, H, W) in 0…1 of any size to its drawing in 0…1; the border is repeated up to whole multiples."""
    height, width = frames.shape[-2:]
    parameter = next(network.parameters())
    padding = (0, -width % MULTIPLE, 0, -height % MULTIPLE)
    padded = functional.pad(frames, padding, mode="replicate").to(parameter.dtype)
    with torch.inference_mode():
        result: Tensor = network(padded)
    return result[..., :height, :width].to(frames.dtype).clamp(0, 1)
