"""Applies one effect to frames on one device: dtype, padding, tiles, and smaller batches when memory runs out."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pydantic

from mayfly.effects import memory, tiling
from mayfly.effects.contract import AnyEffect, Media, Parameters
from mayfly.effects.lazy import functional, torch
from mayfly.effects.models.cache import cache

if TYPE_CHECKING:
    import torch as torch_types
    from torch import Tensor

    Step = Callable[[Tensor, Any], tuple[Tensor, Any]]

_ROWS = 512


class Runner:
    """An effect that is set up on a device; one a worker process and effect, shared by all jobs."""

    def __init__(self, effect: AnyEffect, device: str = "cpu") -> None:
        """Set the effect up. Raises mayfly.effects.errors.WeightsError."""
        self.effect = effect
        self.device = torch.device(device)
        effect.setup(self.device)

    def scale(self, params: Parameters) -> int:
        """Output pixels per input pixel along each side."""
        return self.effect.scale(params)

    @property
    def depth(self) -> int:
        """Bits of a sample that the effect makes use of: 16 where it computes in float32, else 8."""
        return 16 if self.effect.declaration.dtype == "float32" else 8

    def __call__(self, frames: Tensor, params: Parameters) -> Tensor:
        """Apply the effect to pictures, each on its own.

        Args:
            frames: (N, 3, H, W) RGB, on any device; uint8, or uint16 of 0 … 65535 where `depth` is 16.
            params: parameters of this effect.

        Returns:
            (N, 3, H·scale, W·scale) RGB, or 4 channels with opacity where the effect makes it, of the same dtype on the
            runner's device.
        """
        return self._run(frames, params, lambda given, _: (self._apply(given, params), None), None)[0]

    @property
    def pinned(self) -> bool:
        """Whether frames in page-locked memory reach the device quicker."""
        return self.device.type == "cuda"

    def release(self) -> None:
        """Give back the device memory that is kept for the next frames."""
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def report(self, picture: Tensor, params: Parameters) -> pydantic.BaseModel:
        """What an effect that reports says of a (3, H, W) RGB picture, uint8, on any device."""
        frame = picture.to(self.device)
        if self.effect.declaration.dtype == "float32":
            frame = frame.to(torch.float32).div_(255)
        with torch.inference_mode():
            return self.effect.report(frame, params)

    def video(self, params: Parameters) -> Video:
        """The effect on one video, whose frames come in order. Raises InvalidParameters where they are for pictures."""
        params.check_media(Media.VIDEO)
        return Video(self, params)

    def _run(self, frames: Tensor, params: Parameters, step: Step, state: Any) -> tuple[Tensor, Any]:
        """As many frames at once as memory allows, one part after the other."""
        height, width = frames.shape[-2:]
        with torch.inference_mode():
            at_once = memory.frames(self.effect.working_bytes(params), height, width, self.device)
            results = []
            for part in frames.to(self.device, non_blocking=True).split(at_once):
                result, state = self._halved(part, params, step, state)
                results.append(result)
            return results[0] if len(results) == 1 else torch.cat(results), state

    def _halved(self, frames: Tensor, params: Parameters, step: Step, state: Any) -> tuple[Tensor, Any]:
        """All frames at once; when that needs more memory than there is, models are unloaded and frames halved."""
        try:
            return self._converted(frames, params, step, state)
        except torch.OutOfMemoryError:
            released = cache.release()
            if len(frames) == 1 and not released:
                raise
            torch.cuda.empty_cache()
            if len(frames) == 1:
                return self._converted(frames, params, step, state)
            half = len(frames) // 2
            first, state = self._halved(frames[:half], params, step, state)
            second, state = self._halved(frames[half:], params, step, state)
            return torch.cat([first, second]), state

    def _converted(self, frames: Tensor, params: Parameters, step: Step, state: Any) -> tuple[Tensor, Any]:
        """To the effect's dtype and multiple, and back."""
        declared = self.effect.declaration
        given, peak = frames.dtype, 65535 if frames.dtype == torch.uint16 else 255
        if declared.dtype == "float32":
            frames = frames.to(torch.float32).div_(peak)
        height, width = frames.shape[-2:]
        pad_bottom, pad_right = -height % declared.multiple, -width % declared.multiple
        if pad_bottom or pad_right:
            frames = functional.pad(frames, (0, pad_right, 0, pad_bottom), mode="replicate")
        result, state = step(frames, state)
        scale = self.scale(params)
        result = result[..., : height * scale, : width * scale]
        if declared.dtype == "float32":
            result = _levels(result, peak, given)
        return result, state

    def _apply(self, frames: Tensor, params: Parameters) -> Tensor:
        if self.effect.declaration.tiling is None:
            return self.effect.apply(frames, params)
        return tiling.apply(self.effect, frames, params, self.effect.declaration.tiling)

    def _apply_next(self, frames: Tensor, params: Parameters, state: Any) -> tuple[Tensor, Any]:
        if self.effect.declaration.temporal_context:
            return self.effect.apply_next(frames, params, state)
        return self._apply(frames, params), None


class Video:
    """An effect on one video; holds what the effect remembers of earlier frames."""

    def __init__(self, runner: Runner, params: Parameters) -> None:
        self._runner = runner
        self._params = params
        self._state = runner.effect.begin(params)

    def __call__(self, frames: Tensor) -> Tensor:
        """Apply the effect to the next frames; shapes, dtypes and ranges as Runner's, and never with opacity."""
        result, self._state = self._runner._run(frames, self._params, self._step, self._state)
        return result

    def _step(self, frames: Tensor, state: Any) -> tuple[Tensor, Any]:
        return self._runner._apply_next(frames, self._params, state)


def _levels(frames: Tensor, peak: int, dtype: torch_types.dtype) -> Tensor:
    """Whole levels of 0…1, some rows at a time: a second float32 copy of a large result would be the peak of all."""
    levels = torch.empty(frames.shape, dtype=dtype, device=frames.device)
    for given, taken in zip(frames.split(_ROWS, -2), levels.split(_ROWS, -2), strict=True):
        taken.copy_(given.mul(peak).round_().clamp_(0, peak))
    return levels
