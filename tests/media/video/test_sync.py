"""Sound and picture of the result are as far apart as the source's, at both ends of a clip of a minute."""

from __future__ import annotations

import json
import subprocess

import pytest
import torch

from mayfly.media import sniff
from mayfly.media.limits import Limits
from mayfly.media.output import Output
from mayfly.media.video import probe, video
from tests.media import clips

LIMITS = Limits()
SECONDS = 60
PERIOD = 5  # seconds from flash to flash
TOLERANCE = 0.010  # seconds


@pytest.fixture(scope="module")
def flashes(tmp_path_factory):
    """A dark clip that flashes and beeps at the same time, every five seconds from the second on; a keyframe each."""
    path = tmp_path_factory.mktemp("sync") / "flashes.mp4"
    flash = f"color=black:size=64x48:rate=25:duration={SECONDS},drawbox=color=white:t=fill"
    flash += f":enable='lt(mod(t-2+{PERIOD},{PERIOD}),0.08)'"
    beep = f"aevalsrc='if(lt(mod(t-2+{PERIOD},{PERIOD}),0.08),sin(6283*t),0)':s=48000:d={SECONDS}"
    clips.ffmpeg(
        *("-f", "lavfi", "-i", flash, "-f", "lavfi", "-i", beep, *clips.H264, "-g", "25", "-bf", "2", "-preset"),
        *("fast", "-c:a", "aac", path),
    )
    return path


def frames(path, stream):
    command = ["ffprobe", "-v", "error", "-of", "json", "-select_streams", stream, "-show_entries"]
    found = subprocess.run(
        [*command, "frame=pts_time", f"file:{path}"], check=True, timeout=60, capture_output=True, text=True
    )
    return [float(frame["pts_time"]) for frame in json.loads(found.stdout)["frames"]]


def onsets(loud, times):
    """The times at which something begins, and not what merely goes on from before the start."""
    return [times(n) for n in range(1, len(loud)) if loud[n] and not loud[n - 1]]


def events(path):
    """When the flashes and the beeps of a file begin, in seconds, on its own clock."""
    raw = clips.ffmpeg("-i", path, "-map", "0:v", "-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt", "gray", "-")
    shown = frames(path, "v:0")
    lights = torch.frombuffer(bytearray(raw), dtype=torch.uint8).reshape(len(shown), -1).float().mean(1) > 100
    sound = clips.ffmpeg("-i", path, "-map", "0:a", "-f", "s16le", "-ac", "1", "-ar", "48000", "-")
    start = frames(path, "a:0")[0]
    # Within 1 ms of a sample that is loud, it is loud: the sine passes through 0.
    samples = torch.frombuffer(bytearray(sound), dtype=torch.int16).float().abs()
    loud = torch.nn.functional.max_pool1d(samples[None], 49, 1, 24)[0] > 8000
    return onsets(lights.tolist(), lambda n: shown[n]), onsets(loud.tolist(), lambda n: start + n / 48000)


def offsets(path):
    """For each flash, how much later its beep begins."""
    flashes, beeps = events(path)
    assert len(flashes) == len(beeps) >= 10
    return [beep - flash for flash, beep in zip(flashes, beeps, strict=True)]


def check(source, folder, **options):
    target = folder / "out"
    info = probe.probe_video(source, LIMITS)
    output = Output(quality=30, preset="ultrafast")
    video.transform(source, target, lambda x: x, info=info, limits=LIMITS, batch=8, output=output, **options)
    before, after = offsets(source), offsets(target)
    assert len(after) == len(before)
    for end in (0, -1):
        assert after[end] == pytest.approx(before[end], abs=TOLERANCE)
    return before


def test_it_is_in_sync_to_begin_with(flashes, tmp_path):
    assert max(abs(offset) for offset in check(flashes, tmp_path)) < TOLERANCE


@pytest.mark.parametrize("delay", ["0.25", "-0.25"])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_sound_that_is_off_stays_as_far_off(flashes, tmp_path, delay, suffix):
    source = tmp_path / f"late{suffix}"
    clips.ffmpeg("-i", flashes, "-itsoffset", delay, "-i", flashes, "-map", "0:v", "-map", "1:a", "-c", "copy", source)
    assert check(source, tmp_path)[0] == pytest.approx(float(delay), abs=TOLERANCE)


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_a_cut_that_skips_the_beginning(flashes, tmp_path, suffix):
    """Between two keyframes: an edit list hides what is before the cut, or timestamps below 0 do."""
    source = tmp_path / f"cut{suffix}"
    clips.ffmpeg("-ss", "3.36", "-i", flashes, "-c", "copy", source)
    check(source, tmp_path)


def test_a_start_far_from_zero(flashes, tmp_path):
    stream, source = tmp_path / "far.ts", tmp_path / "far.mkv"
    clips.ffmpeg("-i", flashes, "-c", "copy", "-muxdelay", "0", "-output_ts_offset", "4000", stream)
    clips.ffmpeg("-copyts", "-i", stream, "-c", "copy", source)
    assert float(clips.streams(source)[0]["start_time"]) > 3000
    check(source, tmp_path)
    # An hour of nothing would come first.
    assert max(float(stream["start_time"]) for stream in clips.streams(tmp_path / "out")) < 1
    assert events(tmp_path / "out")[0][0] == pytest.approx(2, abs=0.05)


def test_into_matroska(flashes, tmp_path):
    check(flashes, tmp_path, container=sniff.MKV)
