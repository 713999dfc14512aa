"""Segments: what comes out of pieces that are cut, transformed and joined is what comes out of the whole."""

from __future__ import annotations

import dataclasses
import itertools
import json
from fractions import Fraction

import pytest
import torch

from mayfly.media import sniff
from mayfly.media.errors import DamagedMedia, MediaToolError
from mayfly.media.limits import Limits
from mayfly.media.output import Output
from mayfly.media.video import containers, probe, segments, video
from mayfly.media.video.info import Chapter, Colour, Track, VideoInfo
from mayfly.media.video.segments import Packet
from tests.media import clips

LIMITS = Limits()
LOSSLESS = Output(quality=0)
OPEN = "open-gop=1:scenecut=0:keyint=24:min-keyint=1:bframes=3:b-adapt=0"
SOUND = ("-f", "lavfi", "-i", "sine=frequency=440:duration=6")


def packets(count, every, start=0, step=100):
    return [Packet(start + step * n, n % every == 0) for n in range(count)]


def windows(found):
    return [(one.window.shown_from, one.window.shown_to) for one in found]


def segmented(
    source, folder, *, frames, before=0, hidden=0, apply=lambda: lambda x: 255 - x, order=reversed, **options
):
    """Cut, transform each piece by an effect of its own, in any order, and join; returns the target."""
    info = probe.probe_video(source, LIMITS)
    planned = segments.plan(segments.index(source, info, LIMITS), frames=frames, before=before, hidden=hidden)
    assert len(planned) > 2
    container = containers.container_for(info)
    parts, frames_made = {}, 0
    for number, one in order(list(enumerate(planned))):
        piece = folder / f"piece-{number}{source.suffix}"
        segments.cut(source, piece, info, LIMITS, one, timeout=60)
        done = []
        result = video.transform(
            piece,
            folder / f"part-{number}",
            apply(),
            info=info,
            batch=4,
            limits=LIMITS,
            window=one.window,
            container=sniff.MP4,
            **{"output": LOSSLESS} | options,
            on_progress=done.append,
        )
        assert done[-1] == result.frames
        frames_made += result.frames
        parts[number] = (folder / f"part-{number}", result.first)
    target = folder / f"joined{container.suffix}"
    ordered = [part for _, part in sorted(parts.items())]
    segments.join(ordered, source, target, info=info, frames=frames_made, limits=LIMITS, container=container, **options)
    return target


def whole(source, folder, apply=lambda: lambda x: 255 - x):
    info = probe.probe_video(source, LIMITS)
    target = folder / f"whole{containers.container_for(info).suffix}"
    video.transform(source, target, apply(), info=info, batch=4, limits=LIMITS, output=LOSSLESS)
    return target


def pictures(path):
    lines = clips.ffmpeg("-i", path, "-map", "0:v", "-f", "framehash", "-hash", "md5", "-").decode().splitlines()
    return [line.rsplit(",", 1)[1].strip() for line in lines if not line.startswith("#")]


def make(folder, name):
    """Clips whose borders are each difficult in a way of their own."""
    x264 = ("-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p")
    plain = [*SOUND, *x264, "-g", "25", "-bf", "3", "-c:a", "aac", "-shortest"]
    match name:
        case "closed.mp4":
            return clips.make(folder / name, *plain, seconds=6)
        case "open.mp4":
            return clips.make(folder / name, *SOUND, *x264, "-x264-params", OPEN, "-c:a", "aac", seconds=6)
        case "hevc.mkv":
            x265 = ("-c:v", "libx265", "-preset", "ultrafast", "-x265-params", f"log-level=none:{OPEN}")
            return clips.make(folder / name, *SOUND, *x265, "-c:a", "aac", seconds=6)
        case "vp9.webm":
            vp9 = ("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-g", "25")
            return clips.make(folder / name, *SOUND, *vp9, "-c:a", "libopus", seconds=6)
        case "mpeg4.mov":
            return clips.make(folder / name, *SOUND, "-c:v", "mpeg4", "-g", "20", "-c:a", "pcm_s16le", seconds=6)
        case "film.mp4":
            return clips.make(folder / name, *plain, rate="24000/1001", seconds=6)
        case "variable.mp4":
            gaps = ("-vf", "select='not(mod(floor(n/7)\\,3))+not(mod(n\\,11))'", "-fps_mode", "passthrough")
            return clips.make(folder / name, *SOUND, *x264, *gaps, "-g", "10", "-bf", "3", "-c:a", "aac", seconds=6)
        case "edited.mp4":
            clips.make(folder / "long.mp4", *plain, seconds=6)
            clips.ffmpeg("-ss", "0.5", "-i", folder / "long.mp4", "-c", "copy", folder / name)
        case "offset.mkv":
            clips.make(folder / "long.mp4", *plain, seconds=6)
            clips.ffmpeg("-i", folder / "long.mp4", "-c", "copy", "-output_ts_offset", "100.5", folder / name)
        case "turned.mov":
            clips.make(folder / "long.mp4", *plain, seconds=6)
            turn = ("-metadata:s:v:0", "rotate=90")
            clips.ffmpeg("-i", folder / "long.mp4", "-c", "copy", *turn, folder / name)
        case "interlaced.mp4":
            fields = ("-vf", "tinterlace=interleave_top,setfield=tff", "-flags", "+ilme+ildct", "-top", "1")
            return clips.make(folder / name, *SOUND, *x264, *fields, "-g", "15", "-c:a", "aac", rate="50", seconds=6)
    return folder / name


