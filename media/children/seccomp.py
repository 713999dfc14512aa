"""The filter of system calls (seccomp) that a confined child runs under, as a program of the kernel's packet filter.

Such a program sees a call's number and its plain arguments, and lets it pass or fail.
"""

from __future__ import annotations

import ctypes
import dataclasses
import errno
import functools
import platform
import socket
import struct
import sys
from collections.abc import Iterable

_PR_GET_SECCOMP = 21


def offered() -> bool:
    """Whether this kernel has filters, and this machine's calls are known here."""
    return _machine() is not None and ctypes.CDLL(None).prctl(_PR_GET_SECCOMP, 0, 0, 0, 0) == 0


@dataclasses.dataclass(frozen=True)
class _Machine:
    """An architecture by the kernel's number, and its numbers of system calls in the order of _NAMES."""

    audit: int
    calls: dict[str, int]


def _numbered(table: str) -> dict[str, int]:
    return {name: int(number) for name, _, number in (pair.partition("=") for pair in table.split())}


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
_ALONE = ["fork", "vfork"]
_FINAL = [
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


def program(*, closed: bool = False, alone: bool = False, final: bool = False, devices: bool = False) -> bytes:
    """A filter, which mayfly.media.children.starter puts into force; empty where this machine's calls are not known.

    Args:
        closed: no file may be opened and no program started, not even in the place of this one.
        alone: no process may be started; threads may.
        final: no limit may be changed, and no signal be sent.
        devices: services of this machine may be asked.
    """
    machine = _machine()
    if machine is None:
        return b""
    return b"".join(_filter(machine, closed=closed, alone=alone, final=final, devices=devices))


def _filter(machine: _Machine, *, closed: bool, alone: bool, final: bool, devices: bool) -> Iterable[bytes]:
    """The filter's instructions: a code, how many to skip if so and if not, a number."""
    yield _step(_LOAD, _ARCHITECTURE)
    yield _step(_EQUAL, machine.audit, yes=1)
    yield _step(_RETURN, _KILL)
    yield _step(_LOAD, _NUMBER)
    if machine.audit == _MACHINES["x86_64"].audit:
        yield _step(_AT_LEAST, _X32, no=1)
        yield _step(_RETURN, _FAIL | errno.ENOSYS)
    names = [*_REFUSED, *(_CLOSED if closed else ()), *(_ALONE if alone else ()), *(_FINAL if final else ())]
    for name in names:
        if name not in machine.calls:
            continue
        yield _step(_EQUAL, machine.calls[name], no=1)
        yield _step(_RETURN, _FAIL | errno.EPERM)
    if alone:
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
