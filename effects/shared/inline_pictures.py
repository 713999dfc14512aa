"""Small pictures that travel as text among an effect's parameters, refused before they are large."""

from __future__ import annotations

import base64
import binascii
import io
import struct
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

# Characters of base64: 96 kB of PNG or JPEG.
LONGEST_TEXT = 131_072
TEXT_PATTERN = r"^[A-Za-z0-9+/]+={0,2}$"
# Pixels along each side.
LONGEST_SIDE = 1024
TOO_LARGE = f"the picture must have at most {LONGEST_SIDE} pixels a side"
BROKEN = "the picture must be a whole PNG or JPEG file"


def decode_by(decoder: Callable[[bytes], Image.Image]) -> None:
    """Let another decode PNG and JPEG to RGBA for this process, outside of it; raises ValueError with one of the texts
    above.
    """
    global _decoder
    _decoder = decoder


def _decode(data: bytes) -> Image.Image:
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            opened = Image.open(io.BytesIO(data), formats=("PNG", "JPEG"))
            # The header alone has been read.
            if max(opened.size) <= LONGEST_SIDE:
                return opened.convert("RGBA")
    except (OSError, SyntaxError, ValueError, struct.error, Warning, Image.DecompressionBombError):
        raise ValueError(BROKEN) from None
    raise ValueError(TOO_LARGE)


_decoder: Callable[[bytes], Image.Image] = _decode


def check(text: str | None) -> str | None:
    """For a validator: the text, if it is a picture that can be read. Raises ValueError."""
    if text is not None:
        read(text)
    return text


def read(text: str) -> Image.Image:
    """RGB of base64's PNG or JPEG; what is transparent becomes white. Raises ValueError."""
    from PIL import Image

    if len(text) > LONGEST_TEXT:
        raise ValueError(f"the picture must have at most {LONGEST_TEXT} characters of base64")
    try:
        data = base64.b64decode(text, validate=True)
    except binascii.Error:
        raise ValueError("the picture must be base64 text") from None
    whole = _decoder(data)
    ground = Image.new("RGBA", whole.size, "white")
    ground.alpha_composite(whole)
    return ground.convert("RGB")
