"""A RabbitMQ of a test's own, whose alarms may go off: others share the one of `servers`."""

from __future__ import annotations

import contextlib
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.conftest import ROOT

sys.path.append(str(ROOT / "scripts"))

from services_lib.rabbitmq import SCRIPT, RabbitMQ
from services_lib.service import State

START = """
import pathlib, sys
sys.path.append(sys.argv[1])
from services_lib.rabbitmq import RabbitMQ
from services_lib.service import State
RabbitMQ(State(pathlib.Path(sys.argv[2]))).start()
"""


class OwnBroker:
    """A running node and its addresses as variables."""

    def __init__(self, rabbit: RabbitMQ) -> None:
        self._rabbit = rabbit
        self.variables = rabbit.urls()

    def control(self, *arguments: str) -> None:
        """Run rabbitmqctl."""
        program = SCRIPT.with_name("rabbitmqctl")
        environment = self._rabbit.env | {
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(self._rabbit.ports["epmd"]),
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_NODENAME": f"{self._rabbit.state.values['id']}@localhost",
        }
        command = [str(program) if program.exists() else shutil.which("rabbitmqctl") or "rabbitmqctl", *arguments]
        subprocess.run(command, env=environment, capture_output=True, timeout=90, check=True)

    @contextlib.contextmanager
    def alarm(self) -> Iterator[None]:
        """While this is entered, the node has no memory to spare and blocks whoever publishes."""
        self.control("set_vm_memory_high_watermark", "absolute", "1MB")
        try:
            yield
        finally:
            self.control("set_vm_memory_high_watermark", "0.4")


@contextlib.contextmanager
def started(folder: Path) -> Iterator[OwnBroker]:
    """A node with its data in a folder."""
    State(folder).once("id", f"mayfly{secrets.token_hex(4)}")
    # In a process that ends: the node outlives the one that starts it.
    command = [sys.executable, "-c", START, str(ROOT / "scripts"), str(folder)]
    subprocess.run(command, capture_output=True, timeout=180, check=True)
    rabbit = RabbitMQ(State(folder))
    try:
        yield OwnBroker(rabbit)
    finally:
        rabbit.stop()
