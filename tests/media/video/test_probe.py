from __future__ import annotations

import random
import signal
from fractions import Fraction

import pytest

from mayfly.media.children import confinement, process
from mayfly.media.children.confinement import Access
from mayfly.media.errors import (
    DamagedMedia,
    DiskFull,
    EmptyFile,
    MediaTimeout,
    MediaToolError,
    TooLarge,
    UnsupportedMedia,
    WrongKind,
)
from mayfly.media.limits import Limits
from mayfly.media.video import ffmpeg_errors, ffprobe, probe
from tests.media import clips

LIMITS = Limits()


def test_what_the_header_says(clip):
    info = probe.probe_video(clip, LIMITS)
    assert (info.width, info.height, info.frame_count, info.rate, info.duration) == (320, 180, 50, 25, 2.0)
    assert (info.codec, info.pixel_format, info.bit_depth, info.rotation) == ("h264", "yuv420p", 8, 0)
    assert [stream.codec for stream in info.audio] == ["aac"]
    assert not info.interlaced


def test_matroska_has_no_count_of_frames(tmp_path):
    info = probe.probe_video(clips.make(tmp_path / "clip.mkv", rate="30000/1001"), LIMITS)
    assert info.rate == Fraction(30000, 1001)
    assert info.frame_count in (30, 31)
    assert info.demuxer == "matroska"


@pytest.mark.parametrize("name", ["-version.mp4", "%03d.mp4", "a b'\";$(x).mp4", "file:x.mp4", "concat:x|y.mp4"])
def test_names_are_only_names(tmp_path, monkeypatch, name):
    clips.make(tmp_path / "clip.mp4").rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    info = probe.probe_video(tmp_path.joinpath(name).relative_to(tmp_path), LIMITS)
    assert (info.width, info.height) == (64, 48)


def test_refusals_by_kind(tmp_path, photo):
    path = tmp_path / "upload"
    path.write_bytes(b"")
    with pytest.raises(EmptyFile):
        probe.probe_video(path, LIMITS)
    path.write_bytes(b"#EXTM3U\n#EXTINF:1,\nclip.mp4\n")
    with pytest.raises(UnsupportedMedia):
        probe.probe_video(path, LIMITS)
    with pytest.raises(WrongKind):
        probe.probe_video(photo, LIMITS)


def test_sound_alone(tmp_path):
    path = tmp_path / "sound.mp4"
    clips.ffmpeg(*clips.SOUND, "-c:a", "aac", path)
    with pytest.raises(UnsupportedMedia):
        probe.probe_video(path, LIMITS)


def test_a_cover_is_no_video(tmp_path, photo):
    path = tmp_path / "clip.mp4"
    inputs = (*clips.SOUND, "-i", str(photo), "-map", "1:a", "-map", "2:v", "-map", "0:v", "-shortest")
    clips.make(path, *inputs, "-c:v:0", "mjpeg", "-disposition:v:0", "attached_pic", "-c:v:1", "libx264")
    info = probe.probe_video(path, LIMITS)
    assert (info.width, info.height, info.codec) == (64, 48, "h264")


@pytest.mark.parametrize("content", [b"", b"\0" * 500, bytes(range(256)) * 20, b"\0\0\0\x08moov" * 50])
def test_a_good_start_and_nothing_behind_it(tmp_path, content):
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"\0\0\0\x14ftypisom\0\0\0\0isom" + content)
    with pytest.raises((DamagedMedia, UnsupportedMedia)):
        probe.probe_video(path, LIMITS)


def test_random_damage_gives_our_errors_only(tmp_path, clip):
    good = clip.read_bytes()
    dice = random.Random(7)
    path = tmp_path / "clip.mp4"
    refused = 0
    for _ in range(12):
        bad = bytearray(good)
        for _ in range(200):
            # The index is at the end.
            bad[dice.randrange(len(bad) - 3000, len(bad))] = dice.randrange(256)
        path.write_bytes(bad)
        try:
            probe.probe_video(path, LIMITS)
        except (DamagedMedia, UnsupportedMedia, TooLarge) as error:
            refused += 1
            assert str(tmp_path) not in str(error)
    assert refused > 6


