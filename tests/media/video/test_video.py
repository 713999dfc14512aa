from __future__ import annotations

import dataclasses
import gc
import itertools
import os
import subprocess
import threading
import time
from fractions import Fraction
from pathlib import Path

import psutil
import pytest
import torch
from PIL import Image

from mayfly.media import sniff
from mayfly.media.children import process
from mayfly.media.errors import DamagedMedia, MediaError, MediaTimeout, MediaToolError, TooLarge, UnsupportedMedia
from mayfly.media.limits import Limits
from mayfly.media.output import Output
from mayfly.media.video import colour, ffmpeg, probe, video
from mayfly.media.video.info import VideoInfo
from tests.media import clips

LIMITS = Limits()


def transform(source, target, apply=lambda frames: frames, **options):
    limits = options.pop("limits", LIMITS)
    options.setdefault("batch", 4)
    options.setdefault("output", Output(quality=10))
    info = options.pop("info", None) or probe.probe_video(source, limits)
    return video.transform(source, target, apply, info=info, limits=limits, **options)


def children():
    found = subprocess.run(
        ["ps", "--ppid", str(os.getpid()), "-o", "comm="], capture_output=True, text=True, check=False
    )
    return [line for line in found.stdout.split() if line.startswith("ff")]


@pytest.fixture(autouse=True)
def nothing_left():
    gc.collect()
    descriptors = len(list(Path("/proc/self/fd").iterdir()))
    yield
    assert children() == []
    gc.collect()
    # Fewer is what earlier tests had left to the garbage collector.
    assert len(list(Path("/proc/self/fd").iterdir())) <= descriptors
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("media-")]


def test_pictures_and_sound(clip, tmp_path):
    done = []
    result = transform(clip, tmp_path / "out", on_progress=done.append)
    assert (result.frames, result.width, result.height, result.suffix) == (50, 320, 180, ".mp4")
    # The pattern has hard edges of colour, which 4:2:0 to RGB and back blurs.
    assert clips.psnr(clip, tmp_path / "out") > 35
    assert clips.timestamps(tmp_path / "out") == clips.timestamps(clip)
    assert clips.packets(tmp_path / "out") == clips.packets(clip)
    assert done == sorted(done)
    assert done[-1] == 50
    picture, sound = clips.streams(tmp_path / "out")
    assert (picture["codec_name"], picture["pix_fmt"], picture["duration"]) == ("h264", "yuv420p", "2.000000")
    assert sound["start_time"] == clips.streams(clip)[1]["start_time"]
    # Faststart: the index comes before the data.
    data = (tmp_path / "out").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


def test_frames_are_red_green_blue_and_contiguous(tmp_path):
    source = tmp_path / "red.mp4"
    clips.ffmpeg("-f", "lavfi", "-i", "color=red:size=32x16:duration=0.4", *clips.H264, source)
    seen = []

    def apply(frames):
        seen.append((tuple(frames.shape), frames.is_contiguous(), frames.dtype))
        assert frames[:, 0].min() > 240
        assert frames[:, 1:].max() < 12
        return frames.flip(1)

    transform(source, tmp_path / "out.mp4", apply, batch=4)
    assert seen == [((count, 3, 16, 32), True, torch.uint8) for count in (4, 4, 2)]
    raw = clips.ffmpeg("-i", tmp_path / "out.mp4", "-frames:v", "1", "-f", "rawvideo", "-pix_fmt", "rgb24", "-")
    assert raw[2] > 240
    assert raw[0] < 12


def test_larger_frames(clip, tmp_path):
    def twice(frames):
        return frames.repeat_interleave(2, 2).repeat_interleave(2, 3)

    result = transform(clip, tmp_path / "out.mp4", twice)
    assert (result.width, result.height) == (640, 360)
    assert [clips.streams(tmp_path / "out.mp4")[0][side] for side in ("width", "height")] == [640, 360]


@pytest.mark.parametrize("rate", ["24000/1001", "30000/1001", "60000/1001", "25", "12"])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_rates_are_exact(tmp_path, rate, suffix):
    source = clips.make(tmp_path / f"clip{suffix}", rate=rate, seconds=1.5)
    transform(source, tmp_path / "out.mp4")
    assert clips.timestamps(tmp_path / "out.mp4") == clips.timestamps(source)
    if suffix == ".mp4":
        result = clips.streams(tmp_path / "out.mp4")[0]
        assert (result["r_frame_rate"], Fraction(result["avg_frame_rate"])) == (
            clips.streams(source)[0]["r_frame_rate"],
            Fraction(rate),
        )
        assert result["duration"] == clips.streams(source)[0]["duration"]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov"])
