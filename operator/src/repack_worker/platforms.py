"""What a package is made for: the wheel tags and the marker environment of the daemon's image, whatever runs us.

The image is Ubuntu 24.04 with glibc 2.39 (repackaging.md 5.2). pip's single `--platform manylinux2014_x86_64` cannot
serve any current plugin: gevent, greenlet and tiktoken ship manylinux_2_24 and later only (0.1, fact 3).
"""

import platform
from collections.abc import Iterator
from functools import cached_property

from msgspec import Struct
from packaging.tags import Tag, compatible_tags, cpython_tags

from repack_contract.choices import Arch

GLIBC_MINOR = 39
_OLDEST_GLIBC_MINOR = 5
_MACHINES = {Arch.AMD64: "x86_64", Arch.ARM64: "aarch64"}
_LEGACY = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}


class Platform(Struct, frozen=True, dict=True):
    """One CPU and one Python: linux, glibc 2.39, CPython."""

    arch: Arch
    python: str
    """Such as `3.12`."""

    @classmethod
    def here(cls, python: str) -> "Platform":
        """Return that of the machine that runs us."""
        return cls(arch=native_cpu() or Arch.AMD64, python=python)

    @property
    def machine(self) -> str:
        """The kernel's name of the CPU."""
        return _MACHINES[self.arch]

    @property
    def uv_name(self) -> str:
        """What uv calls it (`--python-platform`)."""
        return f"{self.machine}-manylinux_2_{GLIBC_MINOR}"

    @property
    def label(self) -> str:
        """What people call it."""
        return f"linux/{self.arch.value} (glibc 2.{GLIBC_MINOR}) and CPython {self.python}"

    @cached_property
    def ranks(self) -> dict[Tag, int]:
        """Every wheel tag that installs there; a lower rank fits better."""
        major, minor = (int(part) for part in self.python.split("."))
        platforms = list(self._platforms())
        tags = [
            *cpython_tags((major, minor), platforms=platforms),
            *compatible_tags((major, minor), interpreter=f"cp{major}{minor}", platforms=platforms),
        ]
        return {tag: rank for rank, tag in reversed(list(enumerate(tags)))}

    def _platforms(self) -> Iterator[str]:
        oldest = _OLDEST_GLIBC_MINOR if self.arch is Arch.AMD64 else 17
        for minor in range(GLIBC_MINOR, oldest - 1, -1):
            yield f"manylinux_2_{minor}_{self.machine}"
            if minor in _LEGACY:
                yield f"{_LEGACY[minor]}_{self.machine}"
        yield f"linux_{self.machine}"

    @cached_property
    def environment(self) -> dict[str, str]:
        """The values of PEP 508 markers there."""
        return {
            "implementation_name": "cpython",
            "implementation_version": f"{self.python}.0",
            "os_name": "posix",
            "platform_machine": self.machine,
            "platform_python_implementation": "CPython",
            "platform_release": "",
            "platform_system": "Linux",
            "platform_version": "",
            "python_full_version": f"{self.python}.0",
            "python_version": self.python,
            "sys_platform": "linux",
        }


def cpus(arch: Arch) -> tuple[Arch, ...]:
    """Return the CPUs that a target stands for: both for a universal package."""
    return (Arch.AMD64, Arch.ARM64) if arch is Arch.UNIVERSAL else (arch,)


def native_cpu(machine: str | None = None) -> Arch | None:
    """Return the CPU that runs us, whose packages can be built and run here; None for one that Dify does not have."""
    machine = machine or platform.machine()
    return next((arch for arch, name in _MACHINES.items() if name == machine), None)


def machines() -> dict[str, Arch]:
    """Return our name of each CPU by the kernel's."""
    return {name: arch for arch, name in _MACHINES.items()}
