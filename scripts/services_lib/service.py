"""What every server has in common: a folder, ports, a secret, and starting again when a port was taken."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import threading
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

from services_lib import processes


class State:
    """What must be the same at the next call: the mark, ports and secrets, in one file that only the owner reads."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.file = root / "state.json"
        self.lock = threading.Lock()
        self.values: dict[str, Any] = json.loads(self.file.read_text()) if self.file.exists() else {}

    def once(self, key: str, value: Any) -> Any:
        """The recorded value of `key`, or `value` from now on."""
        if key not in self.values:
            self.put(key, value)
        return self.values[key]

    def put(self, key: str, value: Any) -> None:
        with self.lock:
            self.values[key] = value
            new = self.file.with_suffix(".new")
            new.unlink(missing_ok=True)
            with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                json.dump(self.values, file, indent=1)
            new.replace(self.file)


class Service(ABC):
    """One server: how to start it, ask it, and reach it."""

    name: str
    packages: tuple[str, ...] = ()
    port_names: tuple[str, ...] = ("main",)
    stop_signal = signal.SIGTERM

    def __init__(self, state: State) -> None:
        self.state = state
        self.mark = f"{state.values['id']}-{self.name}"
        self.folder = state.root / self.name
        self.log = state.root / f"{self.name}.log"

    @abstractmethod
    def installed(self) -> bool:
        """Whether this machine has the server's programs."""

    @abstractmethod
    def launch(self) -> None:
        """Start the processes on `self.ports` and return when they answer; raises Failed."""

    @abstractmethod
    def answers(self) -> bool:
        """Whether the server does real work for our user now; takes a few seconds at most."""

    @abstractmethod
    def urls(self) -> dict[str, str]:
        """The environment variables by which the application finds the server."""

    @property
    def ports(self) -> dict[str, int]:
        ports: dict[str, int] = self.state.values.get(f"{self.name}.ports", {})
        return ports

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.ports['main']}" if self.ports else "-"

    @property
    def secret(self) -> str:
        return str(self.state.once(f"{self.name}.secret", secrets.token_urlsafe(24)))

    @property
    def env(self) -> dict[str, str]:
        return processes.environment(self.mark, self.folder)

    def choose_ports(self) -> None:
        """Keep the recorded ports that are free, so that addresses stay, and choose others for the rest."""
        known = {key: ports for key, ports in self.state.values.items() if key.endswith(".ports")}
        taken = {port for ports in known.values() for port in ports.values()}
        ports = {}
        for name in self.port_names:
            port = self.ports.get(name)
            ports[name] = port if port and processes.port_is_free(port) else processes.free_port(taken)
            taken.add(ports[name])
        self.state.put(f"{self.name}.ports", ports)

    def start(self) -> None:
        """Start the server; another program may take a port between choosing and listening, so try three times."""
        for last in (False, False, True):
            self.stop(patience=0)
            self.choose_ports()
            self.folder.mkdir(mode=0o700, exist_ok=True)
            try:
                self.launch()
                return
            except processes.Failed:
                self.stop(patience=0)
                stolen = any(not processes.port_is_free(port) for port in self.ports.values())
                if last or not stolen or processes.cancelled.is_set():
                    raise

    def stop(self, *, patience: float = 10) -> None:
        processes.stop(self.mark, first=self.stop_signal, patience=patience)

    def purge(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.log.unlink(missing_ok=True)


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner reads."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
