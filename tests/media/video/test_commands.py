"""Every command of ffmpeg and ffprobe that is built reads its inputs under the same restrictions."""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from pathlib import Path

import pytest

from mayfly.media.limits import Limits
from mayfly.media.output import Output
from mayfly.media.video import encoders, ffmpeg, ffprobe, hardware, preview, remux
from mayfly.media.video.info import Track, VideoInfo

SOURCE, TARGET = Path("in/source.mp4"), Path("out/target.mp4")
LIMITS = Limits(max_frame_pixels=1234)


def video(demuxer="mov"):
    return VideoInfo(
        width=64,
        height=48,
        frame_count=10,
        duration=1.0,
        rate=Fraction(10),
        time_base=Fraction(1, 1000),
        pixel_format="yuv420p",
        codec="h264",
        demuxer=demuxer,
        audio=(Track(index=1, codec="aac", language="und"),),
    )


def commands(info):
    coding = encoders.choose(Output(), width=64, height=48, deep=False, works=lambda *_: False)
    result = {"muxer": "mp4", "subtitles": {}}
    part = {"start": Fraction(1), "stop": Fraction(2)}
    both = {"info": info, "result_info": info, "limits": LIMITS}
    return {
        "probe": ffprobe.probe(SOURCE, LIMITS),
        "packets": ffprobe.packets(SOURCE, info, LIMITS),
        "decode": ffmpeg.decode(SOURCE, info, LIMITS, 9),
        "encode": ffmpeg.encode(SOURCE, TARGET, info, LIMITS, coding=coding, shift=0, **result),
        "cut": remux.cut(SOURCE, TARGET, info, LIMITS, **part),
        "join": remux.join(Path("parts"), SOURCE, TARGET, info, LIMITS, chapters=None, codec="h264", first=0, **result),
        "poster": preview.poster_command(SOURCE, info, LIMITS, at=0, candidates=1),
        "comparison": preview.side_by_side_command(SOURCE, SOURCE, TARGET, seconds=1, **both),
    }


def inputs(command):
    """The options before each input, with the input's name."""
    options = {}
    words = iter(command[1:])
    if command[0] == "ffprobe":
        words = iter([*command[1:-1], "-i", command[-1]])
    for word in words:
        if word == "-i":
            yield options, next(words)
            options = {}
        elif word.startswith("-"):
            options[word[1:]] = None
            last = word[1:]
        else:
            options[last] = word


WHOLE = [(name, demuxer) for demuxer in ("mov", "matroska", "gif") for name in commands(video())]


@pytest.mark.parametrize(("name", "demuxer"), WHOLE)
def test_an_upload_is_read_under_every_restriction(name, demuxer):
    command = commands(video(demuxer))[name]
    uploads = [options for options, named in inputs(command) if named == f"file:{SOURCE}"]
    assert len(uploads) == (2 if name == "comparison" else 1)
    for options in uploads:
        assert options["protocol_whitelist"] == "file,pipe"
        demuxers = set(options["format_whitelist"].split(","))
        assert demuxers == {"mov", "mp4", "m4a", "3gp", "3g2", "mj2", "matroska", "webm", "gif"}
        assert {"h264", "aac"} <= set(options["codec_whitelist"].split(","))
        assert not {"rawvideo", "ffv1", "hls", "exr", "tiff"} & set(options["codec_whitelist"].split(","))
        assert int(options["max_streams"]) == 16
        assert int(options["max_pixels"]) == LIMITS.max_frame_pixels * (16 if options is not uploads[0] else 1)
        assert int(options["probesize"]) == int(options["analyzeduration"]) == 5_000_000
        if demuxer == "mov" or name == "probe":
            assert options["enable_drefs"] == options["use_absolute_path"] == "0"
        if command[0] == "ffmpeg":
            assert "xerror" in options
    if command[0] == "ffmpeg":
        assert "-nostdin" in command


@pytest.mark.parametrize(("name", "demuxer"), WHOLE)
def test_what_is_no_upload_is_our_own(name, demuxer):
    others = [(options, named) for options, named in inputs(commands(video(demuxer))[name]) if "source" not in named]
    for options, named in others:
        if named == "pipe:0":
            # Frames that we write ourselves.
            assert options["format"] == "matroska" if "format" in options else options["f"] == "matroska"
        else:
            assert named == "file:parts"
            assert (options["protocol_whitelist"], options["f"]) == ("file", "concat")


def test_chapters_are_read_from_a_pipe_of_our_own():
    info = dataclasses.replace(video(), start=Fraction(2))
    command = remux.join(
        Path("parts"), SOURCE, TARGET, info, LIMITS, chapters=7, codec="h264", first=0, muxer="mp4", subtitles={}
    )
    names = [named for _, named in inputs(command)]
    options = dict(reversed(one) for one in inputs(command))["pipe:7"]
    assert (options["f"], options["protocol_whitelist"]) == ("ffmetadata", "pipe")
    assert command[command.index("pipe:7") - 2 - 4 : command.index("pipe:7")][:0] == []
    assert command[command.index("-map_chapters") + 1] == str(names.index("pipe:7")) == "2"


@pytest.mark.parametrize("name", commands(video()))
def test_every_file_is_named_as_one(name):
    command = commands(video())[name]
    assert not [word for word in command if word.startswith(("in/", "out/", "parts"))]
    assert command[0] in ("ffmpeg", "ffprobe")


def test_the_trial_of_an_encoder_reads_no_file():
    assert not [word for word in hardware.trial("h264_nvenc", 64, 48, "yuv420p") if word.startswith("file:")]
    assert "-nostdin" in hardware.trial("h264_nvenc", 64, 48, "yuv420p")
