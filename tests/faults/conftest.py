"""What fault tests share: stages whose processes reach each server through a proxy."""

from __future__ import annotations

import contextlib
import dataclasses
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.proxy import Proxy
from tests.integration.stage import Stage, opened

NAMES = {"broker": "MAYFLY_BROKER_URL", "database": "MAYFLY_DATABASE_URL", "store": "MAYFLY_STORAGE_URL"}


@dataclasses.dataclass(frozen=True)
class Lines:
    """A stage and the lines by which its processes reach the servers; the test itself reaches them directly."""

    stage: Stage
    proxies: dict[str, Proxy]

    def settings(self) -> dict[str, str]:
        """The addresses through the proxies, by the settings' names."""
        return {name.removeprefix("MAYFLY_").lower(): self.stage.variables[name] for name in NAMES.values()}


@contextlib.contextmanager
def behind_proxies(servers: dict[str, str], folder: Path, **variables: str) -> Iterator[Lines]:
    """A stage without processes; those that are started on it are behind the proxies."""
    with contextlib.ExitStack() as stack:
        stage = stack.enter_context(opened(servers, folder, **variables))
        proxies = {}
        for what, name in NAMES.items():
            proxy = stack.enter_context(Proxy.before(stage.variables[name], segment_bytes=None))
            stage.variables[name] = proxy.through(stage.variables[name])
            proxies[what] = proxy
        yield Lines(stage, proxies)
        # Processes end while they can say so.
        for proxy in proxies.values():
            proxy.back()
        for process in stage.processes:
            process.kill()


@pytest.fixture(scope="session")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A hundred frames, of which `sleep` makes as many times its seconds."""
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    command = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=160x90:rate=25:duration=4"]
    subprocess.run([*command, "-pix_fmt", "yuv420p", str(path)], check=True, timeout=60)
    return path


@pytest.fixture
def lines(servers: dict[str, str], tmp_path: Path) -> Iterator[Lines]:
    """A stage of one test behind proxies."""
    with behind_proxies(servers, tmp_path) as found:
        yield found
