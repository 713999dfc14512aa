"""What an effect declares and what it does: the one interface between effects and the rest of Mayfly.

A declaration is plain data and loads without torch, so that a producer refuses an unknown effect or a bad
parameter with the very words that the worker would use.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, TypeVar

import pydantic

if TYPE_CHECKING:
    import torch


class Parameters(pydantic.BaseModel):
    """An effect's parameters; declare each with pydantic's Field: default, bounds and description."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    def check_media(self, media: Media) -> None:
        """Raise InvalidParameters where these parameters do not go with a kind of media that the effect takes."""

    def result_size(self, width: int, height: int) -> tuple[int, int] | None:
        """Width and height in pixels of what the effect makes of a picture or frame of this size.

        Known before anything is uploaded, so that what would be too large is refused there. None where a worker alone
        knows, because it depends on an installed model.
        """
        return width, height


class Media(enum.StrEnum):
    """The kinds of media an upload can be."""

    IMAGE = "image"
    VIDEO = "video"


class Locality(enum.StrEnum):
    """Where an effect runs: on the user's device, never uploaded, or on our servers."""

    DEVICE = "device"
    SERVER = "server"


class Tag(enum.StrEnum):
    """What a worker must be able to do, from the least to the most demanding."""

    CPU = "cpu"
    GPU = "gpu"
    GPU_8G = "gpu-8g"
    GPU_24G = "gpu-24g"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tiling:
    """How a large picture is cut: square tiles of `size` input pixels that overlap by `halo` on each side.

    `halo` is the network's receptive radius, so that a tile's kept part equals the whole picture's.
    """

    size: int
    halo: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Declaration:
    """The facts about an effect that producers, routing and the runner need before it is loaded.

    Attributes:
        name: the effect's name in every interface; its Celery task is `effects.<name>`.
        summary: one sentence for people.
        parameters: the model that validates parameters.
        neutral: parameters with which the picture stays as it is, whoever is in it; None where there are none.
        media: the kinds of media it takes; the result is of the same kind.
        locality: where it runs.
        tag: the least that a worker must be able to do.
        report: whether the result is a report, JSON, instead of a picture: the effect has `report` instead of `apply`,
            takes pictures only and runs on the device.
        face: whether the input is a face, which gives it the strictest retention class.
        dtype: what `apply` takes and returns: "float32" in 0…1 or "uint8" in 0…255.
        multiple: `apply` gets frames whose height and width are multiples of this; the runner pads and crops.
        tiling: how a large picture may be cut, None where the effect needs the whole picture.
        batch: frames of video given to one call of `apply`.
        temporal_context: frames before a frame that influence it, or do so visibly; 0 for effects that treat each
            frame on its own. A part of a video is begun so many frames early.
    """

    name: str
    summary: str
    parameters: type[Parameters]
    neutral: Mapping[str, Any] | None = None
    media: frozenset[Media] = frozenset(Media)
    locality: Locality = Locality.SERVER
    tag: Tag = Tag.CPU
    report: bool = False
    face: bool = False
    dtype: Literal["float32", "uint8"] = "float32"
    multiple: int = 1
    tiling: Tiling | None = None
    batch: int = 4
    temporal_context: int = 0

    def __post_init__(self) -> None:
        if self.report and (self.media != {Media.IMAGE} or self.locality is not Locality.DEVICE):
            raise ValueError("an effect that reports takes pictures only, on the device")


P = TypeVar("P", bound=Parameters)


class Effect(Generic[P]):
    """One effect. A worker process makes one instance, calls `setup` once and `apply` for every batch.

    An instance keeps weights and constants only: nothing about a job, nothing between two calls. What an effect
    remembers of a video's earlier frames is handed in and out of `apply_next`.
    """

    declaration: ClassVar[Declaration]

    def setup(self, device: torch.device) -> None:
        """Load weights and constants onto `device`. Raises WeightsError."""

    def scale(self, params: P) -> int:
        """Output pixels per input pixel along each side, for these parameters, as their `result_size` says."""
        size = params.result_size(1, 1)
        return 1 if size is None else size[0]

    def channels(self, params: P) -> int:
        """3, or 4 where `apply` makes opacity, too, not premultiplied. Of a video an effect makes 3 always."""
        return 3

    def working_bytes(self, params: P) -> int:
        """Bytes of memory that `apply` takes at most for each pixel of a frame, the frame and its result included.

        The runner chooses by it how many frames, and how large tiles, one call gets.
        """
        return 256

    def apply(self, frames: torch.Tensor, params: P) -> torch.Tensor:
        """Transform a batch, each frame on its own.

        Args:
            frames: (N, 3, H, W) RGB on the set-up's device, sRGB-encoded, of the declared dtype: float32 in 0…1
                or uint8 in 0…255. Must not be written to.
            params: the validated parameters.

        Returns:
            (N, channels, H·scale, W·scale), of the same dtype and range; values outside the range are clipped.
        """
        raise NotImplementedError

    def report(self, frame: torch.Tensor, params: P) -> pydantic.BaseModel:
        """Say what is in a picture, of an effect whose declaration says that it reports.

        Args:
            frame: (3, H, W), else as `apply`'s frames.
            params: the validated parameters.

        Returns:
            What becomes JSON.
        """
        raise NotImplementedError

    def begin(self, params: P) -> Any:
        """What is remembered before the first frame of a video; None where nothing ever is."""
        return None

    def apply_next(self, frames: torch.Tensor, params: P, state: Any) -> tuple[torch.Tensor, Any]:
        """Transform the next frames of a video; effects with a `temporal_context` override it.

        Args:
            frames: as `apply`; consecutive frames, in order.
            params: as `apply`.
            state: what `begin` or the call before returned. Must not be written to: after an out-of-memory error the
                same frames come again, fewer at a time.

        Returns:
            As `apply`, without opacity, and what to remember, in memory only and of a size that does not grow.
        """
        return self.apply(frames, params), state


AnyEffect = Effect[Any]
