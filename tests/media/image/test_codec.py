from __future__ import annotations

import io
import zlib

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms, PngImagePlugin

from mayfly.media import sniff
from mayfly.media.errors import DamagedMedia, EmptyFile, TooLarge, UnsupportedMedia, WrongKind
from mayfly.media.image import codec
from mayfly.media.image import pixels as pixels_of
from mayfly.media.limits import Limits
from mayfly.media.video import probe

LIMITS = Limits()


def saved(picture, name="PNG", **options):
    data = io.BytesIO()
    picture.save(data, name, **options)
    return data.getvalue()


def pattern(width=20, height=12):
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 255 // (width - 1), y * 255 // (height - 1), (x + y) % 2 * 80 + 40], -1).astype(np.uint8)


def pixels(picture):
    return picture.rgb.permute(1, 2, 0).numpy()


def test_png_round_trip_is_exact():
    decoded = codec.decode(saved(Image.fromarray(pattern())), LIMITS)
    assert decoded.rgb.dtype == torch.uint8
    assert decoded.rgb.shape == (3, 12, 20)
    assert decoded.rgb.is_contiguous()
    assert decoded.alpha is None
    assert (pixels(decoded) == pattern()).all()
    assert (pixels(codec.decode(codec.encode(decoded), LIMITS)) == pattern()).all()


@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP"])
def test_the_format_is_kept(name):
    smooth = Image.fromarray(pattern()).resize((200, 120), Image.Resampling.BICUBIC)
    encoded = codec.encode(codec.decode(saved(smooth, name, quality=95), LIMITS))
    assert sniff.sniff(encoded).name == name
    with Image.open(io.BytesIO(encoded)) as opened:
        difference = np.abs(np.asarray(opened.convert("RGB"), int) - np.asarray(smooth, int))
    assert difference.mean() < 6


def test_another_format_and_opacity_on_white():
    clear = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    decoded = codec.decode(saved(clear), LIMITS)
    assert sniff.sniff(codec.encode(decoded, sniff.WEBP)) is sniff.WEBP
    assert pixels(codec.decode(codec.encode(decoded, sniff.JPEG), LIMITS)).min() > 250
    with pytest.raises(ValueError, match="JPEG"):
        codec.encode(decoded, sniff.MP4)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP"])
def test_orientation(orientation, name):
    upright = Image.new("RGB", (32, 16))
    for box, colour in [((0, 0), "red"), ((16, 0), "lime"), ((0, 8), "blue"), ((16, 8), "white")]:
        upright.paste(colour, (*box, box[0] + 16, box[1] + 8))
    # What has to be done to the upright picture so that the tag undoes it.
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = upright.transpose(undo[orientation]) if orientation > 1 else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {} if name == "PNG" else {"quality": 100}
    decoded = codec.decode(saved(stored, name, exif=exif, **options), LIMITS)
    corners = pixels(decoded)[[4, 4, 11, 11], [8, 23, 8, 23]].astype(int)
    expected = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]])
    assert decoded.rgb.shape == (3, 16, 32)
    assert np.abs(corners - expected).max() < 40


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGBA", "RGB", "I;16"])
def test_png_modes(mode):
    grey = np.tile(np.arange(0, 250, 10, dtype=np.uint8), (6, 1))
    source = Image.fromarray(grey.astype(np.uint16) * 257) if mode == "I;16" else Image.fromarray(grey).convert(mode)
    decoded = codec.decode(saved(source), LIMITS)
    expected = grey if mode != "1" else np.asarray(source.convert("L"))
    assert (pixels(decoded) == expected[..., None]).all()
    assert (decoded.alpha is not None) == (mode in ("LA", "RGBA"))


