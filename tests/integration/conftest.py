"""The stages that integration tests share: one with a worker and two beats, one where nobody works."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest

from tests import clock, rows
from tests.integration.stage import Process, Stage, opened

LIMITS = {"max_image_bytes": "1000000", "max_pixels": "1000000", "max_frames": "600", "max_seconds": "30"}


@pytest.fixture(scope="session")
def busy(servers: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A stage with a worker and two beats, short leases and small limits."""
    folder = tmp_path_factory.mktemp("busy")
    with opened(servers, folder, lease="6", upload_lease="3", retry_delay="0.2", **LIMITS) as stage:
        for _ in range(2):
            stage.start("beat")
        stage.start_worker()
        yield stage


@pytest.fixture(scope="session")
def worker(busy: Stage) -> Process:
    """The worker of the busy stage."""
    return next(process for process in busy.processes if process.log.name.startswith("worker"))


@pytest.fixture(scope="session")
def overdue(busy: Stage) -> str:
    """A job on the busy stage whose upload is due in a second."""
    changes = {"effect": "pass-through", "parameters": {}, "owner": "owner-of-the-overdue", "consent": None}
    # Else the outbox gives the upload up before the sweep finds it.
    job, asset = rows.create(busy.engine, due_at=clock.after(1), lease=600, **changes)
    assert asset is not None and asset.key is not None
    busy.store.put(asset.key, io.BytesIO(b"bytes"), 5)
    rows.set_asset(busy.engine, asset.id, lease_until=clock.after(-1))
    return str(job.id)


@pytest.fixture(autouse=True)
def _overdue_early(request: pytest.FixtureRequest) -> None:
    """Make the overdue job with the stage, so that the test that waits for the sweep need not wait long."""
    if "busy" in request.fixturenames:
        request.getfixturevalue("overdue")


@pytest.fixture(scope="session")
def idle(servers: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A stage with servers and no process."""
    with opened(servers, tmp_path_factory.mktemp("idle")) as stage:
        yield stage


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Show the logs of a stage's processes when a test on it fails."""
    report = yield
    if report.failed and call.when != "teardown":
        for stage in getattr(item, "funcargs", {}).values():
            for process in stage.processes if isinstance(stage, Stage) else ():
                report.sections.append((process.log.name, process.text[-6000:]))
    return report
