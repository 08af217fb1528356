"""Run a command that can open no network socket: `python seccomp.py COMMAND…`, enforced by the kernel, unprivileged.

Installs a seccomp filter (repackaging.md 6.1, step 9) and then becomes the command; every child inherits the filter and
none can shed it. Refused with EACCES: `socket()` of any family but AF_UNIX and AF_NETLINK, `io_uring_setup` (which
could open sockets past the filter), and every call of a foreign architecture or of x32, whose numbers differ.

Runs as a file of its own with the standard library only, in an interpreter without the surrounding packages.
"""

import ctypes
import os
import platform
import struct
import sys
from typing import NoReturn

_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 38, 22, 2
_LOAD, _JUMP_EQUAL, _JUMP_AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
"""BPF opcodes: BPF_LD|BPF_W|BPF_ABS, BPF_JMP|BPF_JEQ|BPF_K, BPF_JMP|BPF_JGE|BPF_K, BPF_RET|BPF_K."""
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000 | 13
"""SECCOMP_RET_ALLOW, and SECCOMP_RET_ERRNO with EACCES."""
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16
"""Offsets in `struct seccomp_data`; of an argument the low half, which is all that the kernel reads of a family."""
_X32_BIT = 0x40000000
_AF_UNIX, _AF_NETLINK, _IO_URING_SETUP = 1, 16, 425
_MACHINES = {"x86_64": (0xC000003E, 41), "aarch64": (0xC00000B7, 198)}
"""Per machine: AUDIT_ARCH_* and the number of `socket`."""

Instruction = tuple[int, int, int, int]


class UnsupportedMachineError(Exception):
    """The filter is known for x86_64 and aarch64 only."""


def program(machine: str) -> list[Instruction]:
    """Return the filter for a machine as (code, jump if true, jump if false, value); jumps count from the next one."""
    if machine not in _MACHINES:
        raise UnsupportedMachineError(machine)
    architecture, socket = _MACHINES[machine]
    x32 = [(_JUMP_AT_LEAST, 6, 0, _X32_BIT)] if machine == "x86_64" else []
    return [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_JUMP_EQUAL, 0, 7 + len(x32), architecture),
        (_LOAD, 0, 0, _NUMBER),
        *x32,
        (_JUMP_EQUAL, 5, 0, _IO_URING_SETUP),
        (_JUMP_EQUAL, 0, 3, socket),
        (_LOAD, 0, 0, _FIRST_ARGUMENT),
        (_JUMP_EQUAL, 1, 0, _AF_UNIX),
        (_JUMP_EQUAL, 0, 1, _AF_NETLINK),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _REFUSE),
    ]


class _Program(ctypes.Structure):
    """`struct sock_fprog`."""

    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def install(machine: str) -> None:
    """Put the filter on this process for good; raise OSError when the kernel refuses."""
    instructions = program(machine)
    packed = b"".join(struct.pack("HBBI", *instruction) for instruction in instructions)
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl.argtypes = [ctypes.c_int] + [ctypes.c_ulong] * 4
    _check(libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    block = _Program(len(instructions), packed)
    _check(libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.addressof(block), 0, 0))


def _check(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"prctl: {os.strerror(number)}")


def main(command: list[str]) -> NoReturn:
    """Install the filter and become the command."""
    install(platform.machine())
    os.execvp(command[0], command)  # noqa: S606 - a list that our caller composed


if __name__ == "__main__":
    main(sys.argv[1:])
