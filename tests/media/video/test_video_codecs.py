"""Codecs, depths and dynamic ranges of the result."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import math
import os
import re
from fractions import Fraction

import psutil
import pytest
import torch

from mayfly.media.limits import Limits
from mayfly.media.output import Output
from mayfly.media.video import chapters, hardware, probe, video
from mayfly.media.video.info import Chapter
from tests.media import clips

LIMITS = Limits()
UNEVEN = ("-vf", "boxblur=6,setpts='(N*N+3*N)/50/TB',setsar=4/3", "-fps_mode", "vfr", "-enc_time_base", "1/12800")
TAGS = ("-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709", "-color_range", "tv")


def transform(source, target, apply=lambda frames: frames, **options):
    options.setdefault("output", Output(quality=10, preset="ultrafast"))
    return video.transform(
        source, target, apply, info=probe.probe_video(source, LIMITS), limits=LIMITS, batch=4, **options
    )


def picture(path):
    return clips.streams(path)[0]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize("codec", ["h264", "hevc", "av1"])
def test_every_codec_keeps_what_the_source_has(tmp_path, codec, suffix):
    source = clips.make(
        tmp_path / "clip.mkv",
        *(*clips.SOUND, *UNEVEN, *clips.H264, *TAGS, *("-c:a", "mp2" if suffix == ".mp4" else "pcm_alaw")),
        size="96x64",
        seconds=0.6,
    )
    target, output = tmp_path / "out", Output(codec=codec, quality=10, preset="ultrafast")
    assert transform(source, target, output=output).suffix == suffix
    after = picture(target)
    assert (after["codec_name"], after["pix_fmt"]) == (codec, "yuv420p")
    for key in ("color_range", "color_space", "color_primaries", "color_transfer", "sample_aspect_ratio"):
        assert after[key] == picture(source)[key]
    times = clips.timestamps(source)
    assert len({later - earlier for earlier, later in itertools.pairwise(times)}) > 10
    assert clips.timestamps(target) == times
    assert clips.packets(target) == clips.packets(source)
    assert clips.psnr(target, source) > 38
    data = target.read_bytes()
    assert not re.search(rb"Lavc|x26[45] |x26[45]\.|SVT-AV1", data)
    if suffix == ".mp4":
        assert after["codec_tag_string"] == {"h264": "avc1", "hevc": "hvc1", "av1": "av01"}[codec]
        assert data.index(b"moov") < data.index(b"mdat")


@pytest.mark.parametrize("codec", ["hevc", "av1"])
@pytest.mark.parametrize("size", ["63x47", "97x70", "1x1"])
def test_odd_sizes_in_other_codecs(tmp_path, codec, size):
    scaled = ("-vf", f"scale={size.replace('x', ':')}:flags=neighbor")
    source = clips.make(tmp_path / "odd.mkv", *scaled, "-c:v", "libx264", "-pix_fmt", "yuv444p", seconds=0.3)
    transform(source, tmp_path / "out", output=Output(codec=codec))
    after = picture(tmp_path / "out")
    assert f"{after['width']}x{after['height']}" == size
    assert after["codec_name"] == ("h264" if (codec, size) == ("hevc", "1x1") else codec)
    assert clips.timestamps(tmp_path / "out") == clips.timestamps(source)


def test_without_a_device_software_encodes(tmp_path, clip):
    """Also on a machine that has one: no device encodes frames of this size."""
    hardware.works.cache_clear()
    source = clips.make(tmp_path / "small.mp4", size="16x16", seconds=0.2)
    transform(source, tmp_path / "out.mp4", output=Output(hardware=True))
    assert clips.timestamps(tmp_path / "out.mp4") == clips.timestamps(source)
    assert hardware.works.cache_info().misses == 1


def gradient(path, *options, pixels="yuv420p10le"):
    """A grey ramp over 256 columns with a step for each column of 10 bits."""
    ramp = "color=black:size=256x64:rate=10:duration=0.4,format=yuv420p10le,geq=lum='300+X':cb=512:cr=512"
    clips.ffmpeg("-f", "lavfi", "-i", ramp, *(options or ("-c:v", "libx265")), "-pix_fmt", pixels, *TAGS, path)
    return path


def luma(path, pixels="yuv420p10le"):
    """The first row of the first frame."""
    raw = clips.ffmpeg("-i", path, "-frames:v", "1", "-f", "rawvideo", "-pix_fmt", pixels, "-")
    return torch.frombuffer(bytearray(raw), dtype=torch.int16)[:256]


@pytest.mark.parametrize(
    ("suffix", "encoder", "pixels"),
    [
        (".mp4", ("-c:v", "libx265", "-x265-params", "lossless=1"), "yuv420p10le"),
        (".mkv", ("-c:v", "libx264", "-qp", "0"), "yuv420p10le"),
        (".webm", ("-c:v", "libvpx-vp9", "-lossless", "1"), "yuv420p10le"),
        (".mov", ("-c:v", "prores_ks"), "yuv422p10le"),
    ],
)
def test_ten_bits_stay_ten(tmp_path, suffix, encoder, pixels):
    source = gradient(tmp_path / f"ten{suffix}", *encoder, pixels=pixels)
    assert probe.probe_video(source, LIMITS).bit_depth == 10
    seen = []

    def apply(frames):
        seen.append((frames.dtype, frames.is_contiguous(), len(frames[0, 0, 0].int().unique())))
        return frames

    transform(source, tmp_path / "out", apply, depth=16, output=Output(quality=1))
    assert seen == [(torch.uint16, True, 256)]
    after = picture(tmp_path / "out")
    assert (after["codec_name"], after["profile"], after["pix_fmt"]) == ("hevc", "Main 10", "yuv420p10le")
    # Steps of a single level of 10 bits are still there: 8 bits would make them four levels high.
    found = luma(tmp_path / "out")
    assert (found - luma(source)).abs().max() <= 1
    assert len(found.unique()) > 200


def test_eight_bits_where_the_effect_or_the_codec_wants_them(tmp_path):
    source, seen = gradient(tmp_path / "ten.mp4"), []

    def apply(frames):
        seen.append(frames.dtype)
        return frames

    transform(source, tmp_path / "a", apply)
    transform(source, tmp_path / "b", apply, depth=16, output=Output(codec="h264"))
    eight = clips.make(tmp_path / "eight.mp4", seconds=0.2)
    transform(eight, tmp_path / "c", apply, depth=16)
    assert set(seen) == {torch.uint8}
    for name in "abc":
        assert (picture(tmp_path / name)["codec_name"], picture(tmp_path / name)["pix_fmt"]) == ("h264", "yuv420p")


def test_a_deep_effect_must_return_what_it_got(tmp_path):
    with pytest.raises(ValueError, match="effect"):
        transform(gradient(tmp_path / "ten.mp4"), tmp_path / "out", lambda frames: frames.to(torch.uint8), depth=16)


def pq(nits):
    """ITU-R BT.2100, table 4."""
    light = (nits / 10_000) ** (2610 / 16384)
    return ((3424 + 2413 * 32 * light) / (4096 + 2392 * 32 * light)) ** (2523 / 4096 * 128)


def hlg(nits):
    """ITU-R BT.2100, table 5, of a grey on a display of 1,000 cd/m²."""
    light = (nits / 1000) ** (1 / 1.2)
    return math.sqrt(3 * light) if light <= 1 / 12 else 0.17883277 * math.log(12 * light - 0.28466892) + 0.55991073


def hdr(path, transfer, nits, *, size="64x64"):
    """HDR10 or HLG of one grey, so bright on a display of 1,000 cd/m²."""
    code = 64 + round(876 * {"smpte2084": pq, "arib-std-b67": hlg}[transfer](nits))
    grey = f"color=black:size={size}:rate=10:duration=0.3,format=yuv420p10le"
    metadata = (
        "hdr10=1:master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50):max-cll=1000,400"
    )
    tags = f"colorprim=bt2020:transfer={transfer}:colormatrix=bt2020nc:range=limited:log-level=none"
    tags += f":{metadata}" if transfer == "smpte2084" else ""
    clips.ffmpeg(
        *("-f", "lavfi", "-i", f"{grey},geq=lum={code}:cb=512:cr=512"),
        *("-c:v", "libx265", "-x265-params", f"{tags}:crf=4", "-colorspace", "bt2020nc"),
        *("-color_primaries", "bt2020", "-color_trc", transfer, "-color_range", "tv", path),
    )
    return path


@pytest.mark.parametrize("transfer", ["smpte2084", "arib-std-b67"])
@pytest.mark.parametrize("depth", [8, 16])
def test_hdr_becomes_sdr_and_says_so(tmp_path, transfer, depth):
    levels = {}
    for nits in (26, 203, 1000):
        source, target = hdr(tmp_path / f"{nits}.mp4", transfer, nits), tmp_path / f"{nits}.out.mp4"
        assert ("mastering" in clips.side_data(source)) == (transfer == "smpte2084")
        seen = []
        transform(source, target, lambda frames, seen=seen: seen.append(frames.float()) or frames, depth=depth)
        rgb = torch.cat(seen) / (255 if depth == 8 else 65535)
        # Grey stays grey.
        assert (rgb.amax(1) - rgb.amin(1)).max() < 0.01
        levels[nits] = float(rgb.mean())
        after = picture(target)
        assert [after[f"color_{key}"] for key in ("space", "transfer", "primaries", "range")] == ["bt709"] * 3 + ["tv"]
        assert after["pix_fmt"] == ("yuv420p" if depth == 8 else "yuv420p10le")
        assert not re.search("mastering|light", clips.side_data(target))
    # An eighth of reference white is left alone: the 2.4th root of 26 ÷ 203 is 0.425. White keeps room above it.
    assert levels[26] == pytest.approx(0.425, abs=0.015)
    assert levels[203] == pytest.approx(0.851, abs=0.015)
    assert levels[1000] > 0.985


def test_hdr_of_odd_size_and_turned(tmp_path):
    flat = hdr(tmp_path / "flat.mp4", "smpte2084", 203)
    source = tmp_path / "turned.mp4"
    clips.ffmpeg("-i", flat, "-c", "copy", "-metadata:s:v", "rotate=90", source)
    cropped = tmp_path / "odd.mkv"
    tags = "colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc:range=limited:log-level=none"
    clips.ffmpeg(
        *("-i", flat, "-vf", "format=yuv444p10le,crop=33:31", "-c:v", "libx265", "-x265-params", tags, cropped)
    )
    for path, size in ((source, (64, 64)), (cropped, (33, 31))):
        result = transform(path, tmp_path / "out", depth=16)
        assert (result.width, result.height) == size
        assert picture(tmp_path / "out")["color_transfer"] == "bt709"


def test_wide_gamut_that_is_no_hdr_is_kept(tmp_path):
    tags = ("-colorspace", "bt2020nc", "-color_primaries", "bt2020", "-color_trc", "bt2020-10", "-color_range", "tv")
    source = clips.make(
        tmp_path / "wide.mkv", "-vf", "boxblur=6", "-c:v", "libx265", "-pix_fmt", "yuv420p10le", *tags, seconds=0.3
    )
    transform(source, tmp_path / "out", depth=16)
    for key in ("color_range", "color_space", "color_primaries", "color_transfer"):
        assert picture(tmp_path / "out")[key] == picture(source)[key]
    assert clips.psnr(tmp_path / "out", source) > 38


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize("sound", [True, False])
def test_chapters_by_choice_and_nothing_with_them(tmp_path, suffix, sound):
    text, source, target = tmp_path / "chapters.txt", tmp_path / f"clip{suffix}", tmp_path / "out"
    text.write_text(
        ";FFMETADATA1\ntitle=SECRET\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=400\ntitle=One \\= ä\nlocation=SECRET\n"
        "[CHAPTER]\nTIMEBASE=1/1000\nSTART=400\nEND=1000\ntitle=Two\ncomment=SECRET\n"
    )
    maps = ("-map", "0:v", *(("-map", "1:a") if sound else ()), "-map_metadata", "2", "-map_chapters", "2")
    clips.make(source, *clips.SOUND, "-i", str(text), *maps, *clips.H264, "-c:a", "mp2")
    assert b"SECRET" in source.read_bytes()
    transform(source, target, output=Output(chapters=True))
    assert clips.chapters(target) == [("One = ä", 0, 0.4), ("Two", 0.4, 1.0)] == clips.chapters(source)
    assert b"SECRET" not in target.read_bytes()
    assert clips.timestamps(target) == clips.timestamps(source)
    assert clips.packets(target) == clips.packets(source) if sound else True
    transform(source, target)
    assert clips.chapters(target) == []
    assert b"Two" not in target.read_bytes()


def test_chapters_begin_with_a_recording_that_was_cut_out_of_something_longer(tmp_path):
    text, source = tmp_path / "chapters.txt", tmp_path / "clip.mkv"
    # In MP4 the first one begins with the video.
    times = ((5000, 5400, "One"), (5400, 6000, "Two"))
    found = [Chapter(start=start, end=end, time_base=Fraction(1, 1000), title=title) for start, end, title in times]
    text.write_text(chapters.text(found))
    clips.make(source, "-i", str(text), "-map_chapters", "1", *clips.H264, "-output_ts_offset", "5")
    assert clips.chapters(source) == [("One", 5.0, 5.4), ("Two", 5.4, 6.0)]
    transform(source, tmp_path / "out", output=Output(chapters=True))
    assert clips.timestamps(tmp_path / "out")[0] == 0
    assert clips.chapters(tmp_path / "out") == [("One", 0.0, 0.4), ("Two", 0.4, 1.0)]


def test_no_command_line_tells_a_title(tmp_path):
    """Anybody on the machine can read one."""
    title = "SECRET = # ; \\ 'ä' \n[CHAPTER]"
    text, source = tmp_path / "chapters.txt", tmp_path / "clip.mkv"
    text.write_text(chapters.text([Chapter(start=0, end=1, time_base=Fraction(1), title=title)] * 200))
    clips.make(source, "-i", str(text), "-map_chapters", "1", *clips.H264)
    assert [name for name, _, _ in clips.chapters(source)] == [title] * 200
    words = set()

    def look(_):
        for child in psutil.Process().children():
            with contextlib.suppress(psutil.NoSuchProcess):
                words.update(child.cmdline())

    transform(source, tmp_path / "out", output=Output(chapters=True), on_progress=look)
    assert [name for name, _, _ in clips.chapters(tmp_path / "out")] == [title] * 200
    assert f"file:{tmp_path / 'out'}" in words
    assert not [word for word in words if "SECRET" in word]


@pytest.mark.parametrize(("count", "kept"), [(255, 255), (256, 0)])
def test_so_many_chapters_are_kept_or_none(tmp_path, count, kept):
    one = Chapter(start=0, end=1, time_base=Fraction(1), title="")
    info = probe.probe_video(clips.make(tmp_path / "clip.mp4"), LIMITS)
    with chapters.handed_over(dataclasses.replace(info, chapters=(one,) * count), wanted=True) as handed:
        found = b"" if handed is None else os.read(handed, 1_000_000)
    assert found.count(b"[CHAPTER]") == kept
    if handed is not None:
        with pytest.raises(OSError, match="Bad file"):
            os.fstat(handed)