def test_variable_rate(tmp_path, suffix):
    uneven = ("-vf", "setpts='(N*N+3*N)/50/TB'", "-fps_mode", "vfr", "-enc_time_base", "1/12800")
    source = clips.make(tmp_path / f"clip{suffix}", *uneven, *clips.H264)
    times = clips.timestamps(source)
    assert len({later - earlier for earlier, later in itertools.pairwise(times)}) > 10
    assert transform(source, tmp_path / "out.mp4").frames == len(times)
    assert clips.timestamps(tmp_path / "out.mp4") == times


@pytest.mark.parametrize("shift", ["0.5", "-0.1"])
def test_start_offsets(tmp_path, clip, shift):
    source = tmp_path / "late.mp4"
    clips.ffmpeg("-itsoffset", shift, "-i", clip, "-i", clip, "-map", "0:v", "-map", "1:a", "-c", "copy", source)
    transform(source, tmp_path / "out.mp4")
    assert clips.timestamps(tmp_path / "out.mp4") == clips.timestamps(source)
    assert clips.packets(tmp_path / "out.mp4") == clips.packets(source)
    for before, after in zip(clips.streams(source), clips.streams(tmp_path / "out.mp4"), strict=True):
        assert abs(float(before["start_time"]) - float(after["start_time"])) < 0.001


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_rotation_is_applied(tmp_path, degrees):
    plain, turned = clips.make(tmp_path / "plain.mp4", size="64x48"), tmp_path / "turned.mp4"
    clips.ffmpeg("-i", plain, "-c", "copy", "-metadata:s:v", f"rotate={degrees}", turned)
    result = transform(turned, tmp_path / "out.mp4")
    assert (result.width, result.height) == ((64, 48) if degrees == 180 else (48, 64))
    assert "rotation" not in clips.metadata(tmp_path / "out.mp4")
    # ffmpeg turns the source on its own when it compares.
    assert clips.psnr(tmp_path / "out.mp4", turned) > 30


@pytest.mark.parametrize("size", ["63x47", "64x47", "63x48", "1x1", "2x2"])
def test_odd_sizes(tmp_path, size):
    scaled = ("-vf", f"scale={size.replace('x', ':')}:flags=neighbor")
    source = clips.make(tmp_path / "odd.mkv", *scaled, "-c:v", "libx264", "-pix_fmt", "yuv444p")
    result = transform(source, tmp_path / "out.mp4")
    assert f"{result.width}x{result.height}" == size
    assert [clips.streams(tmp_path / "out.mp4")[0][side] for side in ("width", "height")] == [
        result.width,
        result.height,
    ]
    assert clips.timestamps(tmp_path / "out.mp4") == clips.timestamps(source)


def test_colour_tags_and_aspect(tmp_path):
    for number, (matrix, primaries, transfer, span) in enumerate(
        [
            ("bt709", "bt709", "bt709", "tv"),
            ("smpte170m", "smpte170m", "smpte170m", "tv"),
            ("bt470bg", "bt470bg", "gamma28", "pc"),
            ("bt2020nc", "bt2020", "bt2020-10", "tv"),
            ("smpte240m", "smpte240m", "smpte240m", "tv"),
            ("fcc", "bt470m", "gamma22", "tv"),
        ]
    ):
        tags = ("-colorspace", matrix, "-color_primaries", primaries, "-color_trc", transfer, "-color_range", span)
        source = clips.make(tmp_path / f"{number}.mp4", "-vf", "boxblur=6,setsar=4/3", *clips.H264, *tags, seconds=0.4)
        target = tmp_path / f"{number}.out.mp4"
        transform(source, target)
        before, after = clips.streams(source)[0], clips.streams(target)[0]
        for key in ("color_range", "color_space", "color_primaries", "color_transfer", "sample_aspect_ratio"):
            assert after.get(key) == before.get(key)
        # The same matrix there and back: the planes are compared as they are, without conversion.
        assert clips.psnr(source, target) > 38


