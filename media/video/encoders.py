"""Which encoder makes the result, and its options: pure functions from what was chosen and what there is to encode.

One scale of quality serves all: x264's constant rate factor. The others' numbers were set so that a 540p clip of
real pictures had the same SSIM as x264's at 14, 20, 26 and 32, all at the preset veryfast (docs/video.md).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any, Literal

from mayfly.media.output import PRESETS, Output

Coded = Literal["h264", "hevc", "av1"]
Works = Callable[[str, int, int, str], bool]
"""Whether an encoder of the machine works: its name, width and height in pixels, format of the pixels."""

HEVC_MIN_SIDE = 16
SVT_MIN_SIDE = 64
SVT_MAX_HEIGHT = 8704
_NVENC = {"h264": "h264_nvenc", "hevc": "hevc_nvenc", "av1": "av1_nvenc"}
_SVT_PRESETS = (12, 11, 10, 9, 8, 7, 6, 5, 4, 3)
_AOM_SPEEDS = (8, 8, 8, 7, 6, 5, 4, 3, 2, 1)
_NVENC_PRESETS = (1, 2, 3, 3, 4, 4, 5, 6, 7, 7)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Coding:
    """How frames are encoded: ffmpeg's names of the encoder and of its pixels, and its options.

    Attributes:
        encoder: ffmpeg's name.
        codec: what it makes.
        pixels: ffmpeg's name of the format of its pixels.
        options: of the encoder.
        even: whether width and height are.
        hardware: whether it is a device's.
    """

    encoder: str
    codec: Coded
    pixels: str
    options: Mapping[str, Any]
    even: bool = True
    hardware: bool = False


def takes_ten_bits(output: Output) -> bool:
    """Whether a source of more than 8 bits comes out with 10: not as H.264, which few players take with 10."""
    return output.codec != "h264"


def choose(output: Output, *, width: int, height: int, deep: bool, works: Works) -> Coding:
    """The encoder for frames of this size.

    Args:
        output: what the user chose.
        width: of the frames to encode, in pixels.
        height: likewise.
        deep: whether they have more than 8 bits.
        works: asked about hardware encoders, where the user allows one.

    Returns:
        A coding that keeps the size as it is. H.264 and HEVC keep an odd side by 4:4:4, AV1 by libaom, which is slower
        than SVT-AV1. Frames under 16 pixels are no HEVC: they become H.264 of 8 bits.
    """
    codec: Coded = ("hevc" if deep else "h264") if output.codec == "auto" else output.codec
    if codec == "hevc" and min(width, height) < HEVC_MIN_SIDE:
        codec = "h264"
    even = width % 2 == height % 2 == 0
    ten = deep and codec != "h264"
    if output.hardware and even:
        name, pixels = _NVENC[codec], "p010le" if ten else "yuv420p"
        if works(name, width, height, pixels):
            return Coding(
                encoder=name, codec=codec, pixels=pixels, options=nvenc(output, codec, ten=ten), hardware=True
            )
    pixels = ("yuv420p" if even or codec == "av1" else "yuv444p") + ("10le" if ten else "")
    if codec == "h264":
        name, options = "libx264", x264(output)
    elif codec == "hevc":
        name, options = "libx265", x265(output)
    elif even and min(width, height) >= SVT_MIN_SIDE and height <= SVT_MAX_HEIGHT:
        name, options = "libsvtav1", svtav1(output)
    else:
        name, options = "libaom-av1", aom(output)
    return Coding(encoder=name, codec=codec, pixels=pixels, options=options, even=even)


def x264(output: Output) -> dict[str, Any]:
    """Options of libx264."""
    return {"preset": output.preset, "crf": output.quality}


def x265(output: Output) -> dict[str, Any]:
    """Options of libx265; it writes its own options into the stream unless told otherwise."""
    return {
        "preset": output.preset,
        "crf": min(51, round(1.15 * output.quality)),
        "x265-params": "log-level=error:info=0",
    }


def svtav1(output: Output) -> dict[str, Any]:
    """Options of libsvtav1, whose scale of quality goes to 63."""
    return {"preset": _SVT_PRESETS[PRESETS.index(output.preset)], "crf": av1_crf(output.quality)}


def aom(output: Output) -> dict[str, Any]:
    """Options of libaom-av1."""
    return {
        "cpu-used": _AOM_SPEEDS[PRESETS.index(output.preset)],
        "row-mt": 1,
        "crf": av1_crf(output.quality),
        "b:v": 0,
    }


def av1_crf(quality: int) -> int:
    """AV1's constant rate factor, 1 … 63, for a quality on x264's scale."""
    return max(1, min(63, round(31 + 3.5 * (quality - 20))))


def nvenc(output: Output, codec: Coded, *, ten: bool) -> dict[str, Any]:
    """Options of NVENC's encoders, which aim at a constant quality by their own variable rate."""
    options: dict[str, Any] = {
        "preset": f"p{_NVENC_PRESETS[PRESETS.index(output.preset)]}",
        "rc": "vbr",
        "cq": av1_crf(output.quality) if codec == "av1" else min(51, output.quality + 4),
        "b:v": 0,
    }
    if codec != "av1":
        options["profile:v"] = "main10" if ten else {"h264": "high", "hevc": "main"}[codec]
    return options


def bitstream_filters(codec: Coded, rate: Fraction) -> list[str]:
    """What is corrected in the stream: its rate in frames a second, and nothing about the encoder."""
    if codec == "h264":
        # The stream's own rate, else given as the time base's; x264 names its options in a message (type 6).
        return ["filter_units=remove_types=6", f"h264_metadata=tick_rate={2 * rate}"]
    if codec == "hevc":
        return [f"hevc_metadata=tick_rate={rate}"]
    return []
