"""A job goes all the way through separate processes on real servers, and nothing of it shows on the way."""

from __future__ import annotations

import io
import json
import subprocess
import urllib.parse
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mayfly.db.states import AssetState, Retention
from mayfly.tasks import runtime
from mayfly.tasks.messages import broker, queues
from mayfly.tasks.stages import ingest
from tests.integration.stage import Process, Stage, ends

OWNER, CONSENT, FILE = "owner-7f3a91", "consent-55d0c2", "wedding-of-anna-schmidt"
SECONDS = "0.0390625"  # a parameter's value that appears nowhere else


def read(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB")).astype(int)


def streams(path: Path) -> list[dict]:
    command = ["ffprobe", "-v", "error", "-count_frames", "-show_streams", "-of", "json", str(path)]
    return json.loads(subprocess.run(command, capture_output=True, check=True, timeout=60).stdout)["streams"]


def sound(path: Path) -> bytes:
    command = ["ffmpeg", "-v", "error", "-i", str(path), "-map", "0:a", "-c", "copy", "-f", "md5", "-"]
    return subprocess.run(command, capture_output=True, check=True, timeout=60).stdout


def assert_only_the_result_is_left(stage: Stage, job_id: str) -> None:
    """The input is gone and has its receipt; the result is the only object."""
    by_class = {asset.retention: asset for asset in stage.assets(job_id)}
    assert by_class[Retention.INPUT].state is AssetState.DESTROYED
    assert by_class[Retention.INPUT].key is None
    assert by_class[Retention.RESULT].state is AssetState.STORED
    assert stage.objects(job_id) == [by_class[Retention.RESULT].key]
    receipt = stage.run("purge", "status", "--json")
    assert json.loads(receipt.stdout)["overdue"][Retention.INPUT] == 0


def receipts(stage: Stage, job_id: str) -> list[str]:
    from mayfly.db import assets

    return [receipt.retention for receipt in assets.receipts(stage.engine, [stage.job(job_id).id])]


def test_a_photo_and_a_video_come_back_and_their_inputs_are_gone(busy: Stage, photo: Path, clip: Path, tmp_path: Path):
    finished = busy.run("submit", "pass-through", photo, clip, "--wait", "--out", tmp_path, "--json")
    assert finished.returncode == 0, finished.stderr
    picture, video = ends(finished.stdout, 2)
    assert picture["state"] == video["state"] == "done"

    assert read(Path(picture["result"])).shape == (512, 512, 3)
    assert np.abs(read(Path(picture["result"])) - read(photo)).mean() < 2
    found = {stream["codec_type"]: stream for stream in streams(Path(video["result"]))}
    assert (found["video"]["width"], found["video"]["height"]) == (320, 180)
    assert found["video"]["nb_read_frames"] == "50"
    assert sound(Path(video["result"])) == sound(clip)

    for job, stages in ((picture, ["effect"]), (video, ["ingest", "effect"])):
        assert_only_the_result_is_left(busy, job["job"])
        assert receipts(busy, job["job"]) == [Retention.INPUT]
        assert [(stage, outcome) for stage, outcome, _ in busy.attempts(job["job"])] == [(s, "done") for s in stages]
    assert busy.scratch_files() == []


@pytest.mark.parametrize(("effect", "side"), [("anime", 96), ("enhance", 192)])
def test_the_real_effects_change_a_small_picture(busy: Stage, photo: Path, tmp_path: Path, effect: str, side: int):
    source = tmp_path / "small.png"
    Image.open(photo).resize((96, 96)).save(source)
    job = busy.submit(effect, source, "--out", tmp_path)
    assert (job["state"], job["code"]) == ("done", 0), job
    result = read(Path(job["result"]))
    assert result.shape == (side, side, 3)
    plain = np.asarray(Image.open(source).convert("RGB").resize((side, side), Image.Resampling.NEAREST)).astype(int)
    assert 0.5 < np.abs(result - plain).mean() < 80
    assert_only_the_result_is_left(busy, job["job"])


def test_logs_tell_nothing_of_a_job_but_its_id(busy: Stage, worker: Process, photo: Path, tmp_path: Path):
    source = tmp_path / f"{FILE}.jpg"
    source.write_bytes(photo.read_bytes())
    arguments = ["-p", f"seconds={SECONDS}", "--owner", OWNER, "--consent", CONSENT, "--wait"]
    job = busy.submit("sleep", source, *arguments)
    assert job["state"] == "done"
    # A failure logs more than a success does.
    damaged = tmp_path / f"{FILE}-damaged.jpg"
    damaged.write_bytes(photo.read_bytes()[:20_000])
    failed = busy.submit("sleep", damaged, *arguments)
    assert failed["error"] == "damaged_media"

    secrets = [
        urllib.parse.unquote(urllib.parse.urlsplit(busy.variables[f"MAYFLY_{part}_URL"]).password or "")
        for part in ("BROKER", "DATABASE", "STORAGE")
    ]
    assert all(secrets)
    assert failed["job"] in worker.text
    for process in busy.processes:
        for private in (OWNER, CONSENT, FILE, SECONDS, *secrets):
            assert private not in process.text
        command = " ".join(word for member in process.family() for word in member.cmdline())
        assert not any(secret in command for secret in secrets)


@pytest.mark.parametrize(("media", "passed"), [("photo", ["cpu.photo"]), ("clip", [queues.MEDIA, "cpu.video"])])
def test_messages_hold_a_job_id_and_nothing_else_of_it(
    idle: Stage,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    media: str,
    passed: list[str],
):
    broker.declare(idle.settings)
    original: Path = request.getfixturevalue(media)
    source = tmp_path / f"{FILE}{original.suffix}"
    source.write_bytes(original.read_bytes())
    job = idle.submit("sleep", source, "-p", f"seconds={SECONDS}", "--owner", OWNER, "--consent", CONSENT)
    assert (job["state"], job["code"]) == ("queued", 0)
    assert idle.sent(job["job"])
    monkeypatch.setattr(runtime, "_current", idle.runtime)

    for queue in passed:
        with broker.channel(idle.settings) as channel:
            _, properties, body = channel.basic_get(queue, auto_ack=True)
        assert properties is not None and body is not None, f"no message in {queue}"
        arguments, keywords, embedded = json.loads(body)
        assert (arguments, keywords) == ([job["job"]], {})
        assert not any(embedded.values())
        assert properties.headers["argsrepr"] == properties.headers["kwargsrepr"] == "-"
        assert properties.delivery_mode == 2
        everything = body.decode() + repr(properties.__dict__)
        assert not [word for word in (OWNER, CONSENT, FILE, SECONDS, "seconds") if word in everything]
        if queue == queues.MEDIA:
            # The next stage's message.
            ingest.ingest(job["job"])
    assert idle.job(job["job"]).stage == "effect"
    idle.run("cancel", job["job"])
    assert idle.objects(job["job"]) == []
    assert not any(word in idle.dump() for word in (OWNER, CONSENT, FILE, SECONDS))


def test_a_result_comes_back_by_its_id(busy: Stage, photo: Path, tmp_path: Path):
    job = busy.submit("pass-through", photo)
    assert job["code"] == 0
    busy.wait_final(job["job"])
    target = tmp_path / "result.jpg"
    assert busy.run("result", job["job"], "--out", target).returncode == 0
    assert Image.open(io.BytesIO(target.read_bytes())).size == (512, 512)
    shown = json.loads(busy.run("status", job["job"], "--json").stdout)
    assert (shown["state"], shown["progress"]) == ("done", 1.0)