@pytest.mark.parametrize("span", ["tv", "pc"])
@pytest.mark.parametrize("matrix", ["bt709", "smpte170m", "smpte240m", "bt2020nc"])
@pytest.mark.parametrize("pixels", ["yuv420p", "yuv444p"])
def test_both_converters_see_the_same_colours(tmp_path, monkeypatch, pixels, matrix, span):
    tags = ("-pix_fmt", pixels, "-colorspace", matrix, "-color_range", span)
    convert = f"boxblur=6,scale=out_color_matrix={matrix.removesuffix('nc')}:out_range={span}"
    source = clips.make(tmp_path / "clip.mkv", "-vf", convert, *clips.H264, *tags, seconds=0.2)

    def decoded():
        found = []
        transform(source, tmp_path / "out", lambda frames: found.append(frames.clone()) or frames)
        return torch.cat(found).float()

    one = decoded()
    monkeypatch.setattr(colour, "_ZIMG_FORMATS", frozenset())
    difference = (decoded() - one)[..., 2:-2, 2:-2].abs()
    assert difference.mean() < 1
    assert difference.max() < 16


def test_every_sound_track_and_its_language(tmp_path):
    sounds = (*clips.SOUND, "-f", "lavfi", "-i", "sine=frequency=880:duration=1", "-map", "0", "-map", "1", "-map", "2")
    languages = ("-metadata:s:a:0", "language=deu", "-metadata:s:a:1", "language=fra")
    source = clips.make(
        tmp_path / "clip.mp4", *sounds, *clips.H264, "-c:a:0", "aac", "-c:a:1", "libmp3lame", *languages
    )
    transform(source, tmp_path / "out.mp4")
    assert clips.packets(tmp_path / "out.mp4") == clips.packets(source)
    tracks = [stream for stream in clips.streams(tmp_path / "out.mp4") if stream["codec_type"] == "audio"]
    assert [(track["codec_name"], track["tags"]["language"]) for track in tracks] == [("aac", "deu"), ("mp3", "fra")]


WORDS = "1\n00:00:00,200 --> 00:00:00,600\n{first} ä\n\n2\n00:00:00,700 --> 00:00:01,000\n{second}\n"


def subtitled(folder, name, *codecs):
    """A clip of a second with a track of subtitles for each codec, in German, then French, then English."""
    inputs, maps = [], []
    for number, codec in enumerate(codecs):
        text = folder / f"{number}.srt"
        text.write_text(WORDS.format(first=f"one of {number}", second=f"two of {number}"))
        inputs += ["-i", text]
        maps += ["-map", f"{number + 2}", f"-c:s:{number}", codec]
    # QuickTime has another code for German.
    names = ("ger" if name.endswith(".mov") else "deu", "fra", "eng")
    languages = [word for n in range(len(codecs)) for word in (f"-metadata:s:s:{n}", f"language={names[n]}")]
    flags = ["-disposition:s:0", "forced"]
    return clips.make(
        folder / name,
        *(*clips.SOUND, *inputs, "-map", "0:v", "-map", "1:a", *maps, *clips.H264, *clips.AAC, *languages, *flags),
    )


def words(path, track):
    """A track of subtitles as SubRip writes it, with its times."""
    return clips.ffmpeg("-i", path, "-map", f"0:s:{track}", "-f", "srt", "-").decode()


@pytest.mark.parametrize(
    ("name", "codecs", "expected"),
    [
        ("clip.mp4", ["mov_text", "mov_text"], ["mov_text", "mov_text"]),
        ("clip.mov", ["mov_text"], ["mov_text"]),
        ("clip.mkv", ["srt", "srt", "srt"], ["mov_text", "mov_text", "mov_text"]),
        ("clip.mkv", ["srt", "ass"], ["subrip", "ass"]),
    ],
)
def test_subtitles_and_their_languages(tmp_path, name, codecs, expected):
    source, target = subtitled(tmp_path, name, *codecs), tmp_path / "out"
    result = transform(source, target)
    assert result.format is (sniff.MKV if "ass" in codecs else sniff.MP4)
    before, after = (
        [stream for stream in clips.streams(path) if stream["codec_type"] == "subtitle"] for path in (source, target)
    )
    assert [track["codec_name"] for track in after] == expected
    assert [track["tags"]["language"] for track in after] == [track["tags"]["language"] for track in before]
    assert [track["disposition"]["forced"] for track in after] == [track["disposition"]["forced"] for track in before]
    for track in range(len(codecs)):
        assert f"one of {track} ä" in words(source, track)
        assert words(target, track) == words(source, track)
    assert clips.packets(target) == clips.packets(source)


