"""What effects have alike that treat one frame after another and keep a state of their own between those of a video."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

from mayfly.effects.contract import Effect, Parameters
from mayfly.effects.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

P = TypeVar("P", bound=Parameters)
S = TypeVar("S")


class FrameByFrame(Effect[P], Generic[P, S]):
    """A picture is the first frame of a video that ends with it, but for `is_video`."""

    def is_neutral(self, params: P) -> bool:
        """Whether frames stay as they are, and nothing is looked for in them."""
        raise NotImplementedError

    def begin(self, params: P) -> S:
        raise NotImplementedError

    def next_frame(self, frame: Tensor, params: P, state: S, *, is_video: bool) -> tuple[Tensor, S]:
        """Transform one frame, (1, 3, H, W), else as `apply_next`."""
        raise NotImplementedError

    def apply(self, frames: Tensor, params: P) -> Tensor:
        if self.is_neutral(params):
            return frames.clone()
        begun = ((frame, self.begin(params)) for frame in frames.split(1))
        return torch.cat([self.next_frame(frame, params, state, is_video=False)[0] for frame, state in begun])

    def apply_next(self, frames: Tensor, params: P, state: S) -> tuple[Tensor, S]:
        if self.is_neutral(params):
            return frames.clone(), state
        results = []
        for frame in frames.split(1):
            result, state = self.next_frame(frame, params, state, is_video=True)
            results.append(result)
        return torch.cat(results), state
