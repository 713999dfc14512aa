"""What would become too large is refused before any work, whatever the producer knew of it."""

from __future__ import annotations

import io

import pytest
from PIL import Image

# First: mayfly.tasks.stages.effect makes a task of each effect that is registered when it is imported.
from benchmarks.effects import PassThrough
from mayfly.db import jobs
from mayfly.db.states import Stage, State
from mayfly.tasks.attempts import execute
from mayfly.tasks.stages import effect, ingest
from tests.media import clips

EFFECT = PassThrough.declaration.name


@pytest.fixture
def enlarging(monkeypatch):
    """An effect that would make everything a hundred times as large, and must not get so far."""

    def fail(*_):
        raise AssertionError("the work was begun")

    monkeypatch.setattr(PassThrough, "scale", lambda *_: 100)
    monkeypatch.setattr(PassThrough, "apply", fail)


def code(rt, job_id):
    ended = jobs.get(rt.engine, job_id)
    assert (ended.state, ended.tries) == (State.FAILED, 1)
    return ended.error


def picture(name, size):
    data = io.BytesIO()
    Image.new("RGB", size).save(data, name)
    return data.getvalue()


@pytest.mark.parametrize("name", ["WEBP", "JPEG", "PNG"])
def test_a_picture(rt, job, enlarging, name):
    job_id = job(content=picture(name, (700, 2000)), effect=EFFECT, suffix=f".{name.lower()}", stage=Stage.EFFECT)
    execute.stage(rt, job_id, Stage.EFFECT, effect._work)
    assert code(rt, job_id) == "result_too_large"


def test_the_header_is_asked_before_the_picture_is_decoded(rt, job, enlarging):
    job_id = job(content=picture("PNG", (700, 2000))[:200], effect=EFFECT, suffix=".png", stage=Stage.EFFECT)
    execute.stage(rt, job_id, Stage.EFFECT, effect._work)
    assert code(rt, job_id) == "result_too_large"


def test_a_video_whose_scale_a_worker_alone_knows(rt, job, enlarging, tmp_path):
    clip = clips.make(tmp_path / "clip.mp4", size="320x180")
    job_id = job(content=clip.read_bytes(), media="video", suffix=".mp4", effect=EFFECT)
    execute.stage(rt, job_id, Stage.INGEST, ingest._ingest)
    execute.stage(rt, job_id, Stage.EFFECT, effect._work)
    assert code(rt, job_id) == "result_too_large"


def test_a_video_is_refused_at_ingest(rt, job, tmp_path):
    clip = clips.make(tmp_path / "clip.mp4", size="4400x64", seconds=0.1)
    job_id = job(content=clip.read_bytes(), media="video", suffix=".mp4", effect="enhance", parameters={"scale": 4})
    execute.stage(rt, job_id, Stage.INGEST, ingest._ingest)
    assert code(rt, job_id) == "result_too_large"
