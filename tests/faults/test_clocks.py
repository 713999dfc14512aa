"""A machine whose clock is ten minutes off steals nothing, destroys nothing early, and promises nothing longer."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from mayfly.db import claims, jobs
from mayfly.db.states import AssetState, Retention, Stage, State
from mayfly.db.tables import ASSETS
from mayfly.purge.policy import HOUR
from tests import clock
from tests.integration.stage import Stage as Servers
from tests.integration.stage import opened

ROOT = Path(__file__).parents[2]
LIBRARY = next(iter(Path("/usr/lib").glob("*/faketime/libfaketime.so.1")), None)
SKEW_SECONDS = 600


@pytest.fixture(scope="module")
def servers_of_one(servers: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    with opened(servers, tmp_path_factory.mktemp("clocks")) as stage:
        yield stage


def skewed(stage: Servers, seconds: int, job: str) -> None:
    """Run `skewed.py` on a machine whose clock is off by so many seconds."""
    assert LIBRARY is not None, "install Debian's package libfaketime; scripts/setup does"
    fooled = {"LD_PRELOAD": str(LIBRARY), "FAKETIME": f"{seconds:+d}s", "DONT_FAKE_MONOTONIC": "1"}
    ran = subprocess.run(
        [sys.executable, "-m", "tests.faults.skewed", str(stage.folder / "skewed"), job],
        env=stage.environment(effect_modules="benchmarks.effects") | fooled | {"PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    assert abs(float(ran.stdout) - time.time() - seconds) < 60, "the process was not fooled"


@pytest.mark.parametrize("seconds", [SKEW_SECONDS, -SKEW_SECONDS])
def test_a_wrong_clock_decides_nothing(servers_of_one: Servers, photo: Path, seconds: int):
    stage = servers_of_one
    running, waiting, young, mine, lapsed = (stage.queue("pass-through", photo) for _ in range(5))
    ids = {name: uuid.UUID(job) for name, job in (("running", running), ("waiting", waiting), ("lapsed", lapsed))}
    take = {"stage": Stage.EFFECT, "holder": "elsewhere"}
    assert claims.take(stage.engine, ids["running"], **take, lease=60)
    claim = claims.take(stage.engine, ids["waiting"], **take, lease=60)
    assert claim and claims.wait(stage.engine, claim, delay=120, outcome="x")
    assert claims.take(stage.engine, ids["lapsed"], **take, lease=-5)
    with stage.engine.begin() as connection:
        # Due in five minutes: a clock that is fast by ten would be past it.
        due = sa.update(ASSETS).where(ASSETS.c.job_id == uuid.UUID(young))
        connection.execute(due.values(due_at=clock.after(300)))

    skewed(stage, seconds, mine)

    assert stage.job(running).state is State.RUNNING
    assert stage.job(running).attempt == 1
    assert stage.job(waiting).state is State.WAITING
    assert stage.job(lapsed).state is State.QUEUED, "a lease that is over is over for a slow machine as well"
    (uploaded,) = stage.assets(young)
    assert uploaded.state is AssetState.STORED
    # What it wrote is right by the database's clock.
    job = stage.job(mine)
    assert job.state is State.WAITING
    assert 0 < (job.retry_at - clock.now()).total_seconds() <= 30
    made = {asset.retention: asset for asset in stage.assets(mine)}
    source = made[Retention.INPUT]
    assert made[Retention.INTERMEDIATE].due_at == source.due_at
    assert abs(made[Retention.RESULT].due_at - clock.now() - 14.5 * 24 * HOUR).total_seconds() < 60
    assert abs((made[Retention.RESULT].created_at - clock.now()).total_seconds()) < 60
    for name in (running, waiting, young, mine, lapsed):
        jobs.end(stage.engine, uuid.UUID(name), to=State.CANCELLED)


@pytest.mark.parametrize("seconds", [SKEW_SECONDS, -SKEW_SECONDS])
def test_a_producers_wrong_clock_moves_no_deadline(
    servers_of_one: Servers, photo: Path, monkeypatch: pytest.MonkeyPatch, seconds: int
):
    stage = servers_of_one
    fooled = {"LD_PRELOAD": str(LIBRARY), "FAKETIME": f"{seconds:+d}s", "DONT_FAKE_MONOTONIC": "1"}
    for name, value in fooled.items():
        monkeypatch.setitem(os.environ, name, value)
    found = stage.submit("pass-through", photo)
    assert found["code"] == 0, found["stderr"]
    (uploaded,) = stage.assets(found["job"])
    assert abs((uploaded.created_at - clock.now()).total_seconds()) < 60
    assert abs((uploaded.deadline_at - clock.now() - 24 * HOUR).total_seconds()) < 60
    jobs.end(stage.engine, uuid.UUID(found["job"]), to=State.CANCELLED)


def test_nobody_else_asks_a_machine_for_the_time():
    """Rows are written and compared by mayfly.db.clock; what a file calls for itself is monotonic."""
    wall = {"datetime.now", "datetime.utcnow", "datetime.today", "time.time", "datetime.datetime.now"}
    asked = []
    for room in ("db", "tasks", "purge", "workers", "mayfly"):
        for path in sorted((ROOT / room).rglob("*.py")):
            calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
            asked += [path.relative_to(ROOT).as_posix() for call in calls if ast.unparse(call.func) in wall]
    # SQLite's clock is its machine's; what is left of a job is shown to people, who look at their own.
    assert set(asked) == {"db/clock.py", "mayfly/client/job.py"}
