"""Takes network, files and other processes away from what decodes strangers' bytes, as far as the kernel allows.

Linux offers two ways that need no privilege: Landlock for files, and seccomp for system calls. Both bind the thread
that asks for them and whatever it starts, and neither can be undone; so a child asks for itself
(mayfly.media.children.starter). A kernel may lack either, so each is tried, and what holds is said. No library is
needed but C's.
"""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import enum
import functools
import os
import stat
import struct
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from mayfly.media.children import seccomp, starter


class Kind(enum.IntFlag):
    """What confines a process."""

    NONE = 0
    FILES = 1
    """Landlock: no file but those that are named, and no process outside."""
    CALLS = 2
    """seccomp: no socket, no further process, no look into others, nothing that only an administrator needs."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Access:
    """What a child may open besides the system's programs and libraries.

    Attributes:
        reads: files and folders.
        writes: files, which may be read and replaced as well, but not removed; in a folder, any file.
        devices: whether it may use the machine's devices, for an encoder of a GPU's.
        forks: whether it may start processes, which nothing may that sees a stranger's bytes.
    """

    reads: Sequence[Path] = ()
    writes: Sequence[Path] = ()
    devices: bool = False
    forks: bool = False


class _File(enum.IntFlag):
    EXECUTE = 1 << 0
    WRITE = 1 << 1
    READ = 1 << 2
    LIST = 1 << 3
    MAKE = 1 << 8
    TRUNCATE = 1 << 14
    CONTROL = 1 << 15


_READ = _File.READ | _File.LIST
_RUN = _READ | _File.EXECUTE
_WRITE = _READ | _File.WRITE | _File.MAKE | _File.TRUNCATE
# What a rule for a file, and not a folder, may say.
_OF_FILES = _File.EXECUTE | _File.WRITE | _File.READ | _File.TRUNCATE | _File.CONTROL
_ALL_FILES = {1: 13, 2: 14, 3: 15, 4: 15}  # by Landlock's version, how many rights it knows; from 5 on 16
_NETWORK = 0b11  # to bind and to connect
_SCOPES = 0b11  # abstract sockets and signals

_PROGRAMS = ("/usr", "/lib", "/lib32", "/lib64", "/bin", "/opt", "/nix/store")
_FACTS = ("/etc/ld.so.cache", "/etc/localtime", "/proc/cpuinfo", "/proc/meminfo", "/sys/devices/system")
_PLAIN_DEVICES = ("/dev/null", "/dev/zero", "/dev/urandom", "/dev/random")
_DRIVERS = ("/proc", "/sys", "/etc")

_CREATE_RULESET, _ADD_RULE = 444, 445


def offered() -> Kind:
    """What this kernel offers; asked of it each time, without confining anybody."""
    found = Kind.FILES if _landlock_version() else Kind.NONE
    return found | (Kind.CALLS if seccomp.offered() else Kind.NONE)


def describe(kind: Kind) -> str:
    """In words, for `mayfly doctor` and a log."""
    if kind == Kind.FILES | Kind.CALLS:
        return "decoders reach no network and no file but their own"
    if kind is Kind.FILES:
        return "decoders reach no file but their own; the kernel (seccomp) does not keep them from every network"
    if kind is Kind.CALLS:
        return "decoders reach no network; the kernel (Landlock) does not keep videos' from files"
    return "decoders have limits of memory and time alone; the kernel offers neither Landlock nor seccomp"


@contextlib.contextmanager
def prepared(access: Access, *, program: str) -> Iterator[tuple[int, bytes]]:
    """What mayfly.media.children.starter confines itself by: a ruleset's descriptor, negative without Landlock, and a
    filter of calls.

    Args:
        access: what may be opened.
        program: what is to be started, wherever it lies.
    """
    ruleset = _ruleset(access, program)
    try:
        yield ruleset, seccomp.program(alone=not access.forks, devices=access.devices)
    finally:
        if ruleset >= 0:
            os.close(ruleset)


def enter(*, final: bool = False) -> Kind:
    """Confine the calling thread and all that it starts from now on, for ever: it opens no file and starts no program.

    Args:
        final: whether no process may be started and no limit changed either.

    Returns:
        What holds.
    """
    holds = Kind.NONE
    _libc().prctl(starter.NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    ruleset = _ruleset(None, None)
    if ruleset >= 0:
        # What the filter takes away, Landlock needs.
        if _call(starter.RESTRICT_FILES, ruleset, 0) == 0:
            holds |= Kind.FILES
        os.close(ruleset)
    calls = seccomp.program(closed=True, alone=final, final=final)
    if calls and starter.filter_calls(_libc(), calls):
        holds |= Kind.CALLS
    return holds


# Landlock


def _ruleset(access: Access | None, program: str | None) -> int:
    """The descriptor of the rules; negative where there is no Landlock. Without access, nothing may be opened."""
    version = _landlock_version()
    if not version:
        return -1
    handled = (1 << _ALL_FILES.get(version, 16)) - 1
    attributes = struct.pack("=QQQ", handled, _NETWORK, _SCOPES)
    if access is not None and access.devices:
        attributes = struct.pack("=QQQ", handled, _NETWORK, 0)
    # Each version of the kernel takes so much of it.
    attributes = attributes[: 24 if version >= 6 else 16 if version >= 4 else 8]
    ruleset = _call(_CREATE_RULESET, attributes, len(attributes), 0)
    if ruleset >= 0:
        for path, rights in _rules(access, program) if access is not None else ():
            _allow(ruleset, path, rights & handled)
    return ruleset


def _rules(access: Access, program: str | None) -> Iterable[tuple[str | Path, int]]:
    yield from ((path, _RUN) for path in _PROGRAMS)
    yield from ((path, _READ) for path in _FACTS)
    yield from ((path, _READ | _File.WRITE) for path in _PLAIN_DEVICES)
    if program is not None:
        # A program outside the system's folders has its libraries beside it.
        yield from ((place, _RUN) for place in _home(Path(program).resolve()))
    yield from ((path, _RUN) for path in os.environ.get("LD_LIBRARY_PATH", "").split(":") if path.startswith("/"))
    yield from ((path, _READ) for path in access.reads)
    yield from ((path, _WRITE) for path in access.writes)
    if access.devices:
        yield from ((path, _READ) for path in _DRIVERS)
        yield "/dev", _READ | _File.WRITE | _File.CONTROL


def _home(program: Path) -> list[Path]:
    within_system = any(program.is_relative_to(place) for place in _PROGRAMS)
    if within_system:
        return []
    folder = program.parent
    return [program, *([folder.parent / "lib", folder] if folder.name == "bin" else [])]


def _allow(ruleset: int, path: str | Path, rights: int) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        # What is not there cannot be opened either.
        return
    try:
        if not stat.S_ISDIR(os.fstat(place).st_mode):
            rights &= _OF_FILES
        rule = struct.pack("=Qi", rights, place)
        _call(_ADD_RULE, ruleset, 1, rule, 0)
    finally:
        os.close(place)


def _landlock_version() -> int:
    if sys.platform != "linux":
        return 0
    return max(0, _call(_CREATE_RULESET, None, 0, 1))


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _call(number: int, *arguments: int | bytes | None) -> int:
    """A system call; -1 where it fails."""
    words = [ctypes.c_long(word) if isinstance(word, int) else word for word in arguments]
    return int(_libc().syscall(ctypes.c_long(number), *words))
