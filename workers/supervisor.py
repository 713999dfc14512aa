"""`mayfly worker`: starts a machine's services, restarts what dies, and stops them gently."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
import types

from workers.plan import Service

log = logging.getLogger(__name__)

ENVIRONMENT = {
    # Celery stops gently on SIGQUIT alone; SIGTERM is what everybody sends.
    "REMAP_SIGTERM": "SIGQUIT",
    # Torch's threads spin but shortly while they wait: sleeping at once they wake late, and spinning for long they take
    # the cores from ffmpeg and from each other.
    "GOMP_SPINCOUNT": "1000",
}
RESTART_SECONDS = 2.0  # a service that dies at once is not started more often than this
STOP_SECONDS = 60.0  # over Celery's soft shutdown; then the whole group is killed


class Supervisor:
    """Owns the processes of the services; each group of services is one process group."""

    def __init__(self, services: list[Service], *, threads: int) -> None:
        self.services = services
        self.threads = threads
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._groups: dict[str, int] = {}
        self._stopping = False

    def run(self) -> None:
        """Run until SIGTERM or SIGINT."""
        previous = {number: signal.signal(number, self._on_signal) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            while not self._stopping:
                for service in self.services:
                    process = self._processes.get(service.name)
                    if process is not None and process.poll() is None:
                        continue
                    if process is not None:
                        log.error("service %s ended with %s; it is started again", service.name, process.returncode)
                        time.sleep(RESTART_SECONDS)
                    if not self._stopping:
                        self._start(service)
                time.sleep(0.2)
        finally:
            self._stop()
            for number, handler in previous.items():
                signal.signal(number, handler)

    def _start(self, service: Service) -> None:
        command = [
            *(sys.executable, "-m", "workers.service", service.name),
            f"--queues={','.join(service.queues)}",
            f"--concurrency={service.concurrency}",
            f"--device={service.device}",
            f"--threads={self.threads}",
        ]
        environment = ENVIRONMENT | os.environ | dict(service.environment)
        leader = self._groups.get(service.group, 0)
        try:
            process = subprocess.Popen(command, env=environment, process_group=leader)
        except PermissionError:
            # The group's leader has died and been reaped, and the group with it.
            process = subprocess.Popen(command, env=environment, process_group=0)
            leader = 0
        if not leader:
            self._groups[service.group] = process.pid
        self._processes[service.name] = process

    def _on_signal(self, _number: int, _frame: types.FrameType | None) -> None:
        self._stopping = True

    def _stop(self) -> None:
        for process in self._processes.values():
            if process.poll() is None:
                process.terminate()
        end = time.monotonic() + STOP_SECONDS
        for process in self._processes.values():
            try:
                process.wait(max(0.0, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                log.error("a service did not stop in %d s and is killed", STOP_SECONDS)
        for leader in set(self._groups.values()):
            try:
                os.killpg(leader, signal.SIGKILL)
            except ProcessLookupError:
                continue
