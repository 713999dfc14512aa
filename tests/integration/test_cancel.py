"""A cancelled job is gone from the store at once, and its worker is free soon after."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

from mayfly.db.states import State
from mayfly.tasks.attempts import attempt
from tests.integration.stage import Process, Stage, wait_for

SLACK = 10.0  # seconds, for a machine that does other things as well


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Half a minute of video, of which no effect that sleeps gets far."""
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    command = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=160x120:rate=10:duration=29"]
    subprocess.run([*command, "-c:v", "libx264", "-preset", "ultrafast", str(path)], check=True, timeout=60)
    return path


def test_a_photo_in_mid_effect(busy: Stage, worker: Process, photo: Path):
    job = busy.queue("sleep", photo, "owner-cancels", seconds=4)
    busy.wait_running(job)
    busy.client.cancel(job)
    assert busy.job(job).state is State.CANCELLED
    assert busy.objects(job) == []
    assert "owner-cancels" not in busy.dump()
    # The effect that slept on has not brought its result.
    wait_for(
        "the worker's word", lambda: f"job {job}-1: this attempt is not wanted any more" in worker.text, seconds=20
    )
    assert busy.objects(job) == []
    assert busy.job(job).state is State.CANCELLED
    assert [outcome for _, outcome, _ in busy.attempts(job)] == ["cancelled"]
    assert busy.run("result", job, "--out", "/dev/null").returncode == 1


def test_a_film_in_mid_stream(busy: Stage, worker: Process, film: Path):
    pause = 0.3
    job = busy.queue("sleep", film, "owner-cancels-too", seconds=pause)
    busy.wait_running(job)
    wait_for("both ends of the pipe", lambda: worker.names().count("ffmpeg") == 2)
    wait_for("some frames", lambda: busy.job(job).units_done > 0)
    assert busy.scratch_files() != []
    cancelling = time.monotonic()
    assert busy.run("cancel", job).returncode == 0
    assert busy.objects(job) == []
    command = time.monotonic() - cancelling

    def stopped() -> bool:
        return not busy.scratch_files() and "ffmpeg" not in worker.names()

    wait_for("the end of ffmpeg and an empty scratch folder", stopped, seconds=20, pause=0.05)
    assert time.monotonic() - cancelling < command + attempt.PROGRESS_SECONDS + pause + SLACK
    assert busy.job(job).state is State.CANCELLED
    assert busy.job(job).units_done < 100
    assert "owner-cancels-too" not in busy.dump()


def test_a_job_that_waits_is_never_begun(busy: Stage, photo: Path):
    first = busy.queue("sleep", photo, seconds=4)
    busy.wait_running(first)
    second = busy.queue("pass-through", photo)
    busy.client.cancel(second)
    assert busy.wait_final(first).state is State.DONE
    wait_for("empty queues", lambda: not any(busy.depths().values()), seconds=20)
    assert busy.job(second).state is State.CANCELLED
    assert busy.attempts(second) == []
    assert busy.objects(second) == []
