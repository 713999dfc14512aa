"""Takes network, files and other processes away from what decodes strangers' bytes, as far as the kernel allows.

Linux offers two ways that need no privilege: Landlock for files, and seccomp for system calls. Both bind the thread
that asks for them and whatever it starts, and neither can be undone. A kernel may lack either, so each is tried, and
what holds is said. No library is needed but C's.
"""

from __future__ import annotations

import ctypes
import dataclasses
import enum
import errno
import functools
import os
import platform
import socket
import stat
import struct
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path


class Kind(enum.IntFlag):
    """What confines a process."""

    NONE = 0
    FILES = 1
    """Landlock: no file but those that are named, and no process outside."""
    CALLS = 2
    """seccomp: no socket, no look into other processes, nothing that only an administrator needs."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Access:
    """What a child may open besides the system's programs and libraries.

    Attributes:
        reads: files and folders.
        writes: files, which may be read and replaced as well, but not removed; in a folder, any file.
        devices: whether it may use the machine's devices, for an encoder of a GPU's.
    """

    reads: Sequence[Path] = ()
    writes: Sequence[Path] = ()
    devices: bool = False


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

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_PR_SET_NO_NEW_PRIVS, _PR_GET_SECCOMP, _PR_SET_SECCOMP = 38, 21, 22
_FILTER = 2


def offered() -> Kind:
    """What this kernel offers; asked of it each time, without confining anybody."""
    found = Kind.FILES if _landlock_version() else Kind.NONE
    return found | (Kind.CALLS if _machine() is not None and _libc().prctl(_PR_GET_SECCOMP, 0, 0, 0, 0) == 0 else 0)


def describe(kind: Kind) -> str:
    """In words, for `mayfly doctor` and a log."""
    if kind == Kind.FILES | Kind.CALLS:
        return "decoders reach no network and no file but their own"
    if kind is Kind.FILES:
        return "decoders reach no file but their own; the kernel (seccomp) does not keep them from every network"
    if kind is Kind.CALLS:
        return "decoders reach no network; the kernel (Landlock) does not keep videos' from files"
    return "decoders have limits of memory and time alone; the kernel offers neither Landlock nor seccomp"


def enter(access: Access | None, *, program: str | None = None, final: bool = False) -> Kind:
    """Confine the calling thread and all that it starts from now on, for ever.

    Args:
        access: what may be opened. None: nothing at all, not even the system's libraries, so it can start no program.
        program: one that is to be started, wherever it lies.
        final: whether no process may be started, no file opened, and no limit changed either.

    Returns:
        What holds.
    """
    holds = Kind.NONE
    _libc().prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    # What the filter takes away, Landlock needs.
    if _restrict_files(access, program):
        holds |= Kind.FILES
    if _restrict_calls(closed=access is None, final=final, devices=access is not None and access.devices):
        holds |= Kind.CALLS
    return holds


# Landlock


def _restrict_files(access: Access | None, program: str | None) -> bool:
    version = _landlock_version()
    if not version:
        return False
    handled = (1 << _ALL_FILES.get(version, 16)) - 1
    attributes = struct.pack("=QQQ", handled, _NETWORK, _SCOPES)
    if access is not None and access.devices:
        attributes = struct.pack("=QQQ", handled, _NETWORK, 0)
    # Each version of the kernel takes so much of it.
    attributes = attributes[: 24 if version >= 6 else 16 if version >= 4 else 8]
    ruleset = _call(_CREATE_RULESET, attributes, len(attributes), 0)
    if ruleset < 0:
        return False
    try:
        for path, rights in _rules(access, program) if access is not None else ():
            _allow(ruleset, path, rights & handled)
        return _call(_RESTRICT_SELF, ruleset, 0) == 0
    finally:
        os.close(ruleset)


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


# seccomp: a program for the kernel's classic packet filter, which sees a call's number and arguments.


@dataclasses.dataclass(frozen=True)
class _Machine:
    """An architecture by the kernel's number, and its numbers of system calls in the order of _NAMES."""

    audit: int
    calls: dict[str, int]


