"""RabbitMQ with its management plugin, as a private node with a private epmd."""

from __future__ import annotations

import base64
import http.client
import secrets
import shutil
import socket
from pathlib import Path

from services_lib import processes
from services_lib.service import Service, write_private

NAME = "mayfly"
# Debian's program on the PATH is a wrapper that insists on user rabbitmq.
SCRIPT = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")


class RabbitMQ(Service):
    name = "broker"
    packages = ("rabbitmq-server",)
    port_names = ("main", "admin", "distribution", "epmd")

    def installed(self) -> bool:
        return bool(_server() and shutil.which("epmd"))

    def launch(self) -> None:
        self._configure()
        env = self.env | {
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(self.ports["epmd"]),
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq"),
            "RABBITMQ_DIST_PORT": str(self.ports["distribution"]),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "plugins"),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_LOG_BASE": str(self.folder),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "mnesia"),
            "RABBITMQ_NODENAME": f"{self.state.values['id']}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.ports["main"]),
            # No busy waiting: the machine is shared with the workers under test.
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1} "
            "+sbwt none +sbwtdcpu none +sbwtdio none",
        }
        # Left to itself the node starts an epmd that nobody owns.
        port = str(self.ports["epmd"])
        epmd = processes.spawn(["epmd", "-port", port, "-address", "127.0.0.1"], env=env, log=self.log, cwd=self.folder)
        processes.wait_until(lambda: _listens(int(port)), processes=[epmd], log=self.log, seconds=10)
        server = processes.spawn([_server() or SCRIPT], env=env, log=self.log, cwd=self.folder)
        processes.wait_until(self.answers, processes=[epmd, server], log=self.log, seconds=90)

    def answers(self) -> bool:
        return bool(self.ports) and _speaks_amqp(self.ports["main"]) and self._admin_answers()

    def urls(self) -> dict[str, str]:
        user = f"{NAME}:{self.secret}"
        return {
            "MAYFLY_BROKER_URL": f"amqp://{user}@{self.address}/{NAME}",
            "MAYFLY_BROKER_ADMIN_URL": f"http://{user}@127.0.0.1:{self.ports['admin']}",
        }

    def _configure(self) -> None:
        cookie = self.folder / ".erlang.cookie"
        if not cookie.exists():
            write_private(cookie, secrets.token_hex(24))
            cookie.chmod(0o400)
        (self.folder / "plugins").write_text("[rabbitmq_management].\n")
        lines = (
            f"default_user = {NAME}",
            f"default_pass = {self.secret}",
            f"default_vhost = {NAME}",
            "default_user_tags.administrator = true",
            f"listeners.tcp.default = 127.0.0.1:{self.ports['main']}",
            "management.tcp.ip = 127.0.0.1",
            f"management.tcp.port = {self.ports['admin']}",
            "log.console.level = warning",
            # The default log of quorum queues takes 512 MB of memory and disk before it is cut.
            "raft.wal_max_size_bytes = 67108864",
        )
        write_private(self.folder / "rabbitmq.conf", "\n".join(lines) + "\n")

    def _admin_answers(self) -> bool:
        token = base64.b64encode(f"{NAME}:{self.secret}".encode()).decode()
        connection = http.client.HTTPConnection("127.0.0.1", self.ports["admin"], timeout=5)
        try:
            connection.request("GET", "/api/whoami", headers={"Authorization": f"Basic {token}"})
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


def _server() -> Path | None:
    if SCRIPT.exists():
        return SCRIPT
    found = shutil.which("rabbitmq-server")
    return Path(found) if found else None


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def _speaks_amqp(port: int) -> bool:
    """Whether the server replies to AMQP 0-9-1's opening with a method frame (connection.start)."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=3) as connection:
            connection.sendall(b"AMQP\x00\x00\x09\x01")
            return connection.recv(1) == b"\x01"
    except OSError:
        return False