def test_playlists_read_no_siblings(tmp_path, clip):
    # Past the sniffing, the demuxers themselves are tried: nothing but MP4 and Matroska is among them.
    (tmp_path / "sibling.ts").write_bytes(clips.ffmpeg("-i", clip, "-c", "copy", "-f", "mpegts", "-"))
    for name, text in [
        ("hls.mp4", b"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:2,\nsibling.ts\n#EXT-X-ENDLIST\n"),
        ("concat.mp4", b"ffconcat version 1.0\nfile sibling.ts\n"),
    ]:
        path = tmp_path / name
        path.write_bytes(text)
        assert process.run(ffprobe.probe(path, LIMITS), timeout=30, access=Access(reads=[tmp_path])).code != 0
        # Without the whitelist the sibling is read: the disguise is good enough; but only where it may be opened.
        bare = ["ffprobe", "-v", "error", "-allowed_extensions", "ALL", "-show_format", f"file:{path}"]
        if name == "hls.mp4":
            assert process.run(bare, timeout=30, access=Access(reads=[tmp_path])).code == 0
            if confinement.offered() & confinement.Kind.FILES:
                assert process.run(bare, timeout=30, access=Access(reads=[path])).code != 0


def test_limits_name_themselves(clip):
    for limits, word in [
        (Limits(max_bytes=1000), "1,000 bytes"),
        # ffprobe refuses before it says how large.
        (Limits(max_frame_pixels=320 * 180 - 1), "the frames are too large"),
        (Limits(max_side=319), "319"),
        (Limits(max_frames=49), "49 frames"),
        (Limits(max_seconds=1.5), "1.5 seconds"),
    ]:
        with pytest.raises(TooLarge) as caught:
            probe.probe_video(clip, limits)
        assert word in str(caught.value)


def test_failures_are_told_apart_and_quote_nothing():
    for code, line, kind in [
        (1, "/secret/name.mp4: Invalid data found", DamagedMedia),
        (1, "/secret/name.mp4: No space left on device", MediaToolError),
        (1, "/secret/name.mp4: Cannot allocate memory", TooLarge),
        (-9, "", MediaToolError),
        (1, "Disk quota exceeded", MediaToolError),
        (1, "Input/output error", MediaToolError),
        (1, "Too many open files", MediaToolError),
        (1, "Resource temporarily unavailable", MediaToolError),
        (-signal.SIGXCPU, "", MediaTimeout),
        (128 + signal.SIGXCPU, "", MediaTimeout),
        (1, "/secret/name.mp4: Codec (ffv1) not on whitelist 'h264'", UnsupportedMedia),
        (1, "5000x5000 exceeds specified max pixel count 100", TooLarge),
        (1, "[IMGUTILS] Picture size 9999x9999 is invalid", TooLarge),
        (1, "picture size 9999x9999 is invalid", TooLarge),
        (-11, "", DamagedMedia),
    ]:
        error = ffmpeg_errors.failure(code, [line])
        assert type(error) is kind
        assert "secret" not in str(error)
    assert type(ffmpeg_errors.encoder_failure(1, ["No space left on device"])) is DiskFull
    assert type(ffmpeg_errors.encoder_failure(-signal.SIGXFSZ, [])) is DiskFull
    for text in ("Disk quota exceeded", "File too large"):
        assert type(ffmpeg_errors.encoder_failure(1, ["first", text, "last"])) is DiskFull
    assert type(ffmpeg_errors.encoder_failure(1, ["Cannot allocate memory"])) is MediaToolError
    for text in ("Invalid data found when processing input", "partial file", "Header invalid, broken"):
        assert type(ffmpeg_errors.encoder_failure(1, ["first", text, "last"])) is DamagedMedia
        # Who was killed said that before.
        assert type(ffmpeg_errors.encoder_failure(-9, [text])) is MediaToolError


def test_what_a_child_says_counts_when_it_has_failed():
    assert ffmpeg_errors.check(process.Finished(0, b"out", ["Invalid data found"])) == b"out"
    with pytest.raises(DamagedMedia):
        ffmpeg_errors.check(process.Finished(1, b"out", ["Invalid data found"]))


@pytest.mark.parametrize(
    ("text", "value"),
    [("30000/1001", Fraction(30000, 1001)), ("16:9", Fraction(16, 9)), ("25/1", 25)]
    + [(text, 7) for text in (None, "", "x", "0/1", "1/0", "0:0", "1/2/3", "-1/2", "25")],
)
def test_ratios(text, value):
    assert ffprobe.rational(text, Fraction(7)) == value
