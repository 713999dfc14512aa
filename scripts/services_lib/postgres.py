"""PostgreSQL on a private port, with a private cluster."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

from services_lib import processes
from services_lib.service import Service, State, write_private

NAME = "mayfly"


class Postgres(Service):
    name = "database"
    packages = ("postgresql",)
    stop_signal = signal.SIGINT  # fast shutdown: does not wait for clients

    def __init__(self, state: State) -> None:
        super().__init__(state)
        self.user = "postgres" if os.getuid() == 0 else None  # the server refuses to run as root
        self.folder = Path(state.values.get("database.folder", self.folder))

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def created(self) -> Path:
        """Stands when the cluster is complete; without it a half-made one is made anew."""
        return self.folder / "created"

    def installed(self) -> bool:
        return _programs().exists()

    def launch(self) -> None:
        self._give_folder()
        if not self.created.exists():
            self._initialise()
        # As docs/operations.md asks for: trials kill servers, and what was committed must be there afterwards.
        durable = ("fsync=on", "synchronous_commit=on", "full_page_writes=on")
        settings = (
            "listen_addresses=127.0.0.1",
            f"port={self.ports['main']}",
            "unix_socket_directories=",
            f"cluster_name={self.mark}",
            "max_connections=200",
            *durable,
        )
        options = [part for setting in settings for part in ("-c", setting)]
        (self.data / "postmaster.pid").unlink(missing_ok=True)  # of a killed server; ours are stopped by now
        server = processes.spawn(
            [_programs() / "postgres", "-D", self.data, *options],
            env=self.env,
            log=self.log,
            cwd=self.folder,
            user=self.user,
        )
        query = ["-d", "postgres", "-c", "select 1"]
        processes.wait_until(lambda: self._psql(*query), processes=[server], log=self.log, seconds=60)
        if not self.created.exists():
            if not self._psql("-d", "postgres", "-c", f"create database {NAME}"):
                raise processes.Failed(f"create database failed\n{processes.tail(self.log)}")
            self.created.touch()

    def answers(self) -> bool:
        return bool(self.ports) and self.created.exists() and self._psql("-d", NAME, "-c", "select 1")

    def urls(self) -> dict[str, str]:
        return {"MAYFLY_DATABASE_URL": f"postgresql+psycopg://{NAME}:{self.secret}@{self.address}/{NAME}"}

    def _give_folder(self) -> None:
        """Make the folder the server's own, elsewhere when its user cannot reach it (a clone in /root)."""
        if not self.user:
            return
        owner = pwd.getpwnam(self.user)
        os.chown(self.folder, owner.pw_uid, owner.pw_gid)
        reached = subprocess.run(
            ["test", "-w", self.folder], cwd="/", user=self.user, group=self.user, extra_groups=[], check=False
        )
        if reached.returncode:
            self.folder.rmdir()
            self.folder = Path(tempfile.mkdtemp(prefix="mayfly-database-", dir="/var/tmp"))
            os.chown(self.folder, owner.pw_uid, owner.pw_gid)
            self.state.put("database.folder", str(self.folder))

    def _initialise(self) -> None:
        shutil.rmtree(self.data, ignore_errors=True)
        password = self.folder / "password"
        write_private(password, self.secret)
        if self.user:
            shutil.chown(password, self.user)
        command = [str(_programs() / "initdb"), "-D", str(self.data), "-U", NAME, f"--pwfile={password}"]
        options = ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync"]
        try:
            processes.run([*command, *options], env=self.env, log=self.log, cwd=self.folder, user=self.user)
        finally:
            password.unlink(missing_ok=True)

    def _psql(self, *arguments: str) -> bool:
        env = {**self.env, "PGPASSWORD": self.secret, "PGCONNECT_TIMEOUT": "3"}
        host = ["-h", "127.0.0.1", "-p", str(self.ports["main"]), "-U", NAME]
        command = [str(_programs() / "psql"), "-X", "-q", *host, *arguments]
        with contextlib.suppress(subprocess.TimeoutExpired):
            return (
                subprocess.run(command, env=env, cwd="/", capture_output=True, timeout=5, check=False).returncode == 0
            )
        return False


def _programs() -> Path:
    """The folder of the newest installed server's programs; it does not exist where none is installed."""
    found = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    if found:
        return max(found, key=lambda path: int(path.parent.name))
    initdb = shutil.which("initdb")
    return Path(initdb).resolve().parent if initdb else Path("/usr/lib/postgresql/none")
