"""The picture codec: any picture that is taken, to upright sRGB pixels and back, with nothing else of the source."""

from __future__ import annotations

import dataclasses
import io
import struct
import zlib
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageCms
from torch.nn import functional

from media import probe, sniff
from media.errors import DamagedMedia
from media.limits import Limits

QUALITY = 92
_FULL_CHROMA_QUALITY = 90  # from here on JPEG keeps colour at full resolution
_MAX_PROFILE_BYTES = 4 * 1024**2
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


@dataclasses.dataclass(frozen=True)
class Picture:
    """A decoded picture.

    Attributes:
        rgb: (3, H, W) uint8, sRGB, upright.
        alpha: (1, H, W) uint8, not premultiplied; None where the source is opaque.
        format: of the source.
    """

    rgb: torch.Tensor
    alpha: torch.Tensor | None
    format: sniff.Format

    def replaced(self, planes: torch.Tensor) -> Picture:
        """The picture with other colours, (3, H·s, W·s) uint8, its own opacity scaled to fit.

        A fourth plane is opacity, too: what remains of the picture's own.
        """
        rgb, alpha = planes[:3], self.alpha
        if alpha is not None and alpha.shape[-2:] != rgb.shape[-2:]:
            scaled = functional.interpolate(alpha[None].float(), size=rgb.shape[-2:], mode="bilinear", antialias=True)
            alpha = scaled[0].round_().clamp_(0, 255).to(torch.uint8)
        if len(planes) == 4:
            own = planes[3:]
            alpha = own if alpha is None else (own.float() * alpha.float() / 255).round_().to(torch.uint8)
        return Picture(rgb, alpha, self.format)


def decode(source: Path | bytes, limits: Limits) -> Picture:
    """Decode a picture; of an animated one, the first frame.

    Raises:
        EmptyFile, UnsupportedMedia, WrongKind, TooLarge: as probe.probe_image.
        DamagedMedia: truncated or corrupt.
    """
    found = probe.probe_image(source, limits).format
    with probe.open_image(source, found) as opened:
        try:
            opened.load()
            orientation = opened.getexif().get(_ORIENTATION)
            picture = _eight_bits(opened)
            if picture.has_transparency_data:
                picture = picture.convert("RGBA")
        except (OSError, SyntaxError, ValueError, IndexError, KeyError, TypeError, struct.error, zlib.error):
            raise DamagedMedia from None
        alpha = picture.getchannel("A") if picture.mode == "RGBA" else None
        picture = _srgb(picture, opened.info.get("icc_profile"))
    transpose = _TRANSPOSES.get(orientation) if isinstance(orientation, int) else None
    if transpose is not None:
        picture = picture.transpose(transpose)
        alpha = alpha.transpose(transpose) if alpha is not None else None
    return Picture(_tensor(picture), None if alpha is None else _tensor(alpha), found)


def encode(picture: Picture, format: sniff.Format | None = None, *, quality: int = QUALITY) -> bytes:  # noqa: A002
    """Encode a picture, by default in the format of its source; the pixels and nothing else.

    Args:
        picture: what to encode; a format without opacity shows it on white.
        format: JPEG, PNG or WebP.
        quality: of JPEG and WebP, 1 … 100.
    """
    chosen = format or picture.format
    planes = list(picture.rgb.cpu().contiguous())
    mode = "RGB"
    if picture.alpha is not None and chosen is not sniff.JPEG:
        planes.append(picture.alpha[0].cpu().contiguous())
        mode = "RGBA"
    image = Image.merge(mode, [Image.fromarray(plane.numpy()) for plane in planes])
    if picture.alpha is not None and chosen is sniff.JPEG:
        white = Image.new("RGB", image.size, "white")
        image = Image.composite(image, white, Image.fromarray(picture.alpha[0].cpu().contiguous().numpy()))
    output = io.BytesIO()
    if chosen is sniff.JPEG:
        image.save(output, "JPEG", quality=quality, subsampling=0 if quality >= _FULL_CHROMA_QUALITY else 2)
    elif chosen is sniff.PNG:
        image.save(output, "PNG", compress_level=3)
    elif chosen is sniff.WEBP:
        image.save(output, "WEBP", quality=quality, method=2)
    else:
        raise ValueError("a picture is encoded as JPEG, PNG or WebP")
    return output.getvalue()


def _eight_bits(picture: Image.Image) -> Image.Image:
    if picture.mode == "I" or picture.mode.startswith("I;16"):
        levels = np.asarray(picture).astype(np.int64).clip(0, 65_535)
        return Image.fromarray(((levels * 255 + 32_767) // 65_535).astype(np.uint8))
    return picture


def _srgb(picture: Image.Image, profile: bytes | None) -> Image.Image:
    if picture.mode not in ("RGB", "L", "CMYK"):
        picture = picture.convert("RGB")
    if profile and len(profile) <= _MAX_PROFILE_BYTES:
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


def _tensor(picture: Image.Image) -> torch.Tensor:
    planes = picture.split()
    result = torch.empty((len(planes), picture.height, picture.width), dtype=torch.uint8)
    flat = result.view(len(planes), -1).numpy()
    for target, plane in zip(flat, planes, strict=True):
        target[:] = np.frombuffer(plane.tobytes(), np.uint8)
    return result
