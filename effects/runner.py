"""Applies one effect to frames on one device: dtype, padding, tiles, and smaller batches when memory runs out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from effects import tiling
from effects.contract import AnyEffect, Parameters
from effects.lazy import functional, torch

if TYPE_CHECKING:
    from torch import Tensor


class Runner:
    """An effect that is set up on a device; one a worker process and effect, shared by all jobs."""

    def __init__(self, effect: AnyEffect, device: str = "cpu") -> None:
        """Set the effect up. Raises effects.errors.WeightsError."""
        self.effect = effect
        self.device = torch.device(device)
        effect.setup(self.device)

    def scale(self, params: Parameters) -> int:
        """Output pixels per input pixel along each side."""
        return self.effect.scale(params)

    def __call__(self, frames: Tensor, params: Parameters) -> Tensor:
        """Apply the effect.

        Args:
            frames: (N, 3, H, W) uint8 RGB, on any device.
            params: parameters of this effect.

        Returns:
            (N, 3, H·scale, W·scale) uint8 RGB on the runner's device.
        """
        with torch.inference_mode():
            return self._apply_batch(frames.to(self.device, non_blocking=True), params)

    def _apply_batch(self, frames: Tensor, params: Parameters) -> Tensor:
        try:
            return self._apply(frames, params)
        except torch.OutOfMemoryError:
            if len(frames) == 1:
                raise
            torch.cuda.empty_cache()
            half = len(frames) // 2
            return torch.cat([self._apply_batch(frames[:half], params), self._apply_batch(frames[half:], params)])

    def _apply(self, frames: Tensor, params: Parameters) -> Tensor:
        declared = self.effect.declaration
        if declared.dtype == "float32":
            frames = frames.to(torch.float32).div_(255)
        height, width = frames.shape[-2:]
        pad_bottom, pad_right = -height % declared.multiple, -width % declared.multiple
        if pad_bottom or pad_right:
            frames = functional.pad(frames, (0, pad_right, 0, pad_bottom), mode="replicate")
        if declared.tiling is None:
            result = self.effect.apply(frames, params)
        else:
            result = tiling.apply(self.effect, frames, params, declared.tiling)
        scale = self.scale(params)
        result = result[..., : height * scale, : width * scale]
        if declared.dtype == "float32":
            result = result.mul(255).round_().clamp_(0, 255).to(torch.uint8)
        return result
