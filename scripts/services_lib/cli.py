"""The commands of scripts/services: up, down, status."""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import secrets
import shlex
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from pathlib import Path

from services_lib import install, processes
from services_lib.ceph import Ceph
from services_lib.minio import Minio
from services_lib.postgres import Postgres
from services_lib.rabbitmq import RabbitMQ
from services_lib.service import Service, State

REPOSITORY = Path(__file__).resolve().parents[2]


def main() -> int:
    """Run one command; returns 0 done, 1 a server does not run, 2 wrong usage, 3 a program is missing."""
    arguments = _parse()
    root = Path(arguments.root or os.environ.get("MAYFLY_SERVICES_DIR") or REPOSITORY / ".services").resolve()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        if arguments.command == "up":
            return _up(root, may_install=not arguments.no_install)
        if arguments.command == "down":
            return _down(root, purge=arguments.purge)
        return _status(root, as_json=arguments.json)
    except processes.Failed as failure:
        _say(str(failure))
        return 1
    except KeyboardInterrupt:
        return 130


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/services", description="Real servers for tests and trials.")
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="start what does not answer, wait, and print the addresses")
    up.add_argument("--no-install", action="store_true", help="never install packages, even as root")
    down = commands.add_parser("down", help="stop everything; data, ports and passwords stay")
    down.add_argument("--purge", action="store_true", help="remove the data, ports and passwords too")
    status = commands.add_parser("status", help="exit code 0 only when all three answer")
    status.add_argument("--json", action="store_true", help="one JSON object on standard output")
    for command in (up, down, status):
        command.add_argument("--root", help="folder of data and logs (MAYFLY_SERVICES_DIR, else .services)")
    return parser.parse_args()


def _services(state: State) -> list[Service]:
    storage = state.values.get("storage")
    if storage is None:
        storage = "minio" if shutil.which("minio") else "ceph"
    return [RabbitMQ(state), Postgres(state), Minio(state) if storage == "minio" else Ceph(state)]


def _up(root: Path, *, may_install: bool) -> int:
    begun = time.monotonic()
    with _locked(root):
        state = State(root)
        state.once("id", f"mayfly{secrets.token_hex(4)}")
        services = _services(state)
        missing = [service for service in services if not service.installed()]
        if missing and not _install(missing, may_install=may_install):
            return 3
        state.once("storage", "minio" if isinstance(services[2], Minio) else "ceph")
        with ThreadPoolExecutor() as pool:
            answers = list(pool.map(lambda service: service.answers(), services))
        todo = [service for service, running in zip(services, answers, strict=True) if not running]
        if not _start(todo):
            return 1
        if todo:
            names = ", ".join(service.name for service in todo)
            _say(f"{names}: running after {time.monotonic() - begun:.1f} s, data and logs in {root}")
        for service in services:
            for variable, url in service.urls().items():
                print(f"export {variable}={shlex.quote(url)}")
    return 0


def _install(missing: list[Service], *, may_install: bool) -> bool:
    packages = [package for service in missing for package in service.packages]
    if may_install and install.possible():
        _say(f"installing {' '.join(packages)}")
        if install.install(packages) and all(service.installed() for service in missing):
            return True
    _say(f"not installed: as root, apt-get install --no-install-recommends {' '.join(packages)}")
    return False


def _start(services: list[Service]) -> bool:
    """Start the services side by side; on Ctrl-C stop those again. Returns whether all of them answer."""
    with ThreadPoolExecutor(max_workers=max(1, len(services))) as pool:
        started = {pool.submit(service.start): service for service in services}
        try:
            wait(started)
        except KeyboardInterrupt:
            processes.cancelled.set()
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            waiting = set(started)
            while waiting:
                for service in services:
                    service.stop(patience=0)
                waiting = wait(waiting, timeout=0.1).not_done
            for service in services:
                service.stop(patience=0)
            _say("interrupted; what was being started is stopped")
            raise
    for future, service in started.items():
        failure = future.exception()
        if failure:
            _say(f"{service.name} did not start: {failure}\n    see {service.log}")
    return not any(future.exception() for future in started)


def _down(root: Path, *, purge: bool) -> int:
    if not (root / "state.json").exists():
        _say("nothing to stop")
        return 0
    with _locked(root):
        services = _services(State(root))
        with ThreadPoolExecutor() as pool:
            # Data that is removed anyway need not be closed properly.
            list(pool.map(lambda service: service.stop(patience=0 if purge else 10), services))
        if purge:
            for service in services:
                service.purge()
            (root / "state.json").unlink()
            (root / "lock").unlink()
            with suppress(OSError):  # the folder may hold what is not ours
                root.rmdir()
    _say("stopped" + (", data removed" if purge else ""))
    return 0


def _status(root: Path, *, as_json: bool) -> int:
    state = State(root)
    services = _services(state) if "id" in state.values else []
    with ThreadPoolExecutor() as pool:
        answers = list(pool.map(lambda service: service.answers(), services))
    report = {
        service.name: {"running": running, "address": service.address, "data": str(service.folder)}
        for service, running in zip(services, answers, strict=True)
    }
    if as_json:
        print(json.dumps(report))
    else:
        for name, row in report.items():
            print(f"{name:9} {'running' if row['running'] else 'stopped':8} {row['address']:16} {row['data']}")
        if not report:
            _say(f"nothing was started in {root}")
    return 0 if report and all(answers) else 1


@contextmanager
def _locked(root: Path) -> Iterator[None]:
    """One command at a time in a folder; `down --purge` removes the lock's file, so check that it still stands."""
    path = root / "lock"
    while True:
        root.mkdir(mode=0o711, parents=True, exist_ok=True)
        with path.open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if path.exists() and path.stat().st_ino == os.fstat(lock.fileno()).st_ino:
                yield
                return


def _say(text: str) -> None:
    print(f"services: {text}", file=sys.stderr)