_REFUSED = [
    "io_uring_setup",
    "pidfd_getfd",
    "pidfd_send_signal",
    "process_vm_readv",
    "process_vm_writev",
    "ptrace",
    "kcmp",
    "bpf",
    "perf_event_open",
    "userfaultfd",
    "keyctl",
    "add_key",
    "request_key",
    "unshare",
    "setns",
    "mount",
    "umount2",
    "pivot_root",
    "chroot",
    "init_module",
    "finit_module",
    "kexec_load",
    "open_by_handle_at",
    "syslog",
    "process_madvise",
]
_CLOSED = ["open", "openat", "openat2", "creat", "execve", "execveat"]
_FINAL = [
    "fork",
    "vfork",
    "clone",
    "clone3",
    "prlimit64",
    "setrlimit",
    "kill",
    "tkill",
    "tgkill",
    "rt_sigqueueinfo",
    "rt_tgsigqueueinfo",
]
_X86 = _numbered(
    "io_uring_setup=425 pidfd_getfd=438 pidfd_send_signal=424 process_vm_readv=310 process_vm_writev=311 "
    "ptrace=101 kcmp=312 bpf=321 perf_event_open=298 userfaultfd=323 keyctl=250 add_key=248 request_key=249 "
    "unshare=272 setns=308 mount=165 umount2=166 pivot_root=155 chroot=161 init_module=175 finit_module=313 "
    "kexec_load=246 open_by_handle_at=304 syslog=103 process_madvise=440 open=2 openat=257 openat2=437 "
    "creat=85 execve=59 execveat=322 fork=57 vfork=58 clone=56 clone3=435 prlimit64=302 setrlimit=160 kill=62 "
    "tkill=200 tgkill=234 rt_sigqueueinfo=129 rt_tgsigqueueinfo=297 socket=41"
)
_ARM = _numbered(
    "io_uring_setup=425 pidfd_getfd=438 pidfd_send_signal=424 process_vm_readv=270 process_vm_writev=271 "
    "ptrace=117 kcmp=272 bpf=280 perf_event_open=241 userfaultfd=282 keyctl=219 add_key=217 request_key=218 "
    "unshare=97 setns=268 mount=40 umount2=39 pivot_root=41 chroot=51 init_module=105 finit_module=273 "
    "kexec_load=104 open_by_handle_at=265 syslog=116 process_madvise=440 openat=56 openat2=437 execve=221 "
    "execveat=281 clone=220 clone3=435 prlimit64=261 setrlimit=164 kill=129 tkill=130 tgkill=131 "
    "rt_sigqueueinfo=138 rt_tgsigqueueinfo=240 socket=198"
)
_MACHINES = {"x86_64": _Machine(0xC000003E, _X86), "aarch64": _Machine(0xC00000B7, _ARM)}

_LOAD, _EQUAL, _AT_LEAST, _MASK, _RETURN = 0x20, 0x15, 0x35, 0x54, 0x06
_ALLOW, _FAIL, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16
_X32 = 0x40000000  # x86-64's other table of numbers
_CLONE_THREAD = 0x00010000


def _restrict_calls(*, closed: bool, final: bool, devices: bool) -> bool:
    machine = _machine()
    if machine is None:
        return False
    program = b"".join(_filter(machine, closed=closed, final=final, devices=devices))
    buffer = ctypes.create_string_buffer(program, len(program))
    head = struct.pack("@HP", len(program) // 8, ctypes.addressof(buffer))
    return bool(_libc().prctl(_PR_SET_SECCOMP, _FILTER, head, 0, 0) == 0)


def _filter(machine: _Machine, *, closed: bool, final: bool, devices: bool) -> Iterable[bytes]:
    """The filter's instructions: a code, how many to skip if so and if not, a number."""
    yield _step(_LOAD, _ARCHITECTURE)
    yield _step(_EQUAL, machine.audit, yes=1)
    yield _step(_RETURN, _KILL)
    yield _step(_LOAD, _NUMBER)
    if machine.audit == _MACHINES["x86_64"].audit:
        yield _step(_AT_LEAST, _X32, no=1)
        yield _step(_RETURN, _FAIL | errno.ENOSYS)
    names = [*_REFUSED, *(_CLOSED if closed else ()), *(_FINAL if final else ())]
    for name in names:
        if name not in machine.calls or name in ("clone", "clone3"):
            continue
        yield _step(_EQUAL, machine.calls[name], no=1)
        yield _step(_RETURN, _FAIL | errno.EPERM)
    if final:
        # Threads are the decoder's own affair, processes are not. Of clone3 the filter cannot see what is asked for;
        # C's library then asks by clone.
        yield _step(_EQUAL, machine.calls["clone3"], no=1)
        yield _step(_RETURN, _FAIL | errno.ENOSYS)
        yield _step(_EQUAL, machine.calls["clone"], no=4)
        yield _step(_LOAD, _FIRST_ARGUMENT)
        yield _step(_MASK, _CLONE_THREAD)
        yield _step(_EQUAL, _CLONE_THREAD, yes=1)
        yield _step(_RETURN, _FAIL | errno.EPERM)
        yield _step(_LOAD, _NUMBER)
    yield _step(_EQUAL, machine.calls["socket"], no=4 if devices else 1)
    if devices:
        # A driver may ask a service of this machine.
        yield _step(_LOAD, _FIRST_ARGUMENT)
        yield _step(_EQUAL, socket.AF_UNIX, no=1)
        yield _step(_RETURN, _ALLOW)
    yield _step(_RETURN, _FAIL | errno.EACCES)
    yield _step(_RETURN, _ALLOW)


def _step(code: int, number: int, *, yes: int = 0, no: int = 0) -> bytes:
    return struct.pack("=HBBI", code, yes, no, number)


@functools.cache
def _machine() -> _Machine | None:
    return _MACHINES.get(platform.machine()) if sys.platform == "linux" and sys.maxsize > 2**32 else None


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _call(number: int, *arguments: int | bytes | None) -> int:
    """A system call; -1 where it fails."""
    words = [ctypes.c_long(word) if isinstance(word, int) else word for word in arguments]
    return int(_libc().syscall(ctypes.c_long(number), *words))
