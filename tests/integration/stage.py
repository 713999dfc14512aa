"""A stage for integration tests: a virtual host, a database and a bucket of its own, and real processes on them."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.parse
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import sqlalchemy as sa
import urllib3

from mayfly import Client
from mayfly.db import assets, jobs
from mayfly.db import engine as engines
from mayfly.db.rows import AssetRow, JobRow
from mayfly.db.tables import ATTEMPTS, JOBS
from mayfly.media import storage
from mayfly.media.storage.s3 import S3Store
from mayfly.settings import Settings
from mayfly.tasks import runtime
from mayfly.tasks.app import create
from mayfly.tasks.messages import broker, queues
from mayfly.workers import plan, scratch
from tests import databases, other_project

HERE, ROOT = Path(__file__).parent, Path(__file__).parents[2]

EFFECTS = "benchmarks.effects,stage_effects"
PATIENCE = 90.0  # seconds that anything may take on a busy machine before a test gives up


def wait_for(what: str, condition: Callable[[], Any], *, seconds: float = PATIENCE, pause: float = 0.1) -> Any:
    """Wait until a condition returns something true, and return that."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, f"waited {seconds:.0f} s for: {what}"
        time.sleep(pause)
    return found


def ends(stdout: str, count: int) -> list[dict[str, Any]]:
    """The last line of each file of `submit --json`, in the order of the `count` files: a file that was refused has one
    line, a job has a line when it is queued, and with `--wait` another when it has ended.
    """
    lines = [json.loads(line) for line in stdout.splitlines()]
    last = {line["job"]: line for line in lines}
    return [last[line["job"]] if line["job"] else line for line in lines[:count]]


class Process:
    """A running `mayfly` command with its log in a file."""

    def __init__(self, arguments: list[str], environment: dict[str, str], log: Path, folder: Path) -> None:
        self.log = log
        with log.open("ab") as file:
            self.popen = subprocess.Popen(
                [shutil.which("mayfly", path=str(Path(sys.executable).parent)) or "mayfly", *arguments],
                env=environment,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                start_new_session=True,
            )

    @property
    def text(self) -> str:
        """What it has logged so far."""
        return self.log.read_text(errors="replace")

    def family(self) -> list[psutil.Process]:
        """The process and all its descendants."""
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(self.popen.pid)
            return [process, *process.children(recursive=True)]
        return []

    def names(self) -> list[str]:
        """The names of the programs of the family."""
        found = []
        for process in self.family():
            with contextlib.suppress(psutil.NoSuchProcess):
                found.append(process.name())
        return found

    def kill(self) -> None:
        """SIGKILL for the whole family, as when a machine loses its power."""
        for process in self.family():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self.popen.wait(timeout=30)

    def stop(self, *, seconds: float = PATIENCE) -> int:
        """SIGTERM; returns the exit code."""
        family = self.family()
        self.popen.send_signal(signal.SIGTERM)
        try:
            return self.popen.wait(timeout=seconds)
        finally:
            for process in family:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()


