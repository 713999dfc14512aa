"""`apply` in this process: what it writes, what it refuses, and that nothing is left of what failed."""

import signal
import subprocess
import sys
import time
from importlib import resources

import psutil
import pytest
from PIL import Image

from mayfly import local
from mayfly.client.errors import InvalidSource, InvalidTarget
from mayfly.effects.errors import InvalidParameters, UnknownEffect
from mayfly.media import sniff
from mayfly.media.errors import DamagedMedia, EmptyFile, ResultTooLarge, UnsupportedMedia
from tests.media import clips


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_the_target_chooses_a_pictures_format(photo, tmp_path, suffix):
    source, target, done = tmp_path / "in.png", tmp_path / f"out{suffix.upper()}", []
    with Image.open(photo) as picture:
        picture.crop((200, 60, 296, 140)).save(source)
    local.apply(source, target, "enhance", {"scale": "2"}, on_progress=lambda *progress: done.append(progress))
    assert sniff.sniff(target.read_bytes()).suffix == suffix
    with Image.open(source) as before, Image.open(target) as after:
        assert after.size == (before.width * 2, before.height * 2)
    assert done == [(1, 1)]


def test_a_cut_out_is_seen_through_or_lies_on_white(tmp_path):
    source = tmp_path / "in.jpg"
    with resources.files("mayfly.samples").joinpath("portrait.jpg").open("rb") as file:
        source.write_bytes(file.read())
    for suffix, mode in ((".png", "RGBA"), (".webp", "RGBA"), (".jpg", "RGB")):
        local.apply(source, tmp_path / f"out{suffix}", "segment")
        with Image.open(tmp_path / f"out{suffix}") as result:
            assert result.mode == mode
            corner = result.getpixel((5, 5))
            assert corner[3] == 0 if mode == "RGBA" else min(corner) > 250


def test_a_prompt_is_for_pictures(clip, tmp_path):
    with pytest.raises(InvalidParameters, match="flicker"):
        local.apply(clip, tmp_path / "out.mp4", "fashion", {"prompt": "a red coat", "model": "painter"})
    assert not (tmp_path / "out.mp4").exists()


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_the_target_chooses_a_videos_container(clip, tmp_path, suffix):
    target, done = tmp_path / f"out{suffix}", []
    local.apply(clip, target, "pass-through", on_progress=lambda *progress: done.append(progress))
    assert sniff.sniff(target.read_bytes()).suffix == suffix
    assert clips.packets(target) == clips.packets(clip)
    assert len(clips.timestamps(target)) == 50
    assert done[-1] == (50, 50)


def test_sound_is_kept_as_it_is_or_the_target_refused(clip, tmp_path):
    source = tmp_path / "pcm.mov"
    clips.ffmpeg("-i", clip, "-c:v", "copy", "-c:a", "pcm_s16le", source)
    with pytest.raises(InvalidTarget, match="sound"):
        local.apply(source, tmp_path / "out.mp4", "pass-through")
    local.apply(source, tmp_path / "out.mov", "pass-through")
    assert clips.packets(tmp_path / "out.mov") == clips.packets(source)


@pytest.mark.parametrize(
    ("error", "content", "target", "effect", "params"),
    [
        (UnknownEffect, None, "out.jpg", "nope", {}),
        (InvalidParameters, None, "out.jpg", "enhance", {"scale": 9}),
        (InvalidTarget, None, "out.mp4", "anime", {}),
        (InvalidTarget, None, "out.gif", "anime", {}),
        (InvalidTarget, None, "out", "anime", {}),
        (InvalidTarget, None, "nowhere/out.jpg", "anime", {}),
        (InvalidTarget, None, "folder.jpg", "anime", {}),
        (EmptyFile, b"", "out.jpg", "anime", {}),
        (UnsupportedMedia, b"text", "out.jpg", "anime", {}),
        (DamagedMedia, b"\xff\xd8\xff\xe0 and no more", "out.jpg", "anime", {}),
    ],
)
def test_what_is_refused_leaves_nothing(photo, tmp_path, error, content, target, effect, params):
    source = photo
    if content is not None:
        source = tmp_path / "source.jpg"
        source.write_bytes(content)
    (tmp_path / "folder.jpg").mkdir()
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(error):
        local.apply(source, tmp_path / target, effect, params)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_source_that_is_missing(tmp_path):
    with pytest.raises(InvalidSource):
        local.apply(tmp_path / "none.jpg", tmp_path / "out.jpg", "anime")


def test_work_that_fails_keeps_the_target_of_before(clip, tmp_path):
    class Stop(Exception):
        pass

    def stop(done, _total):
        if done:
            raise Stop

    target = tmp_path / "out.mp4"
    target.write_bytes(b"before")
    with pytest.raises(Stop):
        local.apply(clip, target, "pass-through", on_progress=stop)
    assert target.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [target]


def test_ctrl_c_ends_the_children_and_leaves_nothing(clip, tmp_path):
    target = tmp_path / "out.mp4"
    command = [sys.executable, "-m", "mayfly", "apply", "sleep", clip, target, "-p", "seconds=60"]

    def hear() -> None:
        # A shell makes its background processes deaf to Ctrl-C, and what they start.
        signal.signal(signal.SIGINT, signal.default_int_handler)

    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=hear)
    try:
        end = time.monotonic() + 60
        # The decoder; there is an encoder once the first frame is made.
        while not (children := psutil.Process(process.pid).children()):
            assert time.monotonic() < end, "the pipe has not begun"
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
        assert "Traceback" not in process.stderr.read()
        assert [child for child in children if child.is_running()] == []
    finally:
        process.kill()
        process.wait()
        process.stderr.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("media", ["photo", "clip"])
def test_what_would_become_too_large_is_refused_before_any_work(embedded, request, tmp_path, media):
    source = request.getfixturevalue(media)
    settings = embedded.model_copy(
        update={"max_pixels": 300_000, "max_result_pixels": 300_000, "max_frame_pixels": 60_000}
        | {"max_result_frame_pixels": 60_000}
    )
    with pytest.raises(ResultTooLarge):
        local.apply(source, tmp_path / f"out{source.suffix}", "enhance", {"scale": 2}, settings=settings)
    assert list(tmp_path.glob("*out*")) == []
