"""Enlarges pictures with more detail than interpolation gives, restores damaged ones, and lights dark ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import pydantic
from pydantic import Field

from mayfly.effects import precision, registry
from mayfly.effects.contract import Declaration, Effect, Parameters, Tag, Tiling
from mayfly.effects.errors import InvalidParameters
from mayfly.effects.lazy import torch
from mayfly.effects.models import weights

if TYPE_CHECKING:
    from torch import Tensor

    from mayfly.effects.models.enhancer import Enhancer
    from mayfly.effects.shared.temporal import TemporalState

# A result of more pixels fits in no picture format's reader, and in few memories.
_MOST_PIXELS = 256_000_000
# Kept part of a tile in input pixels, by scale: what a processor's caches hold is quicker than the whole.
_TILES = {1: 512, 2: 384, 4: 256}
# By scale; measured by the allocator on processors with and without AVX-512, whose convolutions differ;
# tests/effects/test_memory.py measures again.
_WORKING_BYTES = {1: 280, 2: 500, 4: 1900}
# The deviation of the blur that deblur=1 takes back, in pixels.
_BLUR = 2.0
# Pixels to each side that bicubic interpolation looks at.
_BICUBIC = 2
# Of an installed model no receptive radius is known; what lies further away matters little.
_MODEL_TILE, _MODEL_HALO = 256, 32
# Two tensors of 64 channels at the size of the result, as ESRGAN ends; by the square of the scale.
_MODEL_BYTES = 600


def _number(value: object) -> object:
    """What a command line gives as text."""
    return int(value) if isinstance(value, str) and value.isdecimal() else value


class EnhanceParameters(Parameters):
    """At scale 1 with strength, deblur and low_light at 0 the picture stays as it is; scale 2 or 4 is then bicubic."""

    scale: Annotated[Literal[1, 2, 4], pydantic.BeforeValidator(_number)] = Field(
        2, description="2 and 4 enlarge each side so many times; 1 keeps the size and restores"
    )
    strength: float = Field(1.0, ge=0, le=1, description="how much of the networks' correction is applied")
    denoise: float = Field(
        0.0,
        ge=0,
        le=1,
        description="how much noise and JPEG damage is removed before enlarging; at scale 1 all of it",
    )
    deblur: float = Field(
        0.0, ge=0, le=1, description="how much blur is taken back, after denoising: 1 that of a Gaussian of 2 pixels"
    )
    low_light: float = Field(0.0, ge=0, le=1, description="how much light the dark gets; well-lit pictures keep theirs")
    model: str | None = Field(
        None, pattern=weights.NAME, description="an installed model that enlarges or restores instead, by its own scale"
    )
    face_model: str | None = Field(
        None, pattern=weights.NAME, description="an installed model that restores each face, at last"
    )

    def result_size(self, width: int, height: int) -> tuple[int, int] | None:
        return (width * self.scale, height * self.scale) if self.model is None else None


@registry.register
class Enhance(Effect[EnhanceParameters]):
    """Two networks of one architecture: one restores at full size, one enlarges; each adds to its input."""

    declaration = Declaration(
        name="enhance",
        summary="Makes pictures larger with crisp detail, cleans them of noise, blur and JPEG damage, lights the dark.",
        parameters=EnhanceParameters,
        neutral={"scale": 1, "strength": 0},
        tag=Tag.GPU,
        # The restoring network folds 2×2 pixels into one.
        multiple=2,
        batch=2,
        # mayfly.effects.shared.temporal.CONTEXT, which cannot be imported without torch.
        temporal_context=10,
    )

    def setup(self, device: torch.device) -> None:
        from mayfly.effects.vision.finder import Finder

        self._dtype = precision.for_corrections(device)
        self._restore = self._network("enhance-x1", device)
        self._enlarge = self._network("enhance-x2", device)
        self._finder = Finder()

    def _network(self, name: str, device: torch.device) -> Enhancer:
        from mayfly.effects.models import enhancer

        network = enhancer.build(weights.entry(name).architecture)
        network.load_state_dict(weights.load(name))
        network.requires_grad_(requires_grad=False)
        # Channels that lie together are what the convolutions are fastest with.
        return network.to(device, self._dtype).to(memory_format=torch.channels_last)

    def scale(self, params: EnhanceParameters) -> int:
        if params.model is None:
            return super().scale(params)
        from mayfly.effects.models import installed

        return installed.scale(params.model)

    def working_bytes(self, params: EnhanceParameters) -> int:
        if params.model is None:
            return _WORKING_BYTES[params.scale]
        return _MODEL_BYTES * self.scale(params) ** 2

    def apply(self, frames: Tensor, params: EnhanceParameters) -> Tensor:
        if frames.shape[-2] * frames.shape[-1] * self.scale(params) ** 2 > _MOST_PIXELS:
            raise InvalidParameters("scale: this picture would become too large; choose a smaller scale")
        if frames.device.type != "cpu" or len(frames) == 1:
            return self._apply(frames, params)
        # One frame at a time stays in the CPU's caches and needs the least memory.
        return torch.cat([self._apply(frame, params) for frame in frames.split(1)])

    def apply_next(
        self, frames: Tensor, params: EnhanceParameters, state: TemporalState | None
    ) -> tuple[Tensor, TemporalState | None]:
        from mayfly.effects.shared import temporal

        if not (params.strength or params.deblur or params.low_light):
            return self.apply(frames, params), state
        steady, state = temporal.steadied(frames, state)
        return self.apply(steady, params), state

    def _apply(self, frames: Tensor, params: EnhanceParameters) -> Tensor:
        from mayfly.effects import tiling

        if params.low_light:
            frames = self._lit(frames, params.low_light)
        if params.model is not None:
            result = self._by_model(frames, params.model, params.strength)
        else:
            tiles = Tiling(size=_TILES[params.scale], halo=self.halo(params))
            result = tiling.cut(
                frames,
                lambda tile: self._enhanced(tile, params),
                tiles,
                multiple=2,
                scale=params.scale,
                working_bytes=_WORKING_BYTES[params.scale],
            )
        if params.face_model is not None and params.strength:
            result = torch.cat([self._with_faces(frame, params) for frame in result.split(1)])
        return result

    def halo(self, params: EnhanceParameters) -> int:
        """How far away, in input pixels, lies what a pixel of the result depends on; even."""
        from mayfly.effects.library.enhance import deblur

        reach = deblur.RADIUS if params.deblur else 0
        if params.scale == 1 or params.denoise:
            reach += self._restore.radius
        if params.scale >= 2:
            reach += self._enlarge.radius + _BICUBIC
        if params.scale == 4:
            reach += (self._enlarge.radius + _BICUBIC + 1) // 2
        return reach + reach % 2

    def _enhanced(self, frames: Tensor, params: EnhanceParameters) -> Tensor:
        from mayfly.effects.library.enhance import deblur
        from mayfly.effects.models import enhancer

        denoise = 1.0 if params.scale == 1 else params.denoise
        frames = self._corrected(self._restore, frames, frames, params.strength * denoise)
        frames = deblur.sharpened(frames, _BLUR * params.deblur)
        for _ in range(params.scale // 2):
            frames = self._corrected(self._enlarge, frames, enhancer.interpolate(frames, 2), params.strength)
        return frames

    def _corrected(self, network: Enhancer, frames: Tensor, plain: Tensor, strength: float) -> Tensor:
        if not strength:
            return plain.clone()
        given = frames.to(self._dtype, memory_format=torch.channels_last)
        return torch.add(plain, network(given), alpha=strength).clamp_(0, 1)

    def _lit(self, frames: Tensor, amount: float) -> Tensor:
        """More light, and less of the grain that it would show."""
        from mayfly.effects import tiling
        from mayfly.effects.library.enhance import illumination
        from mayfly.effects.shared import blur

        lit, gain = illumination.raised(frames, amount)
        radius = self._restore.radius
        tiles = Tiling(size=_TILES[1], halo=radius + radius % 2)
        clean = tiling.cut(
            lit,
            lambda tile: self._corrected(self._restore, tile, tile, 1.0),
            tiles,
            multiple=2,
            working_bytes=_WORKING_BYTES[1],
        )
        return torch.lerp(lit, clean, blur.smoothstep(1.2, 3, gain))

    def _by_model(self, frames: Tensor, name: str, strength: float) -> Tensor:
        from mayfly.effects import tiling
        from mayfly.effects.models import enhancer, installed

        model = installed.get(name, frames.device, installed.ENLARGE, installed.RESTORE)
        plain = enhancer.interpolate(frames, model.scale)
        if not strength:
            return plain.clone()
        tiles = Tiling(size=_MODEL_TILE if model.tiled else max(frames.shape[-2:]), halo=_MODEL_HALO)
        result = tiling.cut(frames, model, tiles, scale=model.scale, working_bytes=_MODEL_BYTES * model.scale**2)
        return result if strength == 1 else torch.lerp(plain, result, strength)

    def _with_faces(self, frame: Tensor, params: EnhanceParameters) -> Tensor:
        from mayfly.effects.library.enhance import portraits
        from mayfly.effects.models import installed

        assert params.face_model is not None
        model = installed.get(params.face_model, frame.device, installed.FACE)
        return portraits.restored(frame, self._finder.faces(frame[0]), model, params.strength)
