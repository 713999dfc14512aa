"""Two workers on one machine, of one user and without any setting, work side by side."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mayfly.db.states import State
from tests.integration.stage import Stage, opened, wait_for


@pytest.fixture
def stage(servers: dict[str, str], tmp_path: Path) -> Iterator[Stage]:
    """A stage of its own."""
    with opened(servers, tmp_path) as stage:
        yield stage


def test_two_workers_work_side_by_side(stage: Stage, photo: Path) -> None:
    workers = [stage.start("worker", "--allow-cpu", "--videos=0") for _ in range(2)]
    wait_for("two consumers", lambda: stage.consumers("cpu.photo") == 2, seconds=240, pause=0.5)
    assert sorted(path.name for path in stage.scratch.glob("worker-*") if path.is_dir()) == ["worker-1", "worker-2"]
    # Each takes one, for neither can take both.
    jobs = [stage.queue("sleep", photo, seconds=3) for _ in range(2)]
    found = [stage.wait_final(job) for job in jobs]
    assert [job.state for job in found] == [State.DONE] * 2
    holders = {holder for job in jobs for _, _, holder in stage.attempts(job)}
    assert len(holders) == 2
    for worker in workers:
        assert worker.stop() == 0
        assert "RESOURCE_LOCKED" not in worker.text
        assert "ended (" not in worker.text, "a service died"
    assert not [path for path in stage.scratch.glob("worker-*") if path.is_dir()]
