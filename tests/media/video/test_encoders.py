from __future__ import annotations

from fractions import Fraction

import pytest

from mayfly.media.output import PRESETS, Output
from mayfly.media.video import encoders, hardware


def choose(output=None, *, size=(128, 96), deep=False, works=lambda *_: False):
    return encoders.choose(output or Output(), width=size[0], height=size[1], deep=deep, works=works)


@pytest.mark.parametrize(
    ("codec", "size", "deep", "expected"),
    [
        ("auto", (128, 96), False, ("libx264", "yuv420p")),
        ("auto", (128, 96), True, ("libx265", "yuv420p10le")),
        ("auto", (127, 96), False, ("libx264", "yuv444p")),
        ("h264", (128, 96), False, ("libx264", "yuv420p")),
        ("hevc", (128, 96), False, ("libx265", "yuv420p")),
        ("hevc", (128, 95), True, ("libx265", "yuv444p10le")),
        ("hevc", (128, 15), True, ("libx264", "yuv444p")),
        ("av1", (128, 96), False, ("libsvtav1", "yuv420p")),
        ("av1", (128, 96), True, ("libsvtav1", "yuv420p10le")),
        ("av1", (64, 8704), False, ("libsvtav1", "yuv420p")),
        ("av1", (64, 8706), False, ("libaom-av1", "yuv420p")),
        ("av1", (127, 95), True, ("libaom-av1", "yuv420p10le")),
        ("av1", (128, 62), False, ("libaom-av1", "yuv420p")),
    ],
)
def test_what_encodes(codec, size, deep, expected):
    coding = choose(Output(codec=codec), size=size, deep=deep)
    assert (coding.encoder, coding.pixels) == expected
    assert not coding.hardware


def test_one_scale_of_quality():
    for make in (encoders.x264, encoders.x265, encoders.svtav1, encoders.aom):
        factors = [make(Output(quality=quality))["crf"] for quality in range(52)]
        assert factors == sorted(factors)
        assert factors[10] < factors[20] < factors[30]
    assert encoders.x264(Output())["crf"] == 20


def test_slower_presets_are_slower():
    for make in (encoders.svtav1, encoders.aom):
        speeds = [next(iter(make(Output(preset=preset)).values())) for preset in PRESETS]
        assert speeds == sorted(speeds, reverse=True)
    assert [encoders.x265(Output(preset=preset))["preset"] for preset in PRESETS] == list(PRESETS)


def test_hardware_only_where_it_is_allowed_and_works():
    asked = []

    def works(*what):
        asked.append(what)
        return True

    assert choose(Output(codec="hevc"), works=works).encoder == "libx265"
    assert asked == []
    coding = choose(Output(codec="hevc", hardware=True, quality=18), deep=True, works=works)
    assert asked == [("hevc_nvenc", 128, 96, "p010le")]
    assert (coding.encoder, coding.pixels, coding.hardware) == ("hevc_nvenc", "p010le", True)
    assert coding.options == {"preset": "p3", "rc": "vbr", "cq": 22, "b:v": 0, "profile:v": "main10"}
    assert choose(Output(hardware=True), works=works).options["profile:v"] == "high"
    assert choose(Output(codec="av1", hardware=True), works=works).encoder == "av1_nvenc"
    assert choose(Output(hardware=True), works=lambda *_: False).encoder == "libx264"
    # An odd side is kept by software.
    assert choose(Output(hardware=True), size=(127, 96), works=works).encoder == "libx264"


def test_the_stream_says_its_own_rate():
    assert "h264_metadata=tick_rate=60000/1001" in encoders.bitstream_filters("h264", Fraction(30000, 1001))
    assert encoders.bitstream_filters("hevc", Fraction(25)) == ["hevc_metadata=tick_rate=25"]


def test_an_encoder_is_tried_and_not_believed():
    assert hardware.works("libx264", 64, 48, "yuv420p")
    # It is listed and takes these frames, but no device has so large ones; and this one is not there at all.
    assert not hardware.works("h264_nvenc", 16384, 16384, "yuv420p")
    assert not hardware.works("no_such_encoder", 64, 48, "yuv420p")
    hardware.works.cache_clear()
