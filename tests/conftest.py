"""Fixtures that every test may use: real servers, an embedded home, real media, and processes of the command line."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
import urllib.parse
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import urllib3
from PIL import Image
from xdist.scheduler.loadfile import LoadFileScheduling

from mayfly.db import engine as engines
from mayfly.db import migrate, tables
from mayfly.settings import Settings
from tests import databases

ROOT = Path(__file__).parents[1]
SERVICES = ROOT / "scripts" / "services"

# Tests of this folder share stages with workers, which are costly to start, but for the files that have their own.
SHARED = "tests/integration/"
APART = {
    "tests/integration/test_broker.py",
    "tests/integration/test_segments.py",
    "tests/integration/test_worker_life.py",
}

# Files of these folders mostly wait.
WAITING = ("tests/faults/", "tests/integration/", "tests/mayfly/", "tests/scripts/", "tests/workers/")

# A developer's own servers are no place for tests; what tests use is made below. Where trial servers run is no address.
for _name in [name for name in os.environ if name.startswith("MAYFLY_") and name != "MAYFLY_SERVICES_DIR"]:
    del os.environ[_name]
os.environ["MAYFLY_EFFECT_MODULES"] = "benchmarks.effects"
# For the processes that tests start: what is installed has no benchmarks, and may be of another checkout.
os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
# Where the tests run in the background, a shell has them ignore Ctrl-C, and what they start would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
if "PYTEST_XDIST_WORKER" in os.environ:
    # There is one process of tests a core. Whatever uses OpenMP reads this when it is imported, in children too.
    os.environ["OMP_NUM_THREADS"] = "1"


def _scope(nodeid: str) -> str:
    """What one process of tests runs in one piece: a file, or all files that share stages."""
    file = nodeid.partition("::")[0]
    return SHARED if file.startswith(SHARED) and file not in APART else file


class _Scheduler(LoadFileScheduling):
    """Gives each process whole files, and those that share stages as one, so that what is shared is made once."""

    def _split_scope(self, nodeid: str) -> str:
        return _scope(nodeid)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Alternate files that wait for servers with files that compute, for side by side they cost the time of one."""
    scopes: dict[str, list[pytest.Item]] = {}
    for item in items:
        scopes.setdefault(_scope(item.nodeid), []).append(item)
    waiting = sorted((scope for scope in scopes if scope.startswith(WAITING)), key=lambda scope: scope != SHARED)
    computing = [scope for scope in scopes if scope not in waiting]
    # Each has its place in its own row, from 0 to 1.
    places = {scope: number / len(row) for row in (waiting, computing) for number, scope in enumerate(row)}
    items[:] = [item for scope in sorted(places, key=lambda scope: places[scope]) for item in scopes[scope]]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadFileScheduling | None:
    """Spread tests over processes; marks for groups do not reach xdist's own scheduler with pytest 9.2."""
    return _Scheduler(config, log) if config.getvalue("dist") == "loadfile" else None