def test_languages_in_quicktime(tmp_path):
    tags = ("-metadata:s:a:0", "language=deu")
    source = clips.make(tmp_path / "clip.mkv", *clips.SOUND, *clips.H264, "-c:a", "pcm_s16le", *tags)
    assert transform(source, tmp_path / "out").format is sniff.MOV
    assert clips.streams(tmp_path / "out")[1]["tags"]["language"] == "ger"


def test_a_codec_that_is_not_taken_is_named_as_such(tmp_path):
    source = clips.make(tmp_path / "clip.mkv", "-c:v", "huffyuv")
    with pytest.raises(UnsupportedMedia, match="coded"):
        transform(source, tmp_path / "out")


def test_text_of_mp4_goes_into_matroska(tmp_path):
    source, target = subtitled(tmp_path, "clip.mp4", "mov_text"), tmp_path / "out.mkv"
    transform(source, target, container=sniff.MKV)
    assert [stream["codec_name"] for stream in clips.streams(target)] == ["h264", "aac", "subrip"]
    assert "one of 0 ä" in words(target, 0)


@pytest.mark.parametrize(
    ("suffix", "codec", "expected"),
    [(".mov", "pcm_s16le", sniff.MOV), (".mkv", "libvorbis", sniff.MKV), (".webm", "libopus", sniff.MP4)],
)
def test_the_container_holds_the_sound(tmp_path, suffix, codec, expected):
    picture = ("-c:v", "libvpx", "-pix_fmt", "yuv420p") if suffix == ".webm" else clips.H264
    source = clips.make(tmp_path / f"clip{suffix}", *clips.SOUND, *picture, "-c:a", codec)
    result = transform(source, tmp_path / "out")
    assert result.format is expected
    assert sniff.sniff((tmp_path / "out").read_bytes()[: sniff.HEAD_BYTES]) is expected
    assert clips.packets(tmp_path / "out") == clips.packets(source)
    assert clips.timestamps(tmp_path / "out") == clips.timestamps(source)


def test_no_metadata_of_the_source_remains(tmp_path):
    chapters = tmp_path / "chapters.txt"
    chapters.write_text(";FFMETADATA1\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=500\ntitle=SECRET-PLACE\n")
    source = clips.make(
        tmp_path / "clip.mov",
        *(*clips.SOUND, "-i", str(chapters), "-map_metadata", "2", "-map_chapters", "2"),
        *("-movflags", "use_metadata_tags", "-metadata", "title=SECRET-PLACE", "-metadata", "location=+52.5+013.4/"),
        *("-metadata", "com.apple.quicktime.make=SECRET-PLACE", "-metadata:s:v", "handler_name=SECRET-PLACE"),
        *("-metadata:s:a", "title=SECRET-PLACE", "-metadata", "creation_time=2020-01-02T03:04:05Z"),
        *("-map", "0:v", "-map", "1:a", *clips.H264, *clips.AAC),
    )
    assert b"SECRET-PLACE" in source.read_bytes()
    transform(source, tmp_path / "out.mp4")
    assert b"SECRET-PLACE" not in (tmp_path / "out.mp4").read_bytes()
    said = clips.metadata(tmp_path / "out.mp4")
    assert not [word for word in ("secret", '"location', "+52", "2020", "apple", "quicktime") if word in said]
    assert '"chapters": []' in said


def test_a_video_without_sound(tmp_path):
    transform(clips.make(tmp_path / "clip.mp4"), tmp_path / "out.mp4")
    assert [stream["codec_type"] for stream in clips.streams(tmp_path / "out.mp4")] == ["video"]


def test_ten_bits_and_a_change_of_size_in_mid_stream(tmp_path):
    ten = clips.make(tmp_path / "ten.mkv", "-c:v", "libx264", "-pix_fmt", "yuv420p10le", seconds=0.4)
    assert probe.probe_video(ten, LIMITS).bit_depth == 10
    assert transform(ten, tmp_path / "out.mp4").frames == 10
    small, large = (clips.make(tmp_path / f"{s}.ts", size=s, seconds=0.4) for s in ("32x32", "64x64"))
    joined = tmp_path / "joined.mkv"
    clips.ffmpeg("-i", f"concat:{small}|{large}", "-c", "copy", "-bsf:v", "dump_extra", joined)
    result = transform(joined, tmp_path / "out.mp4")
    assert (result.frames, result.width, result.height) == (20, 32, 32)


