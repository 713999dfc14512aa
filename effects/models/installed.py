"""Models that the operator added: what spandrel reads, and AnimeGAN's generators; cached while wanted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional

from mayfly.effects import precision
from mayfly.effects.errors import UnknownModel, WeightsError
from mayfly.effects.models import animegan, weights
from mayfly.effects.models.cache import cache

if TYPE_CHECKING:
    from spandrel import ImageModelDescriptor

    from mayfly.effects.models.weights import Entry

# What a manifest says about a model's use, and the effects' parameters that take it.
ENLARGE, RESTORE, FACE, DRAW = "enlarge", "restore", "face", "draw"
_PURPOSES = {"SR": ENLARGE, "Restoration": RESTORE, "FaceSR": FACE}


class Model:
    """One model, ready to run.

    Attributes:
        network: the architecture's name.
        purpose: "enlarge", "restore", "face" or "draw".
        scale: output pixels per input pixel along each side.
        tiled: whether a picture may be cut into tiles.
    """

    def __init__(self, state: Mapping[str, Tensor], device: torch.device) -> None:
        """Find the architecture that fits the weights. Raises WeightsError."""
        self.scale, self.tiled, self._half = 1, False, True
        self._device = device
        self._run: Callable[[Tensor], Tensor]
        if animegan.recognises(state):
            self.network, self.purpose = "animegan", DRAW
            generator = animegan.build(state).to(device)
            self.size = _bytes(generator)
            self._run = lambda frames: animegan.drawn(generator, frames)
            return
        from spandrel import ImageModelDescriptor, ModelLoader, ModelTiling

        try:
            found = ModelLoader(device).load_from_state_dict(dict(state))
        except Exception:  # noqa: BLE001 - architectures raise anything when weights only look like theirs
            raise WeightsError("spandrel knows no network with these weights; choose another checkpoint") from None
        if not isinstance(found, ImageModelDescriptor) or found.input_channels != 3 or found.output_channels != 3:
            raise WeightsError("this model does not turn one colour picture into another; choose another checkpoint")
        found.eval()
        found.model.requires_grad_(False)
        self.network, self.purpose = found.architecture.id, _PURPOSES[found.purpose]
        self.scale, self.tiled = found.scale, found.tiling is ModelTiling.SUPPORTED
        self.size, self._half = _bytes(found.model), found.supports_half
        run = _gfpgan if self.network == "GFPGAN" else _described
        self._run = lambda frames: torch.cat([run(found, frame) for frame in frames.split(1)])

    def __call__(self, frames: Tensor) -> Tensor:
        """(N, 3, H, W) float32 in 0…1 of any size to (N, 3, H·scale, W·scale) in 0…1."""
        with torch.inference_mode(), precision.for_pictures(self._device, supported=self._half):
            return self._run(frames.contiguous()).to(frames.dtype)


def get(name: str, device: torch.device, *purposes: str) -> Model:
    """An installed model of one of these purposes, loaded when it is not at hand.

    Raises:
        UnknownModel: none has this name, or it is of another purpose.
        WeightsError: its file is not what the manifest names.
    """
    entry, folder = weights.model(name)
    if entry.architecture.get("purpose") not in purposes:
        raise UnknownModel("the model of this name does something else; `mayfly models list` says what each does")

    def load() -> tuple[Model, int]:
        model = Model(weights.load(name, folder), device)
        if model.scale != scale_of(entry):
            raise WeightsError("the manifest says another scale than the model has; add the model again")
        return model, model.size

    found: Model = cache.take((entry.sha256, str(device)), load)
    return found


def scale(name: str) -> int:
    """How much an installed model enlarges, by its entry alone. Raises UnknownModel."""
    return scale_of(weights.model(name)[0])


def scale_of(entry: Entry) -> int:
    """How much a model enlarges along each side."""
    return int(entry.architecture.get("scale", 1))


def _gfpgan(found: ImageModelDescriptor[Any], frame: Tensor) -> Tensor:
    """One face through GFPGAN, whose range is −1…1, which spandrel leaves to us; without its random noise."""
    result: Tensor = found.model(frame * 2 - 1, return_rgb=False, randomize_noise=False)[0]
    return (result * 0.5 + 0.5).clamp(0, 1)


def _described(found: ImageModelDescriptor[Any], frame: Tensor) -> Tensor:
    """One frame through spandrel, which needs room for its padding: tiny frames are repeated first."""
    height, width = frame.shape[-2:]
    least = 16
    if min(height, width) < least:
        padding = (0, max(0, least - width), 0, max(0, least - height))
        frame = functional.pad(frame, padding, mode="replicate")
    result: Tensor = found(frame)
    factor = result.shape[-1] // frame.shape[-1]
    return result[..., : height * factor, : width * factor]


def _bytes(network: torch.nn.Module) -> int:
    return sum(value.numel() * value.element_size() for value in network.state_dict().values())
