"""scripts/services: what can be checked without starting servers; all other tests use the servers themselves."""

import importlib
import json
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"


@pytest.fixture
def processes(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    return importlib.import_module("services_lib.processes")


@pytest.fixture
def service(processes):
    return importlib.import_module("services_lib.service")


def call(*arguments):
    return subprocess.run(
        [sys.executable, SCRIPTS / "services", *arguments], capture_output=True, text=True, check=False
    )


def test_status_of_an_empty_folder(tmp_path):
    answer = call("status", "--json", "--root", str(tmp_path))
    assert (answer.returncode, json.loads(answer.stdout)) == (1, {})


def test_down_where_nothing_was_started_touches_nothing(tmp_path):
    (tmp_path / "mine").write_text("stays")
    assert call("down", "--purge", "--root", str(tmp_path)).returncode == 0
    assert (tmp_path / "mine").read_text() == "stays"


def test_purge_leaves_what_is_not_ours(tmp_path):
    (tmp_path / "mine").write_text("stays")
    (tmp_path / "state.json").write_text(json.dumps({"id": "mayflytest0000"}))
    assert call("down", "--purge", "--root", str(tmp_path)).returncode == 0
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_wrong_usage():
    assert call("sideways").returncode == 2


def test_stop_finds_children_of_other_sessions_and_nothing_else(processes, tmp_path):
    def sleeper(mark):
        command = ["sh", "-c", "setsid sleep 600 & trap '' TERM; wait; sleep 600"]
        env = processes.environment(mark, tmp_path)
        return processes.spawn(command, env=env, log=tmp_path / "log", cwd=tmp_path)

    ours, other = sleeper("mayflytest-a"), sleeper("mayflytest-b")
    end = time.monotonic() + 30
    while len(processes.marked("mayflytest-a")) < 2 and time.monotonic() < end:
        time.sleep(0.01)
    processes.stop("mayflytest-a", patience=0.2)
    assert ours.wait() == -signal.SIGKILL
    assert not processes.marked("mayflytest-a")
    assert other.poll() is None
    processes.stop("mayflytest-b", patience=0)
    other.wait()


def test_a_tool_that_fails_shows_its_last_lines(processes, tmp_path):
    env = processes.environment("mayflytest-c", tmp_path)
    with pytest.raises(processes.Failed, match="no room left"):
        processes.run(["sh", "-c", "echo no room left; exit 4"], env=env, log=tmp_path / "log", cwd=tmp_path)


def test_taken_ports_are_seen_and_avoided(processes):
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert not processes.port_is_free(server.getsockname()[1])
    first = processes.free_port(set())
    assert first in processes.PORTS
    assert processes.free_port({first}) != first


def test_state_is_private_and_stays(service, tmp_path):
    state = service.State(tmp_path)
    assert state.once("secret", "one") == "one"
    assert service.State(tmp_path).once("secret", "two") == "one"
    assert state.file.stat().st_mode & 0o777 == 0o600


def test_a_port_taken_between_choosing_and_starting_is_replaced(processes, service, tmp_path):
    class Unlucky(service.Service):
        name = "unlucky"
        attempts: list[int] = []  # noqa: RUF012
        thief = None

        def launch(self):
            self.attempts.append(self.ports["main"])
            if len(self.attempts) == 1:
                Unlucky.thief = socket.create_server(("127.0.0.1", self.ports["main"]))
                raise processes.Failed("address already in use")

        def installed(self):
            return True

        def answers(self):
            return True

        def urls(self):
            return {}

    state = service.State(tmp_path)
    state.once("id", "mayflytest1111")
    Unlucky(state).start()
    Unlucky.thief.close()
    assert len(set(Unlucky.attempts)) == 2
