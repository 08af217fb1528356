"""Keeping our files from somebody's code: builds and imports see the system's programs and their own folder only.

What runs there has our account. It could read mounted Secrets and our own environment (`/proc`) and tell them by an
error that lands in the log, or change the cache or the finished package. Landlock refuses that, where the kernel has
it.
"""

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from repack_worker import landlock
from repack_worker.interpreters import Interpreter

_READABLE = (
    "/usr", "/bin", "/lib", "/lib64", "/nix/store", "/etc/alternatives", "/etc/ld.so.cache", "/etc/ld.so.conf",
    "/etc/ld.so.conf.d", "/etc/passwd", "/etc/group", "/etc/localtime", "/etc/timezone", "/etc/os-release",
    "/etc/lsb-release", "/etc/debian_version", "/etc/mime.types", "/etc/magic", "/etc/nsswitch.conf", "/etc/hosts",
    "/etc/host.conf", "/etc/resolv.conf", "/etc/services", "/etc/protocols", "/etc/ssl/certs", "/etc/ssl/openssl.cnf",
    "/etc/gnutls", "/etc/uv", "/etc/fonts", "/etc/locale.alias", "/dev/urandom", "/dev/random",
    "/sys/devices/system/cpu",
    "/sys/fs/cgroup", "/sys/kernel/mm/transparent_hugepage", "/proc/cpuinfo", "/proc/meminfo", "/proc/stat",
    "/proc/version", "/proc/loadavg", "/proc/uptime", "/proc/filesystems", "/proc/sys",
)  # fmt: skip
"""What interpreters, compilers and packages that are imported look at; no Secret is mounted there."""
_WRITABLE = ("/dev/null", "/dev/zero", "/dev/full", "/dev/shm")  # noqa: S108
"""Beside the folder of the work; semaphores of `multiprocessing` are files of `/dev/shm`."""


def is_possible() -> bool:
    """Tell whether this kernel can keep files from a process (Linux 5.19).

    The first version of Landlock (5.13) refuses every move from folder to folder, which uv and builds need.
    """
    return landlock.version() > 1


def confined(
    command: Sequence[str | Path],
    *,
    write: Iterable[Path],
    read: Iterable[Path] = (),
    interpreter: Interpreter | None = None,
    connect: Iterable[int] = (),
) -> list[str | Path]:
    """Return the command line that shows a command no file of ours; the command as it is where that is not possible.

    Args:
        command: what is to be run.
        write: the folders of the work, where everything may be done.
        read: further files and folders to be read, such as the programs of the command.
        interpreter: the Python that it uses, whose libraries can be read.
        connect: the only TCP ports to connect to; a kernel before Linux 6.7 does not see to that.
    """
    if not is_possible():
        return [*command]
    prefix = [interpreter.executable.resolve().parent.parent] if interpreter else []
    options = [word for path in (*_READABLE, *prefix, *read) for word in ("--read", str(path))]
    options += [word for path in (*_WRITABLE, *write) for word in ("--write", str(path))]
    options += [word for port in connect for word in ("--connect", str(port))]
    return [sys.executable, "-I", "-S", landlock.__file__, *options, "--", *command]
