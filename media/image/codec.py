"""The picture codec: any picture that is taken, to upright sRGB pixels and back, with nothing else of the source."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path

import torch
from PIL import Image
from torch.nn import functional

from mayfly.media import sniff
from mayfly.media.image import photos
from mayfly.media.limits import Limits
from mayfly.media.video import probe

QUALITY = 92
_FULL_CHROMA_QUALITY = 90  # from here on JPEG keeps colour at full resolution


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
    """Decode a picture, in the confined child (mayfly.media.image.photos); of an animated one, the first frame.

    Raises:
        EmptyFile, UnsupportedMedia, WrongKind, TooLarge: as probe.probe_image; TooLarge by its need of memory, too.
        DamagedMedia: truncated or corrupt.
        MediaTimeout: its decoder took too long.
        MediaToolError: the decoder failed for a reason of the machine's.
    """
    found, _ = probe.look(source, limits)
    decoded = photos.decode(source if isinstance(source, bytes) else source.read_bytes(), found, limits)
    planes = torch.frombuffer(decoded.data, dtype=torch.uint8).view(decoded.planes, decoded.height, decoded.width)
    return Picture(planes[:3], planes[3:] if decoded.planes == 4 else None, found)


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
