"""The size by a picture's header is the decoder's, and what formats can hold is what their encoders take."""

from __future__ import annotations

import io
import random

import pytest
from PIL import Image

from mayfly.media import sniff
from mayfly.media.errors import ResultTooLarge
from mayfly.media.image import sizes
from mayfly.media.limits import MOST_SIDES, Limits


def saved(name, size=(37, 21), mode="RGB", **options):
    data = io.BytesIO()
    Image.new(mode, size).save(data, name, **options)
    return data.getvalue()


EXIF = Image.Exif()
EXIF[0x0112] = 6
CASES = {
    "JPEG": (sniff.JPEG, saved("JPEG")),
    "JPEG, progressive": (sniff.JPEG, saved("JPEG", progressive=True)),
    "JPEG, much before": (
        sniff.JPEG,
        saved("JPEG", exif=EXIF, icc_profile=bytes(200_000), comment=b"\xff\xc0" * 50),
    ),
    "JPEG, grey": (sniff.JPEG, saved("JPEG", mode="L")),
    "PNG": (sniff.PNG, saved("PNG", mode="RGBA")),
    "WebP, lossy": (sniff.WEBP, saved("WEBP")),
    "WebP, lossless": (sniff.WEBP, saved("WEBP", lossless=True)),
    "WebP, extended": (sniff.WEBP, saved("WEBP", mode="RGBA", exif=EXIF)),
}


@pytest.mark.parametrize("name", CASES)
def test_the_size_is_what_the_decoder_finds(name):
    found, data = CASES[name]
    stream = io.BytesIO(b"before" + data)
    stream.seek(6)
    assert sizes.read(stream, found) == (37, 21)
    assert stream.tell() == 6


def test_what_lies_between_segments_and_fill_bytes_are_passed_over():
    data = saved("JPEG")
    assert sizes.read(io.BytesIO(data[:2] + b"\0\0\xff\xff" + data[3:]), sniff.JPEG) == (37, 21)


@pytest.mark.parametrize("name", CASES)
def test_what_is_cut_or_damaged_says_nothing_or_something(name):
    found, data = CASES[name]
    dice = random.Random(3)
    for length in range(min(len(data), 60)):
        assert sizes.read(io.BytesIO(data[:length]), found) in (None, (37, 21))
    for _ in range(50):
        bad = bytearray(data)
        for _ in range(20):
            bad[dice.randrange(len(bad))] = dice.randrange(256)
        size = sizes.read(io.BytesIO(bad), found)
        assert size is None or min(size) > 0


def test_a_jpeg_of_endless_segments_ends():
    assert sizes.read(io.BytesIO(b"\xff\xd8" + b"\xff\xfe\0\2" * 100_000), sniff.JPEG) is None


@pytest.mark.parametrize("name", ["JPEG", "WEBP"])
def test_a_format_holds_what_is_said_and_no_more(name):
    most = MOST_SIDES[name]
    assert saved(name, (most, 1))
    with pytest.raises((OSError, ValueError)):
        saved(name, (most + 1, 1))


@pytest.mark.parametrize(
    ("found", "size"),
    [
        (sniff.WEBP, (16_384, 1)),
        (sniff.WEBP, (1, 16_384)),
        (sniff.JPEG, (65_501, 1)),
        (sniff.MP4, (16_385, 2)),
        (sniff.PNG, (1001, 1000)),
        (sniff.MP4, (501, 500)),
    ],
)
def test_what_would_be_too_large_is_named(found, size):
    limits = Limits(max_result_pixels=1_000_000, max_pixels=10, max_result_frame_pixels=250_000, max_frame_pixels=10)
    limits.check_result(found, 500, 500)
    with pytest.raises(ResultTooLarge) as caught:
        limits.check_result(found, *size)
    assert f"{size[0]}×{size[1]}" in str(caught.value)
    assert caught.value.code == "result_too_large"


def test_a_result_may_always_be_as_large_as_its_source():
    limits = Limits(max_pixels=10**9, max_result_pixels=1, max_frame_pixels=10**8, max_result_frame_pixels=1)
    limits.check_result(sniff.PNG, 16_000, 16_000)
    limits.check_result(sniff.MP4, 8_000, 8_000)
