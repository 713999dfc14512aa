"""A producer that dies at any point of submit leaves a job that is done, or one that is given up and nothing else."""

from __future__ import annotations

import concurrent.futures
import subprocess
import sys
import time
from pathlib import Path

import pytest
import sqlalchemy as sa

from mayfly.db import clock
from mayfly.db.states import State
from mayfly.db.tables import ASSETS, JOBS
from mayfly.settings import Settings
from mayfly.tasks.messages import outbox, queues
from tests.integration.stage import HERE, Stage, wait_for

POINTS = {
    "before the row": None,
    "before the bytes": State.FAILED,
    "in mid-bytes": State.FAILED,
    "in mid-part": State.FAILED,
    "before the mark": State.FAILED,
    "before the message": State.DONE,
    "after the message": State.DONE,
}
UPLOAD_LEASE = 3.0  # the busy stage's


@pytest.fixture(scope="module")
def big(clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video that is uploaded in three parts."""
    path = tmp_path_factory.mktemp("big") / "big.mp4"
    path.write_bytes(clip.read_bytes() + bytes(40 * 1024**2))
    return path


def kill_producer(stage: Stage, point: str, file: Path, *key: str) -> str | None:
    """Run a producer into its death; returns the job's id. A key is that of its submit."""
    killed = subprocess.run(
        [sys.executable, HERE / "killed_producer.py", point, file, *key],
        env=stage.environment(),
        cwd=HERE.parents[1],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert killed.returncode == -9, f"it was not killed: {killed.returncode} {killed.stderr[-2000:]}"
    return killed.stdout.strip() or None


@pytest.fixture(scope="module")
def killed(busy: Stage, photo: Path, big: Path) -> dict[str, tuple[str | None, float]]:
    """A producer killed at each point: the job's id, and the time of the death."""

    def kill(point: str) -> tuple[str | None, float]:
        return kill_producer(busy, point, big if point == "in mid-part" else photo), time.time()

    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        return dict(zip(POINTS, pool.map(kill, POINTS), strict=True))


@pytest.mark.parametrize("point", POINTS)
def test_beat_sends_or_destroys_what_a_dead_producer_left(
    busy: Stage, killed: dict[str, tuple[str | None, float]], point: str
):
    job_id, died = killed[point]
    if job_id is None:
        assert POINTS[point] is None
        assert f"owner of {point}" not in busy.dump()
        return
    assert POINTS[point] is not None
    job = busy.wait_final(job_id)
    assert job.state is POINTS[point]
    assert job.finished_at is not None
    # One period more than the rule says, for a machine that is slow.
    assert job.finished_at.timestamp() - died < UPLOAD_LEASE + 2 * queues.PERIODIC["jobs.resend"] + 10
    if job.state is State.FAILED:
        assert job.error == "upload_abandoned"
        busy.wait_gone(job_id, f"owner of {point}")
    else:
        wait_for("the input's end", lambda: len(busy.objects(job_id)) == 1, seconds=20)
        assert busy.objects(job_id)[0].startswith("result/")


@pytest.mark.parametrize("point", ["in mid-bytes", "in mid-part", "before the mark"])
def test_bytes_of_a_dead_producer_stay_until_its_lease_is_over_and_no_longer(
    idle: Stage, photo: Path, big: Path, point: str
):
    job_id = kill_producer(idle, point, big if point == "in mid-part" else photo)
    assert job_id is not None
    outbox.resend(idle.runtime)
    assert idle.job(job_id).state is State.UPLOADING
    # Of a single request that broke off, the store keeps nothing.
    assert len(idle.objects(job_id)) == (0 if point == "in mid-bytes" else 1)

    lapse(idle)
    outbox.resend(idle.runtime)
    assert (idle.job(job_id).state, idle.job(job_id).error) == (State.FAILED, "upload_abandoned")
    assert idle.objects(job_id) == []
    assert "consent-killed" not in idle.dump()


def test_two_minutes_are_enough_with_every_setting_allowed():
    slowest = Settings.model_fields["upload_lease"].metadata
    longest = max(bound.le for bound in slowest if hasattr(bound, "le"))
    assert Settings.model_fields["upload_lease"].default <= longest
    assert longest + 2 * queues.PERIODIC["jobs.resend"] <= 120
    assert outbox.LOST_SECONDS + 2 * queues.PERIODIC["jobs.resend"] <= 120


def lapse(stage: Stage) -> None:
    """Let all leases of uploads be over, and those of who writes their bytes."""
    with stage.engine.begin() as connection:
        for table in (JOBS, ASSETS):
            over = table.c.lease_until.is_not(None)
            connection.execute(sa.update(table).where(over).values(lease_until=clock.after(-1)))
