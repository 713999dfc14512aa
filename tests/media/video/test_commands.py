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
            assert (options["protocol_whitelist"], options["f"], options["safe"]) == ("file", "concat", "0")
            # What is wrong in a part is an end, and its timestamps are its own.
            assert {"xerror", "copyts"} <= set(options)


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
    assert command[command.index("-v") + 1] == "error"


def test_the_trial_of_an_encoder_reads_no_file():
    assert not [word for word in hardware.trial("h264_nvenc", 64, 48, "yuv420p") if word.startswith("file:")]
    assert "-nostdin" in hardware.trial("h264_nvenc", 64, 48, "yuv420p")


def output(command):
    """The options of what is written."""
    last = len(command) - command[::-1].index("-i") + 1
    words = command[last:]
    return dict(zip(words[::2], words[1::2], strict=False))


def joined(info, *, muxer="mp4", codec="h264", chapters=None, subtitles=None):
    result = {"muxer": muxer, "codec": codec, "chapters": chapters, "subtitles": subtitles or {}}
    return remux.join(Path("parts"), SOURCE, TARGET, info, LIMITS, first=0, **result)


@pytest.mark.parametrize("name", ["encode", "cut", "join"])
def test_no_text_of_the_source_goes_along(name):
    written = output(commands(video())[name])
    assert written["-map_chapters"] == "-1"
    for what in ("",) if name == "cut" else (":g", ":s"):
        assert written[f"-map_metadata{what}"] == "-1"


def test_timestamps_are_the_sources_in_every_step():
    for name in ("decode", "encode", "cut", "join"):
        first, *_ = inputs(commands(video())[name])
        assert "copyts" in first[0], name
    info = dataclasses.replace(video(), start=Fraction(3, 2))
    written = output(joined(info))
    assert written["-bsf:v"] == "setts=pts=PTS+-1500:dts=max(DTS+-1500\\,PREV_OUTDTS+1):duration=100"
    assert written["-c:v"] == "copy"


def test_what_is_encoded_has_its_pixels_and_no_encoders_words():
    written = output(commands(video())["encode"])
    assert "format=yuv420p" in written["-vf"].split(",")
    # The units of H.264 in which x264 writes how it was called.
    assert written["-bsf:v"].startswith("filter_units=remove_types=6,")


@pytest.mark.parametrize("audio", [True, False])
def test_chapters_come_from_the_last_input(audio):
    info = dataclasses.replace(video(), start=Fraction(3, 2), audio=video().audio if audio else ())
    command = joined(info, chapters=7)
    *_, (options, named) = inputs(command)
    assert (named, options["f"], options["protocol_whitelist"]) == ("pipe:7", "ffmetadata", "pipe")
    # By the clock of the result, as the sound.
    clocks = [command[place + 1] for place, word in enumerate(command) if word == "-itsoffset"]
    assert clocks == ["-1.500000"] * (2 if audio else 1)
    assert output(command)["-map_chapters"] == ("2" if audio else "1")


def test_a_piece_is_cut_to_the_microsecond_above():
    def cut(start, stop, demuxer="mov"):
        command = remux.cut(SOURCE, TARGET, video(demuxer), LIMITS, start=start, stop=stop)
        ((options, _),) = inputs(command)
        return options.get("ss"), options.get("seek_timestamp"), output(command).get("-to"), output(command)

    assert cut(Fraction(1000, 3), Fraction(2000, 3))[:3] == ("333333334us", "1", "666666667us")
    assert cut(None, None)[:3] == (None, None, None)
    copied = cut(None, None)[3]
    assert (copied["-c"], copied["-f"]) == ("copy", "mov")
    assert copied["-video_track_timescale"] == copied["-movie_timescale"] == "1000"
    copied = cut(None, None, "matroska")[3]
    assert [copied[name] for name in ("-c", "-f", "-avoid_negative_ts")] == ["copy", "matroska", "disabled"]


@pytest.mark.parametrize(
    ("codec", "muxer", "tag"),
    [("hevc", "mp4", "hvc1"), ("hevc", "mov", "hvc1"), ("hevc", "matroska", None), ("h264", "mp4", None)],
)
def test_hevc_has_the_tag_that_apple_takes(codec, muxer, tag):
    written = output(joined(video(), codec=codec, muxer=muxer))
    assert written.get("-tag:v") == tag
    assert written.get("-movflags") == (None if muxer == "matroska" else "+faststart")


@pytest.mark.parametrize(("muxer", "language"), [("mov", "ger"), ("mp4", "deu"), ("matroska", "deu")])
def test_languages_are_named_as_the_container_does(muxer, language):
    info = dataclasses.replace(
        video(),
        audio=(Track(index=1, codec="aac", language="deu"),),
        subtitles=(Track(index=3, codec="subrip", language="deu"), Track(index=4, codec="subrip", language="fra")),
    )
    written = output(joined(info, muxer=muxer, subtitles={4: "mov_text", 3: "copy"}))
    assert written["-metadata:s:a:0"] == written["-metadata:s:s:1"] == f"language={language}"
    assert written["-metadata:s:s:0"] == "language=fra"
    assert (written["-c:s:0"], written["-c:s:1"]) == ("mov_text", "copy")


def test_what_reads_headers_may_use_little():
    found = ffprobe.PROBE_RESOURCES
    assert (found.memory, found.cpu_seconds, found.file_bytes) == (2 * 1024**3, 20, 0)
