"""PostgreSQL of scripts/services keeps what was committed, however it ends: a server is started here and killed."""

import importlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import sqlalchemy as sa

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
DURABLE = ("fsync", "synchronous_commit", "full_page_writes")

START = f"""
import sys
from pathlib import Path
sys.path.insert(0, {str(SCRIPTS)!r})
from services_lib import postgres, service
state = service.State(Path(sys.argv[1]))
state.once("id", sys.argv[2])
postgres.Postgres(state).start()
"""


@pytest.fixture
def postgres(monkeypatch, tmp_path):
    """A server that was just started, alone; nothing of it is left."""
    monkeypatch.syspath_prepend(str(SCRIPTS))
    module, service = (importlib.import_module(f"services_lib.{name}") for name in ("postgres", "service"))
    if not module._programs().exists() and not os.environ.get("CI"):
        pytest.skip("no PostgreSQL on this machine")
    try:
        start(tmp_path)
        yield module.Postgres(service.State(tmp_path))
    finally:
        server = module.Postgres(service.State(tmp_path))
        server.stop(patience=0)
        server.purge()


def start(root):
    """By a process that ends, as scripts/services does; else the server would be this one's child."""
    subprocess.run([sys.executable, "-c", START, root, f"mayflytest{os.getpid()}"], check=True, timeout=120)


def ask(server, *statements):
    """Run statements, each committed by itself; returns the first value of the last one."""
    engine = sa.create_engine(server.urls()["MAYFLY_DATABASE_URL"], isolation_level="AUTOCOMMIT")
    try:
        with engine.connect() as connection:
            for statement in statements:
                result = connection.execute(sa.text(statement))
            return result.scalar() if result.returns_rows else None
    finally:
        engine.dispose()


def kill(server):
    """SIGKILL for every process of a server at once, which writes nothing any more."""
    processes = importlib.import_module("services_lib.processes")
    family = [psutil.Process(pid) for pid in processes.marked(server.mark)]
    assert family
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for one in family:
            one.send_signal(number)
    psutil.wait_procs(family, timeout=30)


def test_a_killed_server_keeps_what_was_committed(postgres):
    assert {name: ask(postgres, f"show {name}") for name in DURABLE} == dict.fromkeys(DURABLE, "on")
    ask(postgres, "create table kept (number int)", "checkpoint")
    processes = importlib.import_module("services_lib.processes")
    (writer,) = [
        one for one in map(psutil.Process, processes.marked(postgres.mark)) if "walwriter" in " ".join(one.cmdline())
    ]
    # Else this one may write in time what nobody waited for.
    writer.suspend()
    ask(postgres, "insert into kept values (7)")
    kill(postgres)
    assert not postgres.answers()
    start(postgres.state.root)
    assert ask(postgres, "select number from kept") == 7
