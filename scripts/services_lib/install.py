"""Installs missing servers from Debian's or Ubuntu's packages, without starting the system's own services."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

POLICY = Path("/usr/sbin/policy-rc.d")
# They would start at the next boot: the packages enable them.
SYSTEM_SERVICES = (
    "rabbitmq-server.service",
    "postgresql.service",
    "epmd.socket",
    "epmd.service",
    "ceph.target",
    "ceph-crash.service",
)


def possible() -> bool:
    """Whether this process may install packages: root, and apt."""
    return os.getuid() == 0 and shutil.which("apt-get") is not None


def install(packages: Sequence[str]) -> bool:
    """Install the packages without questions; returns whether apt succeeded."""
    quiet = {"DEBIAN_FRONTEND": "noninteractive", "NEEDRESTART_SUSPEND": "1", "LC_ALL": "C.UTF-8"}
    apt = ["apt-get", "-qq", "-o", "DPkg::Lock::Timeout=300", "-o", "Dpkg::Options::=--force-confold"]
    before = {service for service in SYSTEM_SERVICES if _enabled(service)}
    with _no_service_starts():
        for command in (["update"], ["install", "-y", "--no-install-recommends", *packages]):
            ended = subprocess.run(
                [*apt, *command], env=os.environ | quiet, stdin=subprocess.DEVNULL, stdout=sys.stderr, check=False
            )
    for service in SYSTEM_SERVICES:
        if service not in before and _enabled(service):
            subprocess.run(["systemctl", "disable", service], capture_output=True, check=False)
    return ended.returncode == 0


def _enabled(service: str) -> bool:
    if not shutil.which("systemctl"):
        return False
    return subprocess.run(["systemctl", "is-enabled", service], capture_output=True, check=False).returncode == 0


@contextmanager
def _no_service_starts() -> Iterator[None]:
    """A policy that forbids packages to start services, unless the machine has a policy of its own."""
    if POLICY.exists():
        yield
        return
    POLICY.write_text("#!/bin/sh\nexit 101\n")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink(missing_ok=True)
