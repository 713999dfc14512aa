"""Pictures to upright sRGB pixels, with Pillow and nothing else: what the confined child does with a stranger's bytes.

It is imported before any such byte is there, and must import nothing later: the child can open no file by then.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import io
import itertools
import struct
import warnings
import zlib
from collections.abc import Iterable

from PIL import Image, ImageCms

from mayfly.media.errors import DamagedMedia, TooLarge
from mayfly.media.limits import Limits

FORMATS = ("JPEG", "PNG", "WEBP")
MAX_PROFILE_BYTES = 4 * 1024**2
_ORIENTATION = 0x0112
_TRANSPOSES = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_TO_EIGHT_BITS = [(level * 255 + 32_767) // 65_535 for level in range(65_536)]
_BROKEN = (OSError, SyntaxError, ValueError, IndexError, KeyError, TypeError, OverflowError, struct.error, zlib.error)


@dataclasses.dataclass(frozen=True)
class Pixels:
    """A decoded picture.

    Attributes:
        width, height: upright.
        count: of planes: three, or with opacity four.
        planes: the bytes of each, red, green, blue and opacity, made one after the other.
    """

    width: int
    height: int
    count: int
    planes: Iterable[bytes]


def decode(data: bytes, format: str, limits: Limits) -> Pixels:  # noqa: A002
    """Decode a picture of one of FORMATS; of an animated one, the first frame.

    Raises:
        DamagedMedia: truncated or corrupt.
        TooLarge: more pixels than the limits allow.
        MemoryError: it takes more memory than this process may have.
    """
    try:
        with _opened(data, format) as opened:
            limits.check_picture(*opened.size)
            opened.load()
            orientation = opened.getexif().get(_ORIENTATION)
            profile = opened.info.get("icc_profile")
            picture = _eight_bits(opened)
            if picture.has_transparency_data:
                picture = picture.convert("RGBA")
        alpha = picture.getchannel("A") if picture.mode == "RGBA" else None
        picture = _srgb(picture, profile)
    except Image.DecompressionBombError:
        raise TooLarge("the picture has too many pixels: send a smaller one") from None
    except _BROKEN:
        raise DamagedMedia from None
    transpose = _TRANSPOSES.get(orientation) if isinstance(orientation, int) else None
    if transpose is not None:
        picture = picture.transpose(transpose)
        alpha = alpha.transpose(transpose) if alpha is not None else None
    planes = (picture.getchannel(name).tobytes() for name in "RGB")
    if alpha is None:
        return Pixels(picture.width, picture.height, 3, planes)
    return Pixels(picture.width, picture.height, 4, itertools.chain(planes, [alpha.tobytes()]))


def warm_up() -> None:
    """Decode a small picture of each kind, so that everything is there that Pillow imports late."""
    for name, data in _samples():
        decode(data, name, Limits())
        with contextlib.suppress(DamagedMedia):
            decode(data[:-20], name, Limits())


@functools.cache
def _samples() -> list[tuple[str, bytes]]:
    exif, profile = Image.Exif(), ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif[_ORIENTATION] = 6
    found = []
    for name in FORMATS:
        data = io.BytesIO()
        Image.new("RGB", (8, 8)).save(data, name, exif=exif, icc_profile=profile, xmp=b"<x/>")
        found.append((name, data.getvalue()))
    return found


def _opened(data: bytes, name: str) -> Image.Image:
    with warnings.catch_warnings():
        # Its size is checked against our own limits before anything is decoded.
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        return Image.open(io.BytesIO(data), formats=[name])


def _eight_bits(picture: Image.Image) -> Image.Image:
    if picture.mode == "I" or picture.mode.startswith("I;16"):
        return picture.convert("I").point(_TO_EIGHT_BITS, "L")
    return picture


def _srgb(picture: Image.Image, profile: bytes | None) -> Image.Image:
    if picture.mode not in ("RGB", "L", "CMYK"):
        picture = picture.convert("RGB")
    if profile and len(profile) <= MAX_PROFILE_BYTES:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            if not (picture.mode == "RGB" and ImageCms.getProfileDescription(source).startswith("sRGB")):
                converted = ImageCms.profileToProfile(picture, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
                if converted is not None:
                    return converted
        except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
            # A broken profile, or one of other channels than the picture's, says nothing about its colours.
            pass
    return picture if picture.mode == "RGB" else picture.convert("RGB")