def test_packets_that_an_edit_list_hides_are_not_counted(tmp_path):
    source = make(tmp_path, "edited.mp4")
    found = segments.index(source, probe.probe_video(source, LIMITS), LIMITS)
    shown = clips.timestamps(source)
    assert len(found) == len(shown)
    flags = clips.ffprobe_lines(source, "-select_streams", "v", "-show_entries", "packet=flags")
    # The clip is one that hides some.
    assert len(flags) > len(shown)


NAMES = [
    *("closed.mp4", "open.mp4", "hevc.mkv", "vp9.webm", "mpeg4.mov", "film.mp4", "variable.mp4", "edited.mp4"),
    *("offset.mkv", "turned.mov", "interlaced.mp4"),
]


@pytest.mark.parametrize("name", NAMES)
def test_segments_are_the_single_pass_frame_by_frame(tmp_path, name):
    source = make(tmp_path, name)
    expected = whole(source, tmp_path)
    frames, hidden = 12 if name == "variable.mp4" else 30, 2 if name == "interlaced.mp4" else 0
    joined = segmented(source, tmp_path, frames=frames, hidden=hidden)
    assert pictures(joined) == pictures(expected)
    assert clips.timestamps(joined) == clips.timestamps(expected)
    assert clips.packets(joined) == clips.packets(expected) == clips.packets(source)
    got, wanted = clips.streams(joined), clips.streams(expected)
    facts = ("codec_name", "width", "height", "pix_fmt", "time_base", "start_time", "r_frame_rate", "color_range")
    assert [[one.get(fact) for fact in facts] for one in got] == [[one.get(fact) for fact in facts] for one in wanted]
    assert abs(float(got[0].get("duration", 0)) - float(wanted[0].get("duration", 0))) < 0.002


@pytest.mark.parametrize(("codec", "tag"), [("hevc", "hvc1"), ("av1", "av01")])
def test_other_codecs_are_joined_as_well(tmp_path, codec, tag):
    source = make(tmp_path, "closed.mp4")
    joined = segmented(source, tmp_path, frames=50, apply=lambda: lambda x: x, output=Output(codec=codec, quality=10))
    picture = clips.streams(joined)[0]
    assert (picture["codec_name"], picture["codec_tag_string"]) == (codec, tag)
    assert clips.timestamps(joined) == clips.timestamps(source)
    assert clips.packets(joined) == clips.packets(source)
    assert clips.worst_psnr(joined, source) > 25


def test_ten_bits_are_joined_as_well(tmp_path):
    ten = (
        "-c:v",
        "libx265",
        "-preset",
        "ultrafast",
        "-x265-params",
        "log-level=none:keyint=25",
        "-pix_fmt",
        "yuv420p10le",
    )
    source = clips.make(tmp_path / "ten.mkv", *ten, seconds=4)
    joined = segmented(source, tmp_path, frames=25, apply=lambda: lambda x: x, output=Output(), depth=16)
    picture = clips.streams(joined)[0]
    assert (picture["codec_name"], picture["pix_fmt"]) == ("hevc", "yuv420p10le")
    assert clips.timestamps(joined) == clips.timestamps(source)


def trail():
    """An effect that remembers: each frame with four fifths of what was shown before."""
    memory = None

    def apply(frames):
        nonlocal memory
        shown = []
        for frame in frames.to(torch.float32):
            memory = frame if memory is None else 0.8 * memory + 0.2 * frame
            shown.append(memory.round().to(torch.uint8))
        return torch.stack(shown)

    return apply


def test_a_temporal_context_makes_seams_invisible(tmp_path):
    source = make(tmp_path, "closed.mp4")
    expected = whole(source, tmp_path, trail)
    # 0.8 to the power of 25 is a third of a level.
    assert clips.worst_psnr(segmented(source, tmp_path, frames=50, before=25, apply=trail), expected) >= 45
    # The measure sees a seam when there is one.
    assert clips.worst_psnr(segmented(source, tmp_path, frames=50, before=0, apply=trail), expected) < 35


def test_pieces_carry_no_more_than_their_frames_need(tmp_path):
    source = make(tmp_path, "closed.mp4")
    info = probe.probe_video(source, LIMITS)
    total = 0
    for number, one in enumerate(segments.plan(segments.index(source, info, LIMITS), frames=50)):
        piece = tmp_path / f"{number}.mp4"
        segments.cut(source, piece, info, LIMITS, one, timeout=60)
        assert {stream["codec_type"] for stream in clips.streams(piece)} == {"video"}
        total += len(clips.timestamps(piece))
    assert 150 <= total < 1.4 * 150


