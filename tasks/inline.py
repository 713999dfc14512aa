"""Lets pictures that travel among an effect's parameters be decoded where photos are: in the confined child."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from mayfly.effects.shared import inline_pictures
from mayfly.media.errors import MediaError, MediaToolError

if TYPE_CHECKING:
    from PIL import Image


def use() -> None:
    """From now on in this process; until then it decodes them itself."""
    inline_pictures.decode_by(_decode)


def _decode(data: bytes) -> Image.Image:
    from PIL import Image

    from mayfly.media import sniff
    from mayfly.media.image import photos, sizes
    from mayfly.media.limits import Limits

    side = inline_pictures.LONGEST_SIDE
    try:
        found = sniff.sniff(data)
        if found not in (sniff.JPEG, sniff.PNG):
            raise ValueError(inline_pictures.BROKEN)
        size = sizes.read(io.BytesIO(data), found)
        if size is not None and max(size) > side:
            raise ValueError(inline_pictures.TOO_LARGE)
        decoded = photos.decode(data, found, Limits(max_side=side, max_pixels=side * side))
    except MediaToolError:
        raise
    except MediaError:
        raise ValueError(inline_pictures.BROKEN) from None
    plane = decoded.width * decoded.height
    shape = (decoded.width, decoded.height)
    planes = [
        Image.frombytes("L", shape, bytes(decoded.data[number * plane : (number + 1) * plane]))
        for number in range(decoded.planes)
    ]
    return Image.merge("RGBA", planes if decoded.planes == 4 else [*planes, Image.new("L", shape, 255)])
