"""The answer to any COMMIT may be lost: whatever an attempt writes is safe to repeat, and safe to doubt.

A long video goes its whole way through attempts of this process, again and again, and each time another commit's answer
is lost on the line between them and PostgreSQL.
"""

from __future__ import annotations

import io
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

# First: mayfly.tasks.stages.effect makes a task of each effect that is registered when it is imported.
from benchmarks.effects import PassThrough
from mayfly.db import assets, jobs, segments
from mayfly.db import engine as engines
from mayfly.db.states import AssetState, Retention, Stage, State
from mayfly.purge import sweeper
from mayfly.settings import Settings
from mayfly.tasks.attempts import execute, outage, pace
from mayfly.tasks.runtime import Runtime
from mayfly.tasks.stages import effect, ingest, video
from tests import rows
from tests.faults.proxy import Proxy
from tests.media import clips
from tests.tasks.conftest import Sender, opened

COMMITS = 17  # more than there are; a test beyond the last one would prove nothing, and fails


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four seconds with a keyframe each second."""
    x264 = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "25")
    return clips.make(tmp_path_factory.mktemp("film") / "film.mp4", *x264, seconds=4)


@pytest.fixture
def line(postgresql: sa.Engine) -> Iterator[Proxy]:
    """The line to PostgreSQL."""
    with Proxy.before(postgresql.url.render_as_string(hide_password=False), segment_bytes=None) as proxy:
        yield proxy


@pytest.fixture
def rt(line: Proxy, postgresql: sa.Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Runtime]:
    """A runtime that reaches its database by the line, and in which everything is long."""
    monkeypatch.setattr(pace, "PROBE_SECONDS", 0.0)
    monkeypatch.setattr(outage, "FIRST_SECONDS", 0.01)
    plan = video.pieces.plan
    monkeypatch.setattr(
        video.pieces, "plan", lambda packets, *, frames, before, hidden: plan(packets, frames=50, before=0, hidden=0)
    )
    engine = engines.connect(line.through(postgresql.url.render_as_string(hide_password=False)))
    settings = Settings(home=tmp_path / "home", segment_seconds=1e-6)
    found = opened(settings, engine, tmp_path, Sender(postgresql))
    yield found
    found.close()
    engine.dispose()


def submitted(engine: sa.Engine, rt: Runtime, film: Path) -> uuid.UUID:
    content = film.read_bytes()
    job, asset = rows.create(
        engine, effect=PassThrough.declaration.name, parameters={}, media="video", suffix=".mp4", lease=60
    )
    assert asset is not None and asset.key is not None
    rt.store.put(asset.key, io.BytesIO(content), len(content))
    assert jobs.mark_uploaded(engine, job.id, asset.id, size=len(content))
    return job.id


def deliver(engine: sa.Engine, rt: Runtime, job_id: uuid.UUID) -> None:
    """Give a worker the messages that the table asks for, until the job is in a final state."""
    for _ in range(20):
        job = jobs.get(engine, job_id)
        if job.state.final:
            return
        assert job.state in (State.QUEUED, State.RUNNING), job
        match job.stage:
            case Stage.INGEST:
                execute.stage(rt, job_id, Stage.INGEST, ingest._ingest)
            case Stage.EFFECT:
                execute.stage(rt, job_id, Stage.EFFECT, effect._work)
            case Stage.SEGMENTS:
                with engine.connect() as connection:
                    numbers = [one.number for one in segments.of_job(connection, job_id) if not one.state.final]
                for number in numbers:
                    execute.segment(rt, job_id, number, effect._work_on_segment)
            case Stage.JOIN:
                execute.stage(rt, job_id, Stage.JOIN, video.join)
    pytest.fail(f"it stands still: {jobs.get(engine, job_id)}")


def nth_commit(number: int) -> Callable[[bytes], bool]:
    """Says yes to the so manieth request that commits; from 0."""
    left, lock = [number], threading.Lock()

    def wanted(sent: bytes) -> bool:
        with lock:
            if not sent.endswith(b"COMMIT\x00"):
                return False
            left[0] -= 1
            return left[0] == -1

    return wanted


@pytest.mark.parametrize("number", range(COMMITS))
def test_whichever_answer_is_lost_one_result_is_left(
    postgresql: sa.Engine, rt: Runtime, line: Proxy, film: Path, number: int
):
    job_id = submitted(postgresql, rt, film)
    lost = line.swallow_answer(nth_commit(number))
    deliver(postgresql, rt, job_id)
    rt.close()
    if not lost.is_set():
        # The whole way has fewer commits; the last of them is tried as well.
        assert number > 12
        return
    job = jobs.get(postgresql, job_id)
    assert (job.state, job.error, job.tries) == (State.DONE, None, 1)
    with postgresql.connect() as connection:
        assert [(one.state, one.tries) for one in segments.of_job(connection, job_id)] == [(State.DONE, 1)] * 2
    # What could not be destroyed or recorded at once is due, and the next sweep's.
    sweeper.destroy_due(postgresql, rt.store, job_id)
    (left,) = [asset for asset in assets.of_job(postgresql, job_id) if asset.state is not AssetState.DESTROYED]
    assert (left.retention, left.state) == (Retention.RESULT, AssetState.STORED)
    assert [entry.key for entry in rt.store.objects()] == [left.key]
    receipts = assets.receipts(postgresql, [job_id])
    assert len(receipts) == len({receipt.asset_id for receipt in receipts}) == 1 + 2 + 2
