"""`mayfly worker`: starts a machine's services, restarts what dies, and stops them within seconds."""

from __future__ import annotations

import dataclasses
import logging
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
import types
from pathlib import Path

import psutil

from mayfly.workers import parents, scratch
from mayfly.workers.plan import Service

log = logging.getLogger(__name__)

ENVIRONMENT = {
    # Torch's threads spin but shortly while they wait: sleeping at once they wake late, and spinning for long they take
    # the cores from ffmpeg and from each other.
    "GOMP_SPINCOUNT": "1000",
}
POLL_SECONDS = 0.2
RESTART_SECONDS = 1.0  # before a service that died is started again
EARLY_SECONDS = 10.0  # a service that lives no longer died at once
EARLY_DEATHS = 5  # in a row, after which the pause doubles with each further one
MOST_SECONDS = 60.0
STOP_SECONDS = 6.0  # over mayfly.workers.drain.STOP_SECONDS; then everything is killed
LAST_SECONDS = 2.0  # for helpers of the services, which end by themselves


@dataclasses.dataclass
class _Running:
    """One service: its process, and how its processes before have ended."""

    service: Service
    process: subprocess.Popen[bytes] | None = None
    began: float = 0.0
    early: int = 0
    start_at: float = 0.0


class Supervisor:
    """Owns the processes of the services; each group of services is one process group."""

    def __init__(
        self, services: list[Service], *, threads: int, slot: Path, broker: threading.Event | None = None
    ) -> None:
        """Prepare.

        Args:
            services: what runs.
            threads: of torch, for each child.
            slot: the worker's folder of scratch.
            broker: set once the broker is prepared; until then only light services run. None: it is.
        """
        self.threads = threads
        self.slot = slot
        # Celery's node names must differ between workers, whatever machine or container they are in.
        self.identity = secrets.token_hex(3)
        self._running = [_Running(service) for service in services]
        self._groups: dict[str, int] = {}
        self._broker = broker
        self._stopping = False

    def run(self) -> None:
        """Run until SIGTERM or SIGINT."""
        previous = {number: signal.signal(number, self._on_signal) for number in (signal.SIGTERM, signal.SIGINT)}
        swept = float("-inf")
        try:
            while not self._stopping:
                if time.monotonic() - swept > scratch.SWEEP_SECONDS:
                    scratch.sweep(self.slot.parent)
                    swept = time.monotonic()
                for running in self._running:
                    self._tend(running)
                time.sleep(POLL_SECONDS)
        finally:
            self._stop()
            for number, handler in previous.items():
                signal.signal(number, handler)

    def _tend(self, running: _Running) -> None:
        """Start a service that does not run, if its time has come."""
        now = time.monotonic()
        process = running.process
        if process is not None:
            if process.poll() is None:
                return
            running.process = None
            running.early = running.early + 1 if now - running.began < EARLY_SECONDS else 0
            pause = restart_pause(running.early)
            running.start_at = now + pause
            why = reason(process.returncode)
            log.error("service %s ended (%s); started again in %.0f s", running.service.name, why, pause)
        if self._broker is not None and not (running.service.light or self._broker.is_set()):
            return
        if now >= running.start_at and not self._stopping:
            running.began = now
            running.process = self._start(running.service)

    def _start(self, service: Service) -> subprocess.Popen[bytes]:
        module = "mayfly.workers.maintenance" if service.light else "mayfly.workers.service"
        command = [
            # -P: the folder that a worker is started in may hold anybody's modules, named as those that we import.
            *(sys.executable, "-P", "-m", module, service.name),
            f"--worker={self.identity}",
            f"--supervisor={os.getpid()}",
        ]
        if not service.light:
            command += [
                f"--slot={self.slot}",
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
        return process

    def _on_signal(self, _number: int, _frame: types.FrameType | None) -> None:
        self._stopping = True

    def _stop(self) -> None:
        family = psutil.Process().children(recursive=True)
        processes = [running.process for running in self._running if running.process is not None]
        for process in processes:
            if process.poll() is None:
                process.terminate()
        end = time.monotonic() + STOP_SECONDS
        for process in processes:
            try:
                process.wait(max(0.0, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                log.error("a service did not stop in %.0f s and is killed", STOP_SECONDS)
                process.kill()
                process.wait()
        # Also what was in sessions of its own, and what has lost its parent since.
        for one in psutil.wait_procs(family, timeout=LAST_SECONDS)[1]:
            log.warning("process %d was left behind and is killed", one.pid)
            one.kill()


def restart_pause(early: int) -> float:
    """Seconds before a service is started again that died at once so many times in a row."""
    return (
        RESTART_SECONDS
        if early < EARLY_DEATHS
        else min(RESTART_SECONDS * 2 ** (early - EARLY_DEATHS + 1), MOST_SECONDS)
    )


def reason(code: int) -> str:
    """Why a service ended, by its exit code."""
    if code in (os.EX_OK, parents.EXPLAINED):
        return "it could not work and says why above"
    if code < 0:
        return signal.Signals(-code).name
    return f"exit code {code}"
