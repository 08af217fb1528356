"""What a package is made for: the wheel tags and the marker environment of the daemon's image, whatever runs us.

The image is Ubuntu 24.04 with glibc 2.39 (repackaging.md 5.2). pip's single `--platform manylinux2014_x86_64` cannot
serve any current plugin: gevent, greenlet and tiktoken ship manylinux_2_24 and later only (0.1, fact 3).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from packaging.tags import Tag, compatible_tags, cpython_tags

from repack_contract.errors import RepackError
from repack_contract.reasons import Reason
from repack_contract.task import Arch, Mode, Spec

GLIBC_MINOR = 39
_OLDEST_GLIBC_MINOR = 5
_MACHINES = {Arch.AMD64: "x86_64", Arch.ARM64: "aarch64"}
_LEGACY = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}


@dataclass(frozen=True)
class Platform:
    """One CPU and one Python: linux, glibc 2.39, CPython."""

    arch: Arch
    python: str
    """Such as `3.12`."""

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


def check_supported(spec: Spec) -> None:
    """Refuse what the API knows and this version of the worker does not make yet; the one place that says so."""
    for target in spec.targets:
        if target.arch is not Arch.AMD64:
            raise RepackError(
                Reason.UNSUPPORTED_PLATFORM,
                f"The target {target.arch.value} comes with a later version; this one makes packages for amd64.",
                hint="Set spec.targets to [{arch: amd64}].",
            )
    if spec.mode is not Mode.REQUIREMENTS_ONLY:
        raise RepackError(
            Reason.UNSUPPORTED_PLATFORM,
            f"The mode {spec.mode.value} comes with a later version; this one writes RequirementsOnly packages.",
            hint="Leave spec.mode out: RequirementsOnly packages install on every version of Dify's daemon.",
        )