class Stage:
    """Servers' rooms that belong to one group of tests, and what tests ask of them."""

    def __init__(self, servers: dict[str, str], folder: Path, **variables: str) -> None:
        self.name = f"stage-{uuid.uuid4().hex[:12]}"
        self.folder = folder
        self.scratch = scratch.own(folder / "scratch")
        # All processes run in another project's folder, with its modules first on their path.
        self.elsewhere = other_project.with_names_of_libraries(folder / "elsewhere")
        self.strangers = other_project.with_our_names(folder / "strangers")
        broker_url = urllib.parse.urlsplit(servers["MAYFLY_BROKER_URL"])._replace(path=f"/{self.name}")
        storage_url = urllib.parse.urlsplit(servers["MAYFLY_STORAGE_URL"])._replace(path=f"/{self.name}")
        database = sa.make_url(servers["MAYFLY_DATABASE_URL"])
        self._server = servers["MAYFLY_DATABASE_URL"]
        self._rooms = contextlib.ExitStack()
        self._admin = urllib3.util.parse_url(servers["MAYFLY_BROKER_ADMIN_URL"])
        self.variables = {
            "MAYFLY_BROKER_URL": broker_url.geturl(),
            "MAYFLY_BROKER_ADMIN_URL": servers["MAYFLY_BROKER_ADMIN_URL"],
            "MAYFLY_DATABASE_URL": database.set(database=self.name).render_as_string(hide_password=False),
            "MAYFLY_STORAGE_URL": storage_url.geturl(),
            "MAYFLY_EFFECT_MODULES": EFFECTS,
            "MAYFLY_SCRATCH": str(self.scratch.parent),
        } | {f"MAYFLY_{name.upper()}": value for name, value in variables.items()}
        self.processes: list[Process] = []

    def open(self) -> None:
        """Make the rooms and a producer of this process, which knows the benchmarks' effects."""
        user = urllib.parse.unquote((self._admin.auth or "").partition(":")[0])
        assert self.manage("PUT", f"vhosts/{self.name}").status < 300
        rights = {"configure": ".*", "write": ".*", "read": ".*"}
        assert self.manage("PUT", f"permissions/{self.name}/{user}", rights).status < 300
        self._rooms.enter_context(databases.created(self._server, self.name, durable=True))
        # The effects of the tests are known to the processes alone.
        given = self.variables | {"MAYFLY_EFFECT_MODULES": "benchmarks.effects"}
        self.settings = Settings(**{name.removeprefix("MAYFLY_").lower(): value for name, value in given.items()})
        before = runtime._current
        self.runtime = runtime.start(self.settings, create(self.settings), scratch=self.folder / "own")
        runtime._current = before
        self.engine = self.runtime.engine
        store = storage.connect(self.settings.resolved_storage_url)
        assert isinstance(store, S3Store)
        self.store = store
        self.client = Client(self.settings)

    def close(self) -> None:
        """Kill what still runs and remove the rooms."""
        for process in self.processes:
            process.kill()
        self.client.close()
        self.engine.dispose()
        self._rooms.close()
        self.manage("DELETE", f"vhosts/{self.name}")
        for key in self.objects():
            self.store.destroy(key)
        self.store.client.remove_bucket(self.name)

    def manage(self, method: str, path: str, body: object = None) -> urllib3.BaseHTTPResponse:
        """A request to RabbitMQ's management."""
        name, _, password = (urllib.parse.unquote(part) for part in (self._admin.auth or "").partition(":"))
        headers = urllib3.make_headers(basic_auth=f"{name}:{password}") | {"content-type": "application/json"}
        url = f"http://{self._admin.host}:{self._admin.port}/api/{path}"
        return urllib3.request(method, url, headers=headers, body=json.dumps(body) if body else None, timeout=10)

    # Processes.

    def environment(self, **variables: str) -> dict[str, str]:
        """Of a process on this stage; a machine's GPUs are not what is tested."""
        path = os.pathsep.join(str(place) for place in (self.strangers, HERE, ROOT))
        common = {"PYTHONPATH": path, "CUDA_VISIBLE_DEVICES": "", "COLUMNS": "400"}
        own = {f"MAYFLY_{name.upper()}": value for name, value in variables.items()}
        return os.environ | self.variables | common | own

    def run(self, *arguments: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a `mayfly` command to its end; `variables` are settings."""
        return subprocess.run(
            [shutil.which("mayfly", path=str(Path(sys.executable).parent)) or "mayfly", *map(str, arguments)],
            env=self.environment(**variables),
            cwd=self.elsewhere,
            capture_output=True,
            text=True,
            timeout=2 * PATIENCE,
            check=False,
        )

    def submit(self, effect: str, *arguments: str | Path, **variables: str) -> dict[str, Any]:
        """Submit one file by the command line and return its last line of JSON, with its exit code."""
        finished = self.run("submit", effect, *arguments, "--json", **variables)
        lines = finished.stdout.splitlines()
        assert len({json.loads(line)["job"] for line in lines}) == 1, (
            f"exit code {finished.returncode}: {finished.stderr[-2000:]}"
        )
        return json.loads(lines[-1]) | {"code": finished.returncode, "stderr": finished.stderr}

    def queue(self, effect: str, file: Path, owner: str | None = None, **parameters: object) -> str:
        """Submit one file from this process, which is quicker, and return the job's id."""
        return self.client.submit(file, effect, parameters, owner=owner).id

    def start(self, *arguments: str, **variables: str) -> Process:
        """Start a `mayfly` command."""
        log = self.folder / f"{arguments[0]}-{len(self.processes)}.log"
        process = Process(list(arguments), self.environment(**variables), log, self.elsewhere)
        self.processes.append(process)
        return process

    def start_worker(self, *, photos: int = 1, videos: int = 1, **variables: str) -> Process:
        """Start `mayfly worker --allow-cpu` and wait until each of its queues has a consumer."""
        counts = [f"--photos={photos}", f"--videos={videos}"]
        process = self.start("worker", "--allow-cpu", *counts, **variables)
        services = plan.services([], allow_cpu=True, photos=photos, videos=videos)
        wanted = {name for service in services for name in service.queues}

        def ready() -> bool:
            assert process.popen.poll() is None, process.text[-4000:]
            return all(self.consumers(name) for name in wanted)

        wait_for("a consumer on each queue", ready, seconds=240, pause=0.5)
        return process

    # What is where.

    def consumers(self, queue: str) -> int:
        """How many consume from a queue; 0 for one that does not exist."""
        try:
            with broker.channel(self.settings) as channel:
                return channel.queue_declare(queue, passive=True).method.consumer_count
        except broker.pika.exceptions.ChannelClosedByBroker:
            return 0

    def depths(self) -> dict[str, int]:
        """Waiting messages by queue, without what beat sends."""
        return {name: count for name, count in broker.depths(self.settings).items() if name != queues.MAINTENANCE}

    def objects(self, part: str = "") -> list[str]:
        """The keys that hold `part`, unfinished multipart uploads included."""
        return [found.key for found in self.store.objects() if part in found.key]

    def scratch_files(self) -> list[Path]:
        """What lies in the folders of the services' children."""
        return list(self.scratch.glob("worker-*/*/*/*"))

    def job(self, job_id: str) -> JobRow:
        """A job's row."""
        return jobs.get(self.engine, uuid.UUID(job_id))

    def assets(self, job_id: str) -> list[AssetRow]:
        """The rows of a job's assets."""
        return assets.of_job(self.engine, uuid.UUID(job_id))

    def attempts(self, job_id: str) -> list[tuple[str, str | None, str]]:
        """Stage, outcome and holder of a job's attempts, in their order."""
        columns = (ATTEMPTS.c.stage, ATTEMPTS.c.outcome, ATTEMPTS.c.holder)
        query = sa.select(*columns).where(ATTEMPTS.c.job_id == uuid.UUID(job_id)).order_by(ATTEMPTS.c.number)
        with engines.reading(self.engine) as connection:
            return [(row[0], row[1], row[2]) for row in connection.execute(query)]

    def count_jobs(self) -> int:
        """How many jobs there are."""
        with engines.reading(self.engine) as connection:
            return connection.execute(sa.select(sa.func.count()).select_from(JOBS)).scalar_one()

    def sent(self, job_id: str) -> bool:
        """Whether the broker has confirmed a job's message."""
        with engines.reading(self.engine) as connection:
            query = sa.select(JOBS.c.sent_at).where(JOBS.c.id == uuid.UUID(job_id))
            return connection.execute(query).scalar_one() is not None

    def dump(self) -> str:
        """Every value of every table, as text."""
        tables = sa.MetaData()
        tables.reflect(self.engine)
        with engines.reading(self.engine) as connection:
            return "\n".join(
                repr(tuple(row)) for table in tables.tables.values() for row in connection.execute(sa.select(table))
            )

    def wait_final(self, job_id: str, *, seconds: float = PATIENCE) -> JobRow:
        """Wait for a job's final state."""

        def final() -> JobRow | None:
            found = self.job(job_id)
            return found if found.state.final else None

        return wait_for("the job's end", final, seconds=seconds)

    def wait_running(self, job_id: str) -> JobRow:
        """Wait until a worker is at the effect of a job."""

        def running() -> JobRow | None:
            found = self.job(job_id)
            assert not found.state.final, found
            return found if found.state == "running" and found.stage == "effect" else None

        return wait_for("the effect's start", running, pause=0.05)

    def wait_gone(self, job_id: str, *private: str) -> None:
        """Wait until nothing is stored of a job but its row without what is private."""
        wait_for("an empty bucket", lambda: not self.objects(job_id), seconds=20)
        wait_for("blank fields", lambda: not any(word in self.dump() for word in private), seconds=20)

    def holder_pid(self, job_id: str) -> int:
        """The process that runs a job."""
        return int((self.job(job_id).holder or "").split(":")[2])


@contextlib.contextmanager
def opened(servers: dict[str, str], folder: Path, **variables: str) -> Iterator[Stage]:
    """A stage that is closed at the end; `variables` are settings of all its processes."""
    stage = Stage(servers, folder, **variables)
    stage.open()
    try:
        yield stage
    finally:
        stage.close()
