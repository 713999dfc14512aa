"""The filters between a video's own colours and the RGB that effects get, and the tags that say what colours are.

HDR, which is PQ or HLG by its tags, is tone-mapped to BT.709, since effects are made for SDR: 203 cd/m² is reference
white (ITU-R BT.2408), light up to 0.3 of it stays as it is, and up to 1,000 cd/m² is rolled off by the Möbius curve of
ffmpeg's `tonemap`. All else keeps its colours and its tags.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mayfly.media.video.info import Colour, VideoInfo

REFERENCE_WHITE = 203  # cd/m²
PEAK = 1000  # cd/m²

_HDR = frozenset(["smpte2084", "arib-std-b67"])
_SDR = {"primaries": "bt709", "transfer": "bt709", "matrix": "bt709", "range": "tv"}
_ZIMG_FORMATS = frozenset(
    ["yuvj420p", "yuvj422p", "yuvj444p"]
    + [f"yuv{layout}p{bits}" for layout in (420, 422, 444) for bits in ("", "10le", "12le")]
)
_DEVICE_FORMATS = {"p010le": "yuv420p10le"}  # what devices take, and what holds the same
_ZIMG_MATRICES = {"bt2020": "bt2020nc", "smpte240m": "7"}  # where its names are not ffmpeg's; one is misspelt


def is_hdr(colour: Colour) -> bool:
    """Whether the tags say PQ or HLG."""
    return colour.transfer in _HDR


def shown(info: VideoInfo) -> VideoInfo:
    """The video as its decoded frames are: HDR has become BT.709."""
    if not is_hdr(info.colour):
        return info
    return dataclasses.replace(info, colour=dataclasses.replace(info.colour, **_SDR))


def to_planes(info: VideoInfo, depth: int) -> list[str]:
    """The filters that make planes of RGB with 8 or 16 bits out of decoded frames."""
    planes = {8: "gbrp", 16: "gbrp16le"}
    if not is_hdr(info.colour):
        return [_to_rgb(info), f"format={planes[depth]}"]
    return [_to_rgb(info), "format=gbrp16le", *_tone_mapped(info.colour), f"format={planes[depth]}"]


def from_planes(info: VideoInfo, pixels: str, *, even: bool) -> list[str]:
    """The filters that make frames of the format `pixels` out of planes of RGB, with the tags of `info`.

    `even` says whether width and height are. To more than 8 bits swscale is wrong by two levels, zimg by none.
    """
    zimg = _DEVICE_FORMATS.get(pixels, pixels)
    chain = [f"scale=flags=bicubic:out_color_matrix={info.matrix}:out_range={info.colour.range or 'tv'}"]
    if zimg in _ZIMG_FORMATS and (even or "444" in zimg):
        span = "full" if info.colour.range == "pc" else "limited"
        matrix = f"matrixin=gbr:rangein=full:matrix={_ZIMG_MATRICES.get(info.matrix, info.matrix)}:range={span}"
        chain = [f"zscale=filter=bicubic:{matrix}", f"format={zimg}"]
    return [
        *chain,
        f"format={pixels}",
        _tags(info.colour),
        f"setsar={info.sample_aspect_ratio.numerator}/{info.sample_aspect_ratio.denominator}",
    ]


def _to_rgb(info: VideoInfo) -> str:
    """At the size that was probed: a change of size in mid-stream must not change a frame's number of bytes. zimg
    takes half of swscale's time, but not every kind of frame.
    """
    even = info.width % 2 == info.height % 2 == 0
    if info.pixel_format not in _ZIMG_FORMATS or info.interlaced or not even:
        return f"scale={info.width}:{info.height}:flags=bicubic:in_color_matrix={info.matrix}"
    matrix = _ZIMG_MATRICES.get(info.matrix, info.matrix)
    span = "full" if info.colour.range == "pc" or info.pixel_format.startswith("yuvj") else "limited"
    return (
        f"zscale=w={info.width}:h={info.height}:filter=bilinear:matrixin={matrix}:rangein={span}:matrix=gbr:range=full"
    )


def _tone_mapped(colour: Colour) -> list[str]:
    # Sources that are tagged as PQ and nothing else have BT.2020's primaries, as every HDR format does.
    primaries = "2020" if colour.primaries in (None, "bt2020") else "input"
    light = (
        f"zscale=matrixin=gbr:rangein=full:transferin={colour.transfer}:primariesin={primaries}"
        f":matrix=gbr:range=full:transfer=linear:primaries=709:npl={REFERENCE_WHITE}"
    )
    return [
        light,
        "format=gbrpf32le",
        f"tonemap=mobius:param=0.3:peak={PEAK / REFERENCE_WHITE:.4f}:desat=0",
        "zscale=matrixin=gbr:rangein=full:transferin=linear:primariesin=709:matrix=gbr:range=full:transfer=709",
    ]


def _tags(colour: Colour) -> str:
    values = {
        "range": colour.range or "tv",
        "color_primaries": colour.primaries,
        "color_trc": colour.transfer,
        "colorspace": colour.matrix,
    }
    return "setparams=" + ":".join(f"{key}={value or 'unknown'}" for key, value in values.items())