def _up() -> dict[str, str]:
    """Start the real servers, or find them running, and return their addresses."""
    started = subprocess.run([sys.executable, SERVICES, "up"], capture_output=True, text=True, timeout=180, check=False)
    if started.returncode != 0:
        reason = f"scripts/services up failed ({started.returncode}): {started.stderr.strip()[-400:]}"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    lines = [line.removeprefix("export ") for line in started.stdout.splitlines() if line.startswith("export ")]
    return {name: shlex.split(value)[0] for name, _, value in (line.partition("=") for line in lines)}


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """MAYFLY_… variables of RabbitMQ, PostgreSQL and S3: a virtual host, a database and a bucket of this run alone."""
    addresses = _up()
    name = f"test-{uuid.uuid4().hex[:12]}"
    broker = urllib.parse.urlsplit(addresses["MAYFLY_BROKER_URL"])
    bucket = urllib.parse.urlsplit(addresses["MAYFLY_STORAGE_URL"])
    admin = urllib3.util.parse_url(addresses["MAYFLY_BROKER_ADMIN_URL"])
    user, _, password = (urllib.parse.unquote(part) for part in (admin.auth or "").partition(":"))
    headers = urllib3.make_headers(basic_auth=f"{user}:{password}") | {"content-type": "application/json"}
    api = f"http://{admin.host}:{admin.port}/api"
    rights = b'{"configure": ".*", "write": ".*", "read": ".*"}'
    assert urllib3.request("PUT", f"{api}/vhosts/{name}", headers=headers).status < 300
    assert urllib3.request("PUT", f"{api}/permissions/{name}/{user}", headers=headers, body=rights).status < 300
    with databases.created(addresses["MAYFLY_DATABASE_URL"], name) as database:
        yield addresses | {
            "MAYFLY_BROKER_URL": broker._replace(path=f"/{name}").geturl(),
            "MAYFLY_DATABASE_URL": database,
            "MAYFLY_STORAGE_URL": bucket._replace(path=f"/{name}").geturl(),
            "MAYFLY_EFFECT_MODULES": "benchmarks.effects",
            "MAYFLY_SCRATCH": str(tmp_path_factory.mktemp("scratch")),
        }
    urllib3.request("DELETE", f"{api}/vhosts/{name}", headers=headers)


@pytest.fixture
def full(servers: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings of the full set-up on the real servers; the environment names them as well."""
    for name, value in servers.items():
        monkeypatch.setenv(name, value)
    return Settings()


@pytest.fixture
def embedded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings of the embedded set-up in a folder of this test."""
    monkeypatch.setenv("MAYFLY_HOME", str(tmp_path / "home"))
    return Settings()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database of each kind."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'test.db'}"
        return
    with databases.created(request.getfixturevalue("servers")["MAYFLY_DATABASE_URL"]) as address:
        yield address


@pytest.fixture(scope="session")
def postgresql(servers: dict[str, str]) -> Iterator[sa.Engine]:
    """A migrated database of this run on PostgreSQL; `engine` empties its tables for each test."""
    with databases.created(servers["MAYFLY_DATABASE_URL"]) as address:
        opened = engines.connect(address)
        migrate.ensure(opened)
        yield opened
        opened.dispose()


@pytest.fixture(scope="session")
def sqlite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sa.Engine]:
    """A migrated database of this run on SQLite; `engine` empties its tables for each test."""
    opened = engines.connect(f"sqlite:///{tmp_path_factory.mktemp('sqlite') / 'test.db'}")
    migrate.ensure(opened)
    yield opened
    opened.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest) -> sa.Engine:
    """A migrated database of each kind, with empty tables."""
    opened: sa.Engine = request.getfixturevalue(request.param)
    with opened.begin() as connection:
        for table in reversed(tables.Base.metadata.sorted_tables):
            connection.execute(sa.delete(table))
    return opened


@pytest.fixture
def change(engine: sa.Engine) -> Callable[..., None]:
    """Set columns of a job behind everybody's back."""

    def write(job_id: uuid.UUID, **values: Any) -> None:
        with engine.begin() as connection:
            connection.execute(sa.update(tables.JOBS).where(tables.JOBS.c.id == job_id).values(**values))

    return write


@pytest.fixture(scope="session")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real portrait, 512×512, as JPEG."""
    from skimage import data

    path = tmp_path_factory.mktemp("photo") / "portrait.jpg"
    Image.fromarray(data.astronaut()).save(path, quality=92)
    return path


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds of moving pictures with sound, 320×180 at 25 frames a second, as MP4."""
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    command = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25:duration=2"]
    command += ["-f", "lavfi", "-i", "sine=frequency=440:duration=2", "-c:v", "libx264", "-preset", "ultrafast"]
    command += ["-pix_fmt", "yuv420p", "-c:a", "aac", "-shortest", str(path)]
    subprocess.run(command, check=True, timeout=60)
    return path


def mayfly() -> str:
    """The path of the `mayfly` command of this environment."""
    found = shutil.which("mayfly", path=str(Path(sys.executable).parent))
    assert found is not None, "install the project first: make test does"
    return found
