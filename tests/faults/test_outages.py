"""Store, database and broker go away under load: no job fails, none stands still, and none has used up an attempt."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mayfly.db.states import State
from tests.faults.conftest import Lines, behind_proxies
from tests.integration.stage import wait_for

SHORT_SECONDS = 8.0  # longer than every retry of a library
RETURN_SECONDS = 15.0  # within which all goes on
WORK_SECONDS = 30.0  # for what was queued, on a busy machine


@pytest.fixture(scope="module")
def working(servers: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lines]:
    """A worker and a beat behind proxies."""
    with behind_proxies(servers, tmp_path_factory.mktemp("outages"), lease="6") as found:
        found.stage.start("beat")
        found.stage.start_worker()
        yield found


def unfinished(lines: Lines, jobs: list[str]) -> list[str]:
    found = [lines.stage.job(job) for job in jobs]
    for job in found:
        assert job.state not in (State.FAILED, State.CANCELLED), job
    return [job.state for job in found if not job.state.final]


def survive(lines: Lines, what: str, seconds: float, photo: Path, clip: Path) -> None:
    """Work at all times: what ran when the server went, what waited, and what came meanwhile."""
    stage, proxy = lines.stage, lines.proxies[what]
    jobs = [stage.queue("sleep", photo, seconds=1.5) for _ in range(3)]
    jobs += [stage.queue("pass-through", clip), stage.queue("pass-through", photo)]
    stage.wait_running(jobs[0])
    proxy.away()
    end = time.monotonic() + seconds
    jobs += [stage.queue("pass-through", photo) for _ in range(3)]
    while time.monotonic() < end:
        time.sleep(0.5)
        unfinished(lines, jobs)
    proxy.back()
    returned = time.monotonic()
    before = unfinished(lines, jobs)
    wait_for("something to go on", lambda: len(unfinished(lines, jobs)) < max(1, len(before)), seconds=RETURN_SECONDS)
    wait_for("the end of all", lambda: not unfinished(lines, jobs), seconds=RETURN_SECONDS + WORK_SECONDS)
    print(f"{what} away for {seconds:.0f} s: all {len(jobs)} done {time.monotonic() - returned:.1f} s after its return")
    assert [stage.job(job).tries for job in jobs] == [1] * len(jobs)
    wait_for("the inputs' end", lambda: len([key for job in jobs for key in stage.objects(job)]) == len(jobs))


@pytest.mark.parametrize("what", ["store", "database", "broker"])
def test_a_server_that_is_away_fails_no_job(working: Lines, photo: Path, clip: Path, what: str):
    survive(working, what, SHORT_SECONDS, photo, clip)


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seconds", [30.0, 120.0, 600.0])
@pytest.mark.parametrize("what", ["store", "database", "broker"])
def test_a_server_that_is_away_for_long_fails_no_job(
    working: Lines, photo: Path, clip: Path, what: str, seconds: float
):
    survive(working, what, seconds, photo, clip)
