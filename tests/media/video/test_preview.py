from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from mayfly.media import sniff
from mayfly.media.errors import DamagedMedia, MediaTimeout
from mayfly.media.limits import Limits
from mayfly.media.video import preview, probe, video
from tests.media import clips

LIMITS = Limits()


def info_of(path, limits=LIMITS):
    return probe.probe_video(path, limits)


def transformed(source, target, apply):
    video.transform(source, target, apply, info=info_of(source), limits=LIMITS, batch=4)
    return target


def twice(frames):
    return (255 - frames).repeat_interleave(2, 2).repeat_interleave(2, 3)


def side_by_side(source, result, target, **options):
    infos = {"info": info_of(source), "result_info": info_of(result, preview.grown(LIMITS))}
    preview.side_by_side(source, result, target, limits=LIMITS, **infos, **options)


def frame(path, number=0):
    """A frame as (H, W, 3) levels."""
    raw = clips.ffmpeg(
        "-i", path, "-vf", f"select=eq(n\\,{number})", "-frames:v", "1", "-f", "image2pipe", "-c:v", "png", "-"
    )
    return pixels(raw)


def pixels(data):
    with Image.open(io.BytesIO(data)) as opened:
        return np.asarray(opened.convert("RGB"), float)


def test_a_poster_shows_the_clip(tmp_path, clip):
    poster = preview.poster(clip, info_of(clip), LIMITS)
    assert sniff.sniff(poster) is sniff.JPEG
    shown = pixels(poster)
    assert shown.shape == (180, 320, 3)
    # One of the dozen frames from a third on, and no other.
    nearest = min(range(50), key=lambda n: np.abs(frame(clip, n) - shown).mean() if 12 <= n < 34 else 255)
    assert np.abs(frame(clip, nearest) - shown).mean() < 6
    assert preview.poster(clip, info_of(clip), LIMITS, at=1.5) != poster


def test_a_poster_is_upright_and_has_square_pixels(tmp_path):
    plain, source = clips.make(tmp_path / "plain.mp4", "-vf", "setsar=2/1", *clips.H264), tmp_path / "turned.mp4"
    clips.ffmpeg("-i", plain, "-c", "copy", "-metadata:s:v", "rotate=90", source)
    assert pixels(preview.poster(source, info_of(source), LIMITS)).shape == (64, 24, 3)


def test_a_poster_of_a_large_a_short_and_a_late_clip(tmp_path):
    large = clips.make(tmp_path / "large.mp4", size="1920x1080", seconds=0.04)
    assert pixels(preview.poster(large, info_of(large), LIMITS)).shape == (720, 1280, 3)
    assert pixels(preview.poster(large, info_of(large), LIMITS, at=100)).shape == (720, 1280, 3)


def test_a_damaged_clip_has_no_poster(tmp_path, clip):
    info, source = info_of(clip), tmp_path / "clip.mp4"
    source.write_bytes(clip.read_bytes()[:20_000])
    with pytest.raises(DamagedMedia):
        preview.poster(source, info, LIMITS)


def test_source_and_result_side_by_side(tmp_path, clip):
    result, target = transformed(clip, tmp_path / "result.mp4", twice), tmp_path / "preview.mp4"
    side_by_side(clip, result, target, seconds=1)
    (stream,) = clips.streams(target)
    assert (stream["codec_name"], stream["pix_fmt"]) == ("h264", "yuv420p")
    assert (stream["width"], stream["height"]) == (2 * 320 + preview.DIVIDER, 180)
    assert int(stream["nb_frames"]) == 25
    assert 0.9 < float(stream["duration"]) < 1.1
    shown, original = frame(target, 3), frame(clip, 15)
    left, line, right = shown[:, :320], shown[:, 321:323], shown[:, 324:]
    assert np.abs(left - frame(clip, 15)).mean() < np.abs(left - frame(clip, 14)).mean()
    assert np.abs(left - original).mean() < 12
    # The same moment on the right, upside down in its levels.
    assert np.abs(255 - right - original).mean() < 12
    assert np.abs(right - original).mean() > 50
    assert line.min() > 200


def test_turned_with_oblong_pixels_and_large(tmp_path):
    plain, source = (
        clips.make(tmp_path / "plain.mp4", "-vf", "setsar=4/3", *clips.H264, seconds=0.4),
        tmp_path / "s.mp4",
    )
    clips.ffmpeg("-i", plain, "-c", "copy", "-metadata:s:v", "rotate=90", source)
    result = transformed(source, tmp_path / "result.mp4", twice)
    side_by_side(source, result, tmp_path / "out.mp4")
    stream = clips.streams(tmp_path / "out.mp4")[0]
    # 64×48 with pixels of 4:3, turned: 48 wide with pixels of 3:4, 64 high.
    assert (stream["width"], stream["height"]) == (36 + preview.DIVIDER + 36, 64)
    assert int(stream["nb_frames"]) == 10
    large = clips.make(tmp_path / "large.mp4", size="1920x1080", seconds=0.08)
    side_by_side(large, large, tmp_path / "out.mp4")
    stream = clips.streams(tmp_path / "out.mp4")[0]
    assert stream["width"] <= preview.WIDTH
    assert stream["height"] == 358


def test_uneven_times_stay_together(tmp_path):
    uneven = ("-vf", "setpts='(N*N+3*N)/50/TB'", "-fps_mode", "vfr", "-enc_time_base", "1/12800", *clips.H264)
    source = clips.make(tmp_path / "clip.mp4", *uneven, seconds=0.4)
    result = transformed(source, tmp_path / "result.mp4", lambda frames: frames)
    side_by_side(source, result, tmp_path / "out.mp4", seconds=60)
    assert clips.timestamps(tmp_path / "out.mp4") == clips.timestamps(source)
    for number in (0, 4, 9):
        shown = frame(tmp_path / "out.mp4", number)
        assert np.abs(shown[:, :64] - shown[:, -64:]).mean() < 8


def test_nothing_of_the_source_but_pixels(tmp_path):
    source = clips.make(tmp_path / "clip.mp4", *clips.SOUND, *clips.H264, *clips.AAC, "-metadata", "title=SECRET")
    side_by_side(source, source, tmp_path / "out.mp4")
    assert [stream["codec_type"] for stream in clips.streams(tmp_path / "out.mp4")] == ["video"]
    assert b"SECRET" in source.read_bytes()
    assert b"SECRET" not in (tmp_path / "out.mp4").read_bytes() + preview.poster(source, info_of(source), LIMITS)


def test_a_failure_leaves_nothing(tmp_path, clip):
    with pytest.raises(MediaTimeout):
        side_by_side(clip, clip, tmp_path / "out.mp4", timeout=0.01)
    assert list(tmp_path.iterdir()) == []
