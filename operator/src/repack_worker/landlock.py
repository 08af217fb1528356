"""Run a command that sees given folders only: `landlock.py [--read PATH] [--write PATH] [--connect PORT] -- COMMAND…`.

Landlock (Linux ≥ 5.19) is enforced by the kernel and needs no privilege; every child inherits it and none can shed it.
Builds and imports run somebody's code under our account: so it reads neither mounted Secrets nor other processes nor
the cache, and it signals none of them. A newer kernel refuses TCP by it as well.

Runs as a file of its own with the standard library only, like `seccomp.py`.
"""

import ctypes
import os
import stat
import struct
import sys
from collections.abc import Iterable
from typing import NoReturn

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
"""Numbers of the system calls, the same on x86_64 and aarch64."""
_VERSION_FLAG, _PATH_BENEATH, _PR_SET_NO_NEW_PRIVS = 1, 1, 38
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR, _TRUNCATE = 1 << 0, 1 << 1, 1 << 2, 1 << 3, 1 << 14
_READ = _EXECUTE | _READ_FILE | _READ_DIR
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE
"""Rights that a rule for a single file may grant; the others are about what lies in a folder."""
_HANDLED_BITS = {1: 13, 2: 14}
"""How many rights each version of the kernel's interface knows; later ones than 2 know 15 that matter here."""
_NET_PORT, _CONNECT_TCP = 2, 1 << 1
_TCP, _SCOPES = 1 << 0 | _CONNECT_TCP, 1 << 0 | 1 << 1
"""Binding and connecting TCP (version 4); abstract Unix sockets of, and signals to, processes outside (version 6)."""


def version() -> int:
    """Return the version of Landlock that the kernel offers; 0 when it offers none."""
    return max(0, int(_libc().syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(_VERSION_FLAG))))


def _libc() -> ctypes.CDLL:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    return libc


def restrict(*, read: Iterable[str], write: Iterable[str], connect: Iterable[int] = ()) -> None:
    """Let this process see nothing but these paths, and connect to nothing but these TCP ports, from now on.

    Raises:
        OSError: the kernel refuses.
    """
    libc, known = _libc(), version()
    handled = (1 << _HANDLED_BITS.get(known, 15)) - 1
    # struct landlock_ruleset_attr; an older kernel knows its first fields only. No rule allows TCP or what is outside.
    packed = struct.pack("QQQ", handled, _TCP, _SCOPES)[: 24 if known >= 6 else 16 if known >= 4 else 8]
    attributes = ctypes.create_string_buffer(packed, len(packed))
    ruleset = _checked(libc.syscall(_CREATE_RULESET, attributes, ctypes.c_size_t(len(packed)), ctypes.c_uint32(0)))
    for paths, rights in ((read, _READ), (write, handled)):
        for path in paths:
            _allow(libc, ruleset, path, rights & handled)
    for port in connect if known >= 4 else ():
        rule = ctypes.create_string_buffer(struct.pack("QQ", _CONNECT_TCP, port), 16)
        words = (ctypes.c_int(ruleset), ctypes.c_int(_NET_PORT), rule, ctypes.c_uint32(0))
        _checked(libc.syscall(_ADD_RULE, *words))
    _checked(libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    _checked(libc.syscall(_RESTRICT_SELF, ctypes.c_int(ruleset), ctypes.c_uint32(0)))
    os.close(ruleset)


def _allow(libc: ctypes.CDLL, ruleset: int, path: str, rights: int) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return  # what is not there, or not for us, needs no rule
    if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
        rights &= _OF_FILES
    rule = ctypes.create_string_buffer(struct.pack("=Qi", rights, descriptor))
    _checked(libc.syscall(_ADD_RULE, ctypes.c_int(ruleset), ctypes.c_int(_PATH_BENEATH), rule, ctypes.c_uint32(0)))
    os.close(descriptor)


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"landlock: {os.strerror(number)}")
    return result


def main(words: list[str]) -> NoReturn:
    """Restrict this process and become the command."""
    at = words.index("--")
    options, command = words[:at], words[at + 1 :]
    pairs = list(zip(options[::2], options[1::2], strict=True))
    restrict(
        read=[path for option, path in pairs if option == "--read"],
        write=[path for option, path in pairs if option == "--write"],
        connect=[int(port) for option, port in pairs if option == "--connect"],
    )
    os.execvp(command[0], command)  # noqa: S606 - a list that our caller composed


if __name__ == "__main__":
    main(sys.argv[1:])