def test_interlaced_frames_are_made_whole(tmp_path):
    weave = ("-vf", "interlace=lowpass=0", "-flags", "+ilme+ildct", *clips.H264)
    source = clips.make(tmp_path / "fields.mkv", *weave, rate="50", size="128x96")
    info = probe.probe_video(source, LIMITS)
    assert info.interlaced

    def combing(info):
        found = []
        transform(source, tmp_path / "out", lambda frames: found.append(frames.clone()) or frames, info=info)
        frames = torch.cat(found).float()
        return (frames[..., 1:-1, :] - (frames[..., :-2, :] + frames[..., 2:, :]) / 2).abs().mean()

    woven = combing(dataclasses.replace(info, interlaced=False))
    assert combing(info) < 0.85 * woven
    assert clips.streams(tmp_path / "out")[0]["field_order"] == "progressive"
    assert clips.timestamps(tmp_path / "out") == clips.timestamps(source)


def test_an_animated_gif(tmp_path):
    pictures = [Image.new("RGB", (30, 21), colour) for colour in ("red", "lime", "blue")]
    source, shown = tmp_path / "clip.gif", []
    pictures[0].save(source, save_all=True, append_images=pictures[1:], duration=[50, 200, 120], loop=0)
    result = transform(source, tmp_path / "out", lambda frames: shown.extend(frames[:, :, 0, 0].tolist()) or frames)
    assert (result.frames, result.width, result.height, result.suffix) == (3, 30, 21, ".mp4")
    assert shown == [[255, 0, 0], [0, 255, 0], [0, 0, 255]]
    assert clips.timestamps(tmp_path / "out") == [0, Fraction(1, 20), Fraction(1, 4)]


def test_a_gif_of_one_transparent_frame(tmp_path):
    source, shown = tmp_path / "clip.gif", []
    Image.new("RGBA", (30, 20), (0, 0, 0, 0)).save(source)
    transform(source, tmp_path / "out", lambda frames: shown.extend(frames[:, :, 0, 0].tolist()) or frames)
    assert shown == [[255, 255, 255]]


