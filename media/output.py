"""What a user may choose for the video that comes out: plain data that a producer checks without torch."""

from __future__ import annotations

from typing import Literal

import pydantic
from pydantic import Field

Codec = Literal["auto", "h264", "hevc", "av1"]
Preset = Literal[
    "ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow", "placebo"
]
PRESETS: tuple[Preset, ...] = Preset.__args__  # type: ignore[attr-defined]
"""From the fastest to the slowest."""


class Output(pydantic.BaseModel):
    """How the result is coded; `model_dump(mode="json")` gives plain data, and unknown or bad values are refused."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    codec: Codec = Field(
        default="auto",
        description="auto: H.264, but HEVC Main 10 for a source of more than 8 bits, since few players take 10-bit "
        "H.264; H.264 is always of 8 bits",
    )
    quality: int = Field(
        default=20,
        ge=0,
        le=51,
        description="x264's constant rate factor, and what looks alike in the other codecs; lower is better and larger",
    )
    preset: Preset = Field(default="veryfast", description="by x264's names; slower ones give smaller files")
    chapters: bool = Field(default=False, description="keep the chapters of the source, with their titles")
    hardware: bool = Field(
        default=False, description="let the GPU encode where it can: faster, larger for the same quality"
    )
