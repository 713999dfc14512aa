"""Effects that measure the pipeline and not themselves; MAYFLY_EFFECT_MODULES=benchmarks.effects has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from mayfly.effects.contract import Declaration, Effect, Parameters
from mayfly.effects.registry import register

if TYPE_CHECKING:
    import torch


class Nothing(Parameters):
    """No parameters."""


@register
class PassThrough(Effect[Nothing]):
    """Returns what it gets."""

    declaration = Declaration(
        name="pass-through",
        summary="returns the picture as it is",
        parameters=Nothing,
        dtype="uint8",
    )

    def apply(self, frames: torch.Tensor, params: Nothing) -> torch.Tensor:
        return frames


class Duration(Parameters):
    """How long it pretends to work."""

    seconds: float = Field(1.0, ge=0, le=3600, description="for each call")


@register
class Sleep(Effect[Duration]):
    """Waits, then returns what it gets."""

    declaration = Declaration(
        name="sleep",
        summary="waits for some seconds and returns the picture as it is",
        parameters=Duration,
        dtype="uint8",
        batch=1,
    )

    def apply(self, frames: torch.Tensor, params: Duration) -> torch.Tensor:
        import time

        # The runner's warm-up is not a job.
        if min(frames.shape[-2:]) > 64:
            time.sleep(params.seconds)
        return frames