def test_cmyk():
    decoded = codec.decode(saved(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG", quality=100), LIMITS)
    red, green, blue = pixels(decoded)[8, 8].astype(int)
    assert red > 200
    assert max(green, blue) < 60


def test_grey_jpeg():
    assert np.abs(pixels(codec.decode(saved(Image.new("L", (9, 9), 77), "JPEG"), LIMITS)).astype(int) - 77).max() <= 1


def test_palette_with_transparency():
    source = Image.new("P", (4, 4))
    source.putpalette([10, 20, 30, 200, 100, 50])
    source.putpixel((1, 1), 1)
    decoded = codec.decode(saved(source, transparency=b"\x00\x80"), LIMITS)
    assert decoded.alpha is not None
    assert decoded.alpha[0, 0, 0] == 0
    assert decoded.alpha[0, 1, 1] == 128
    assert decoded.rgb[:, 1, 1].tolist() == [200, 100, 50]


@pytest.mark.parametrize("scale", [1, 2])
def test_opacity_follows_the_size(scale):
    source = Image.fromarray(np.dstack([pattern(), np.arange(240, dtype=np.uint8).reshape(12, 20)]), "RGBA")
    decoded = codec.decode(saved(source), LIMITS)
    larger = decoded.rgb.repeat_interleave(scale, 1).repeat_interleave(scale, 2)
    again = codec.decode(codec.encode(decoded.replaced(larger)), LIMITS)
    assert again.alpha is not None
    assert again.alpha.shape == (1, 12 * scale, 20 * scale)
    assert np.abs(again.alpha[0, ::scale, ::scale].numpy().astype(int) - np.asarray(source)[..., 3]).max() <= 10


@pytest.mark.parametrize("has_its_own", [True, False])
def test_what_an_effect_cuts_out_was_seen_before(has_its_own):
    own = np.full((12, 20), 128, np.uint8)
    source = Image.fromarray(np.dstack([pattern(), own]) if has_its_own else pattern())
    decoded = codec.decode(saved(source), LIMITS)
    cut = torch.zeros(1, 12, 20, dtype=torch.uint8)
    cut[..., :10] = 255
    again = codec.decode(codec.encode(decoded.replaced(torch.cat([decoded.rgb, cut]))), LIMITS)
    assert again.alpha is not None
    assert (again.alpha[..., :10] == (128 if has_its_own else 255)).all()
    assert (again.alpha[..., 10:] == 0).all()
    assert (again.rgb == decoded.rgb).all()


def test_profiles_that_change_nothing():
    other = ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ"))
    source = Image.new("RGB", (4, 4), (120, 60, 200))
    with_profile = saved(source, icc_profile=other.tobytes())
    without = pixels(codec.decode(saved(source), LIMITS))
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert (pixels(codec.decode(saved(source, icc_profile=srgb), LIMITS)) == without).all()
    # XYZ is no profile of RGB pixels: it says nothing, and the picture is still taken.
    assert (pixels(codec.decode(with_profile, LIMITS)) == without).all()
    assert (pixels(codec.decode(saved(source, icc_profile=b"broken"), LIMITS)) == without).all()


def test_a_profile_of_any_size_is_not_read():
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    red, green = profile.index(b"rXYZ"), profile.index(b"gXYZ")
    profile[red : red + 4], profile[green : green + 4] = b"gXYZ", b"rXYZ"
    profile = bytes(profile).replace("sRGB".encode("utf-16-be"), "test".encode("utf-16-be"))
    source = Image.new("RGB", (4, 4), (250, 10, 10))
    for size, applied in [(pixels_of.MAX_PROFILE_BYTES, True), (pixels_of.MAX_PROFILE_BYTES + 4, False)]:
        padded = size.to_bytes(4, "big") + profile[4:] + bytes(size - len(profile))
        red_level, green_level, _ = pixels(codec.decode(saved(source, "JPEG", icc_profile=padded), LIMITS))[
            0, 0
        ].astype(int)
        assert (green_level > red_level) == applied


def test_wide_gamut_profile_changes_the_pixels():
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    # Swap the red and green primaries, and the description by which sRGB is known.
    red, green = profile.index(b"rXYZ"), profile.index(b"gXYZ")
    profile[red : red + 4], profile[green : green + 4] = b"gXYZ", b"rXYZ"
    profile = bytes(profile).replace("sRGB".encode("utf-16-be"), "test".encode("utf-16-be"))
    source = Image.new("RGB", (4, 4), (250, 10, 10))
    red_level, green_level, _ = pixels(codec.decode(saved(source, icc_profile=profile), LIMITS))[0, 0].astype(int)
    assert green_level > red_level


def test_nothing_of_the_source_but_pixels_remains():
    exif = Image.Exif()
    exif[0x010E] = "SECRET-PLACE"
    exif[0x0112] = 6
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", "SECRET-PLACE")
    text.add_itxt("XML:com.adobe.xmp", "<x:xmpmeta>SECRET-PLACE</x:xmpmeta>")
    source = Image.fromarray(pattern())
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for data in (
        saved(
            source, "JPEG", exif=exif, comment=b"SECRET-PLACE", xmp=b"SECRET-PLACE", icc_profile=srgb, dpi=(301, 301)
        ),
        saved(source, "PNG", exif=exif, pnginfo=text, icc_profile=srgb, dpi=(301, 301)),
        saved(source, "WEBP", exif=exif, xmp=b"SECRET-PLACE", icc_profile=srgb),
    ):
        assert b"SECRET-PLACE" in data
        encoded = codec.encode(codec.decode(data, LIMITS))
        assert b"SECRET-PLACE" not in encoded
        with Image.open(io.BytesIO(encoded)) as opened:
            opened.load()
            assert not opened.getexif()
            left = {"exif", "xmp", "icc_profile", "comment", "Comment", "XML:com.adobe.xmp", "dpi"} & set(opened.info)
        assert not left


def test_the_first_frame_of_an_animation():
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    data = saved(frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=True)
    assert pixels(codec.decode(data, LIMITS))[0, 0, 0] > 240


@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("keep", [0.02, 0.3, 0.7])
def test_truncated(name, keep, photo):
    with Image.open(photo) as opened:
        data = saved(opened, name)
    with pytest.raises(DamagedMedia):
        codec.decode(data[: int(len(data) * keep)], LIMITS)


def test_corrupt_png(photo):
    with Image.open(photo) as opened:
        data = bytearray(saved(opened))
    data[len(data) // 2 : len(data) // 2 + 200] = b"\x55" * 200
    with pytest.raises(DamagedMedia):
        codec.decode(bytes(data), LIMITS)


def test_refusals_by_kind(tmp_path):
    with pytest.raises(EmptyFile):
        probe.probe_image(b"", LIMITS)
    with pytest.raises(UnsupportedMedia):
        probe.probe_image(b"<svg/>", LIMITS)
    with pytest.raises(WrongKind):
        probe.probe_image(b"\0\0\0\x14ftypisom\0\0\0\0isom", LIMITS)


def test_a_png_bomb():
    # A header of 60,000 × 60,000 pixels with hardly any data.
    header = b"IHDR" + (60_000).to_bytes(4, "big") * 2 + b"\x08\x02\0\0\0"
    data = b"\x89PNG\r\n\x1a\n" + (13).to_bytes(4, "big") + header + zlib.crc32(header).to_bytes(4, "big")
    with pytest.raises(TooLarge):
        codec.decode(data + b"\0\0\0\x10IDAT" + b"\0" * 100, LIMITS)


def test_a_webp_bomb():
    data = saved(Image.new("RGB", (9000, 8000)), "WEBP", quality=1, method=0)
    with pytest.raises(TooLarge) as caught:
        codec.decode(data, LIMITS)
    assert "50,000,000" in str(caught.value)


def test_limits_name_themselves():
    data = saved(Image.new("RGB", (300, 2)))
    for limits, word in [
        (Limits(max_image_bytes=10), "10 bytes"),
        (Limits(max_side=200), "200"),
        (Limits(max_pixels=500), "500"),
    ]:
        with pytest.raises(TooLarge) as caught:
            codec.decode(data, limits)
        assert word in str(caught.value)


def test_probe_reads_the_header(photo):
    info = probe.probe_image(photo, LIMITS)
    assert (info.width, info.height, info.format) == (512, 512, sniff.JPEG)
