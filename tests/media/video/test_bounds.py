from __future__ import annotations

import collections
import shutil
from fractions import Fraction

import pytest

from mayfly.media.errors import DiskFull, MediaToolError, TooLarge
from mayfly.media.limits import Limits
from mayfly.media.video import bounds, probe, video
from tests.media import clips

LIMITS = Limits()
Usage = collections.namedtuple("Usage", "total used free")


def transform(source, target, apply=lambda frames: frames, **options):
    info = probe.probe_video(source, LIMITS)
    return video.transform(source, target, apply, info=info, limits=LIMITS, **({"batch": 8} | options))


def disk(monkeypatch, free):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(0, 0, free))


def test_batches_shrink_with_the_size_of_frames():
    sizes = [(320, 180), (1280, 720), (1920, 1080), (3840, 2160), (7680, 4320)]
    assert [bounds.batch(8, *size) for size in sizes] == [8, 8, 5, 1, 1]
    assert bounds.batch(4, 1280, 720) == 4


def test_a_large_frame_comes_alone(tmp_path):
    source, seen = clips.make(tmp_path / "large.mp4", size="3840x2160", seconds=0.08), []
    transform(source, tmp_path / "out", lambda frames: seen.append(len(frames)) or frames)
    assert seen == [1, 1]


def test_the_children_are_bounded():
    small, large = bounds.encoder(64, 48, free=10**9, hardware=False), bounds.decoder(3840, 2160)
    assert 3 * bounds.GIB < small.memory < bounds.encoder(3840, 2160, free=10**9, hardware=False).memory
    assert bounds.decoder(64, 48).memory < large.memory
    assert large.file_bytes == 0
    assert small.file_bytes == 10**9 - bounds.RESERVE_BYTES
    assert bounds.encoder(64, 48, free=0, hardware=True).memory is None


def test_a_result_is_thought_larger_than_it_is(tmp_path, clip):
    info = probe.probe_video(clip, LIMITS)
    size = clip.stat().st_size
    transform(clip, tmp_path / "out")
    estimate = bounds.result_bytes(info, width=320, height=180, quality=20, source=size)
    assert (tmp_path / "out").stat().st_size < estimate < 100 * size
    twice = bounds.result_bytes(info, width=320, height=180, quality=14, source=0)
    assert twice == pytest.approx(2 * (estimate - size), abs=1)


def test_a_full_disk_is_told_before_the_work(tmp_path, clip, monkeypatch):
    disk(monkeypatch, bounds.RESERVE_BYTES + clip.stat().st_size)
    with pytest.raises(DiskFull) as caught:
        transform(clip, tmp_path / "out", lambda _: pytest.fail("it began"))
    assert isinstance(caught.value, MediaToolError)  # which is tried again
    assert list(tmp_path.iterdir()) == []


def test_a_larger_result_is_asked_about_again(tmp_path, clip, monkeypatch):
    info = probe.probe_video(clip, LIMITS)
    small = bounds.result_bytes(info, width=320, height=180, quality=20, source=clip.stat().st_size)
    disk(monkeypatch, bounds.RESERVE_BYTES + small + 1)
    assert transform(clip, tmp_path / "out").frames == 50
    with pytest.raises(DiskFull):
        transform(clip, tmp_path / "out", lambda x: x.repeat_interleave(4, 2).repeat_interleave(4, 3))
    assert not (tmp_path / "out").exists()


def test_a_result_that_grows_past_the_disk_is_ended(tmp_path, clip, monkeypatch):
    monkeypatch.setattr(bounds, "room", lambda *_, **__: bounds.RESERVE_BYTES + 20_000)
    with pytest.raises(DiskFull):
        transform(clip, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_flood_of_frames_is_refused_while_it_is_decoded(tmp_path, suffix):
    source, seen = clips.make(tmp_path / f"fast{suffix}", size="16x16", rate="500", seconds=1.5), []
    with pytest.raises(TooLarge, match="240"):
        transform(source, tmp_path / "out", lambda frames: seen.append(len(frames)) or frames)
    assert sum(seen) < 260
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_fast_frames_are_taken(tmp_path, suffix):
    source = clips.make(tmp_path / f"fast{suffix}", size="16x16", rate="240", seconds=1.5)
    assert transform(source, tmp_path / "out").frames == 360
    assert clips.timestamps(tmp_path / "out") == clips.timestamps(source)
    assert Fraction(clips.timestamps(source)[240]) == 1
