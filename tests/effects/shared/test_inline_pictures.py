"""Pictures that come as text are read, or refused with a reason."""

import base64
import io

import pytest
from PIL import Image

from mayfly.effects.shared import inline_pictures


def text(picture, kind="PNG"):
    stream = io.BytesIO()
    picture.save(stream, kind)
    return base64.b64encode(stream.getvalue()).decode()


def test_a_picture_comes_back():
    read = inline_pictures.read(text(Image.new("RGB", (3, 2), (10, 200, 30))))
    assert read.size == (3, 2) and read.mode == "RGB" and read.getpixel((1, 1)) == (10, 200, 30)


def test_what_is_transparent_becomes_white():
    assert inline_pictures.read(text(Image.new("RGBA", (1, 1), (9, 9, 9, 0)))).getpixel((0, 0)) == (255, 255, 255)


@pytest.mark.parametrize("kind", ["GIF", "BMP", "TIFF", "WEBP"])
def test_other_formats_are_refused(kind):
    with pytest.raises(ValueError, match="PNG or JPEG"):
        inline_pictures.read(text(Image.new("RGB", (4, 4)), kind))


def test_a_large_one_is_refused_by_its_header():
    with pytest.raises(ValueError, match="pixels a side"):
        inline_pictures.read(text(Image.new("1", (60000, 1200))))


def test_nothing_to_check_is_fine():
    assert inline_pictures.check(None) is None