def test_nothing_of_a_piece_is_an_error(tmp_path):
    source = make(tmp_path, "closed.mp4")
    info = probe.probe_video(source, LIMITS)
    beyond = segments.Window(apply_from=10**9, shown_from=10**9, shown_to=None)
    with pytest.raises(DamagedMedia):
        video.transform(source, tmp_path / "x", lambda x: x, info=info, batch=4, limits=LIMITS, window=beyond)
    assert not (tmp_path / "x").exists()


def test_a_join_that_fails_leaves_nothing(tmp_path):
    source = make(tmp_path, "closed.mp4")
    info = probe.probe_video(source, LIMITS)
    (tmp_path / "part").write_bytes(b"no video")
    facts = {"info": info, "frames": 150, "limits": LIMITS, "container": sniff.MP4}
    with pytest.raises((DamagedMedia, MediaToolError)):
        segments.join([(tmp_path / "part", 0)], source, tmp_path / "x.mp4", **facts)
    assert {path.name for path in tmp_path.iterdir()} == {"closed.mp4", "part"}


def test_a_join_that_lacks_frames_is_an_error(tmp_path):
    source = make(tmp_path, "closed.mp4")
    info = probe.probe_video(source, LIMITS)
    everything = segments.Window(apply_from=0, shown_from=0, shown_to=None)
    options = {"info": info, "limits": LIMITS, "container": sniff.MP4}
    video.transform(source, tmp_path / "part", lambda x: x, batch=4, window=everything, **options)
    with pytest.raises(MediaToolError):
        segments.join([(tmp_path / "part", 0)], source, tmp_path / "x.mp4", frames=151, **options)
    assert not (tmp_path / "x.mp4").exists()


def test_a_folder_with_a_quote_is_only_a_folder(tmp_path):
    folder = tmp_path / "it's a 'folder'"
    folder.mkdir()
    source = make(folder, "closed.mp4")
    assert len(clips.timestamps(segmented(source, folder, frames=30))) == 150


@pytest.mark.parametrize(
    ("count", "every", "frames"), [*itertools.product([1, 7, 100, 251], [1, 10, 25, 300], [1, 20])]
)
def test_a_plan_covers_every_frame_once(count, every, frames):
    given = packets(count, every, start=-300)
    found = segments.plan(given, frames=frames)
    if not found:
        assert count < 2 * frames
        return
    borders = windows(found)
    assert borders[0][0] == -300
    assert borders[-1][1] is None
    assert [end for _, end in borders[:-1]] == [start for start, _ in borders[1:]]
    keys = {packet.shown_at for packet in given if packet.key}
    assert {start for start, _ in borders} <= keys
    for one in found:
        assert one.start is None or one.start in keys
        assert one.start is None or one.start <= one.window.apply_from <= one.window.shown_from


def test_segments_have_about_the_wanted_length():
    found = windows(segments.plan(packets(1000, 10), frames=100))
    lengths = [((end or 100_000) - start) // 100 for start, end in found]
    assert all(80 <= length <= 140 for length in lengths)


def test_warming_up_begins_at_a_keyframe_before():
    found = segments.plan(packets(100, 10), frames=20, before=5, hidden=1)
    assert (found[1].start, found[1].window.apply_from, found[1].window.shown_from) == (1000, 1500, 2000)
    assert found[0].stop == 2100


@pytest.mark.parametrize(
    "given",
    [
        packets(100, 1000),  # one keyframe
        [Packet(0, True)] * 100,  # no order
        [],
    ],
)
def test_what_cannot_be_cut_is_left_whole(given):
    assert len(segments.plan(given, frames=20)) < 2


def test_a_gif_is_left_whole(tmp_path):
    source = clips.make(tmp_path / "a.gif", "-c:v", "gif", seconds=2)
    info = probe.probe_video(source, LIMITS)
    assert info.demuxer == "gif"
    assert len(segments.plan(segments.index(source, info, LIMITS) or [], frames=5)) < 2


def test_facts_of_a_video_travel_as_json():
    info = VideoInfo(
        width=640,
        height=480,
        frame_count=7,
        duration=0.25,
        rate=Fraction(30000, 1001),
        time_base=Fraction(1, 90_000),
        pixel_format="yuv420p",
        codec="h264",
        audio=(Track(index=1, codec="aac", language="deu"),),
        colour=Colour(matrix="bt709"),
        chapters=(Chapter(start=0, end=1, time_base=Fraction(1), title="SECRET"),),
    )
    sent = json.dumps(info.to_json())
    assert "SECRET" not in sent
    assert VideoInfo.from_json(json.loads(sent)) == dataclasses.replace(info, chapters=())