@pytest.mark.parametrize("name", ["-version.mp4", "%03d.mp4", "a b'\"$(x):y.mp4"])
def test_names_are_only_names(tmp_path, monkeypatch, name):
    clips.make(tmp_path / "clip.mp4").rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    target = Path("out " + name)
    assert transform(Path(name), target).frames == 25
    assert target.exists()


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm"])
def test_truncated(tmp_path, suffix):
    codec = ("-c:v", "libvpx", "-b:v", "1M") if suffix == ".webm" else (*clips.H264, "-movflags", "+faststart")
    source = clips.make(
        tmp_path / f"clip{suffix}", *(codec if suffix != ".mkv" else clips.H264), size="320x180", seconds=2
    )
    data = source.read_bytes()
    source.write_bytes(data[: len(data) * 6 // 10])
    with pytest.raises(DamagedMedia):
        transform(source, tmp_path / "out.mp4")
    assert not (tmp_path / "out.mp4").exists()


def test_corrupt(tmp_path, clip):
    data = bytearray(clip.read_bytes())
    middle = data.index(b"mdat") + 20_000
    data[middle : middle + 3000] = bytes(byte ^ 0x5A for byte in data[middle : middle + 3000])
    source = tmp_path / "clip.mp4"
    source.write_bytes(data)
    with pytest.raises(DamagedMedia):
        transform(source, tmp_path / "out.mp4")


def test_limits_hold_whatever_the_header_says(tmp_path, clip):
    info = probe.probe_video(clip, LIMITS)
    for limits in (Limits(max_frames=20), Limits(max_seconds=1)):
        with pytest.raises(TooLarge):
            transform(clip, tmp_path / "out.mp4", info=info, limits=limits)
        assert not (tmp_path / "out.mp4").exists()


def test_a_gap_in_time_is_no_flood_of_frames(tmp_path):
    gap = ("-vf", "setpts='if(lt(N,12),N,N+1000000)/25/TB'", "-fps_mode", "vfr", *clips.H264)
    source = clips.make(tmp_path / "gap.mkv", *gap)
    info = VideoInfo(
        width=64,
        height=48,
        frame_count=25,
        duration=1,
        rate=Fraction(25),
        time_base=Fraction(1, 1000),
        pixel_format="yuv420p",
        codec="h264",
        demuxer="matroska",
    )
    seen = []
    with pytest.raises(TooLarge):
        transform(source, tmp_path / "out.mp4", lambda frames: seen.append(len(frames)) or frames, info=info)
    assert sum(seen) <= 12


@pytest.mark.parametrize("where", ["apply", "on_progress"])
@pytest.mark.parametrize("after", [0, 3])
def test_an_exception_ends_everything(clip, tmp_path, where, after):
    class Cancelled(BaseException):
        pass

    calls = []

    def fail(value):
        calls.append(value)
        if len(calls) > after:
            raise Cancelled
        return value

    with pytest.raises(Cancelled):
        transform(clip, tmp_path / "out.mp4", **{where: fail})
    assert children() == []
    assert not (tmp_path / "out.mp4").exists()


def test_wrong_results_of_an_effect_are_told(clip, tmp_path):
    sizes = iter([1, 2])

    def grows(frames):
        return frames.repeat_interleave(next(sizes), 2)

    for apply in (lambda frames: frames.float(), lambda frames: frames[:1], grows):
        with pytest.raises(ValueError, match="effect"):
            transform(clip, tmp_path / "out.mp4", apply)
        assert not (tmp_path / "out.mp4").exists()


def test_progress_is_asked_for_while_ffmpeg_is_silent(clip, tmp_path, monkeypatch):
    command = ["sleep", "300"]
    monkeypatch.setattr(ffmpeg, "decode", lambda *_, **__: command)
    done = []

    def cancel(count):
        done.append(count)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        transform(clip, tmp_path / "out.mp4", on_progress=cancel)
    assert done == [0]


@pytest.mark.parametrize("which", ["decode", "encode"])
@pytest.mark.parametrize("limit", ["timeout", "stall"])
def test_a_hung_ffmpeg_is_ended(tmp_path, monkeypatch, which, limit):
    # More frames than the pipe to the encoder takes.
    source = clips.make(tmp_path / "clip.mp4", size="640x360")
    mark = f"300.{os.getpid()}"  # seconds that nobody else sleeps
    monkeypatch.setattr(ffmpeg, which, lambda *_, **__: ["sleep", mark])
    with pytest.raises(MediaTimeout):
        transform(source, tmp_path / "out.mp4", **{limit: 1.5})
    # An ended process that nobody has waited for has no words left.
    assert ["sleep", mark] not in [one.info["cmdline"] for one in psutil.process_iter(["cmdline"])]


def test_a_slow_effect_is_no_stall(tmp_path):
    source = clips.make(tmp_path / "clip.mp4", size="640x360", seconds=0.4)
    calls = itertools.count()

    def slow(frames):
        # Meanwhile the decoder's frames fill every buffer, and the encoder, which has got some, gets none.
        time.sleep(3.5 if next(calls) == 2 else 0)
        return frames

    assert transform(source, tmp_path / "out.mp4", slow, batch=1, stall=3).frames == 10


def test_an_encoder_that_cannot_write_is_worth_a_retry(clip, tmp_path):
    with pytest.raises(MediaToolError):
        transform(clip, tmp_path / "missing" / "out.mp4")


def test_memory_is_a_few_batches(clip, tmp_path):
    places = set()
    transform(clip, tmp_path / "out.mp4", lambda frames: places.add(frames.data_ptr()) or frames, batch=2)
    assert len(places) <= video.BATCHES


def test_several_at_once_in_threads(clip, tmp_path):
    errors = []

    def work(number):
        try:
            transform(clip, tmp_path / f"{number}.mp4")
        except MediaError as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=[number]) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    for number in range(3):
        assert clips.timestamps(tmp_path / f"{number}.mp4") == clips.timestamps(clip)
        assert clips.packets(tmp_path / f"{number}.mp4") == clips.packets(clip)


def test_resources_of_a_missing_tool(clip, tmp_path, monkeypatch):
    info = probe.probe_video(clip, LIMITS)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MediaToolError):
        transform(clip, tmp_path / "out.mp4", info=info)
    with pytest.raises(MediaToolError):
        process.run(["ffprobe"], timeout=5)
