"""Enlarges pictures by two with more detail than interpolation gives, and removes noise and JPEG damage."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from effects import registry, weights
from effects.contract import Declaration, Effect, Parameters, Tag, Tiling
from effects.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

    from effects.networks.enhancer import Enhancer


class EnhanceParameters(Parameters):
    """At scale 1 and strength 0 the picture stays as it is; at scale 2 and strength 0 it is enlarged bicubically."""

    scale: int = Field(2, ge=1, le=2, description="2 doubles width and height; 1 keeps the size and restores")
    strength: float = Field(1.0, ge=0, le=1, description="how much of the networks' correction is applied")
    denoise: float = Field(
        0.0, ge=0, le=1, description="how much noise and JPEG damage is removed before enlarging; at scale 1 all of it"
    )


@registry.register
class Enhance(Effect[EnhanceParameters]):
    """Two networks of one architecture: one restores at full size, one enlarges; each adds to its input."""

    declaration = Declaration(
        name="enhance",
        summary="Makes pictures twice as large with crisp detail, or cleans them of noise and JPEG damage.",
        parameters=EnhanceParameters,
        tag=Tag.GPU,
        # The restoring network folds 2×2 pixels into one.
        multiple=2,
        # Both networks' receptive radii (25 and 12 pixels), and bicubic interpolation's, in whole folds.
        tiling=Tiling(size=704, halo=40),
        batch=2,
    )

    def setup(self, device: torch.device) -> None:
        self._dtype = _fast_dtype(device)
        self._restore = self._network("enhance-x1", device)
        self._enlarge = self._network("enhance-x2", device)

    def _network(self, name: str, device: torch.device) -> Enhancer:
        from effects.networks import enhancer

        network = enhancer.build(weights.entry(name).architecture)
        network.load_state_dict(weights.load(name))
        network.requires_grad_(requires_grad=False)
        # Channels that lie together are what the convolutions are fastest with.
        return network.to(device, self._dtype).to(memory_format=torch.channels_last)

    def scale(self, params: EnhanceParameters) -> int:
        return params.scale

    def apply(self, frames: Tensor, params: EnhanceParameters) -> Tensor:
        if frames.device.type != "cpu":
            return self._apply(frames, params)
        # One frame at a time stays in the CPU's caches and needs the least memory.
        return torch.cat([self._apply(frame, params) for frame in frames.split(1)])

    def _apply(self, frames: Tensor, params: EnhanceParameters) -> Tensor:
        from effects.networks import enhancer

        if params.scale == 1:
            return self._corrected(self._restore, frames, frames, params.strength)
        if params.strength and params.denoise:
            frames = self._corrected(self._restore, frames, frames, params.strength * params.denoise)
        return self._corrected(self._enlarge, frames, enhancer.interpolate(frames, 2), params.strength)

    def _corrected(self, network: Enhancer, frames: Tensor, plain: Tensor, strength: float) -> Tensor:
        if not strength:
            return plain.clone()
        given = frames.to(self._dtype, memory_format=torch.channels_last)
        return torch.add(plain, network(given).to(plain.dtype), alpha=strength).clamp_(0, 1)


def _fast_dtype(device: torch.device) -> torch.dtype:
    """bfloat16 where the processor multiplies it natively (three times faster), else float32.

    The networks predict small corrections that are added in float32, so the result moves by less than one level.
    """
    if device.type == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        features = torch.cpu.get_capabilities()
        native = bool(features.get("avx512_bf16") or features.get("amx_bf16"))
    return torch.bfloat16 if native else torch.float32
