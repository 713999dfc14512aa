"""A picture among the parameters is decoded in the confined child, and refused in the same words."""

from __future__ import annotations

import base64
import io

import pytest
from PIL import Image

from mayfly.effects import registry
from mayfly.effects.errors import InvalidParameters
from mayfly.effects.shared import inline_pictures
from mayfly.media.image import photos
from mayfly.tasks import inline


def text(picture, name="PNG", **options):
    data = io.BytesIO()
    picture.save(data, name, **options)
    return base64.b64encode(data.getvalue()).decode()


@pytest.fixture
def elsewhere(monkeypatch):
    """As in a process that has begun to work; and in it nothing decodes here."""
    monkeypatch.setattr(inline_pictures, "_decoder", inline_pictures._decoder)
    inline.use()
    asked = []

    def decode(data, found, limits):
        asked.append(found.name)
        return original(data, found, limits)

    original = photos.decode
    monkeypatch.setattr(photos, "decode", decode)
    return asked


@pytest.mark.parametrize("name", ["PNG", "JPEG"])
def test_it_is_what_it_is_without_the_child(elsewhere, name):
    picture = Image.radial_gradient("L").resize((31, 17)).convert("RGB")
    given = text(picture, name)
    assert elsewhere == []
    found = inline_pictures.read(given)
    assert elsewhere == [name]
    with Image.open(io.BytesIO(base64.b64decode(given))) as opened:
        assert found.tobytes() == opened.convert("RGB").tobytes()


def test_what_is_transparent_is_white(elsewhere):
    assert inline_pictures.read(text(Image.new("RGBA", (3, 2), (9, 9, 9, 0)))).getpixel((1, 1)) == (255, 255, 255)


def test_what_is_no_small_picture_is_refused(elsewhere):
    noise = text(Image.effect_noise((60, 60), 90))
    for given, word in [
        (text(Image.new("RGB", (1025, 3))), "1024"),
        (text(Image.new("RGB", (3, 3)), "WEBP"), "PNG or JPEG"),
        (noise[:400], "PNG or JPEG"),
        ("aGVsbG8=", "PNG or JPEG"),
    ]:
        with pytest.raises(InvalidParameters, match=word):
            registry.parameters("fashion", {"pattern_image": given})
