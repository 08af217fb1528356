"""What a compiled file needs of the machine: its CPU and the newest glibc symbols (ELF, read with pyelftools)."""

import re
import shutil
import struct
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

_MAGIC = b"\x7fELF"
_MACHINES = {62: "x86_64", 183: "aarch64", 3: "i386", 40: "arm"}
_GLIBC = re.compile(r"GLIBC_2\.(\d+)(?:\.\d+)?")


@dataclass(frozen=True)
class ElfFacts:
    """What one compiled file needs."""

    name: str
    machine: str
    """The kernel's name of the CPU, or the number that ELF gives it."""
    glibc_minor: int
    """Newest `GLIBC_2.x` among the symbols it asks for; 0 when it asks for none."""


def machine_of(path: Path) -> str | None:
    """Return the CPU of a compiled file from its first bytes; None when it is not one."""
    with path.open("rb") as file:
        head = file.read(20)
    if head[:4] != _MAGIC or len(head) < 20:
        return None
    number = struct.unpack_from("<H" if head[5] == 1 else ">H", head, 18)[0]
    return _MACHINES.get(number, str(number))


def compiled_files(wheel: Path) -> Iterator[ElfFacts]:
    """Yield what each compiled file of a wheel needs."""
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            with archive.open(name) as entry, tempfile.TemporaryFile() as content:
                if (head := entry.read(4)) != _MAGIC:
                    continue
                content.write(head)
                shutil.copyfileobj(entry, content)
                content.seek(0)
                yield _facts(name, content)


def _facts(name: str, content: IO[bytes]) -> ElfFacts:
    from elftools.common.exceptions import ELFError  # noqa: PLC0415 - only builds need it, and it is slow to import
    from elftools.elf.elffile import ELFFile  # noqa: PLC0415
    from elftools.elf.gnuversions import GNUVerNeedSection  # noqa: PLC0415

    try:
        file = ELFFile(content)
        content.seek(18)
        number = int.from_bytes(content.read(2), "little" if file.little_endian else "big")
        machine = _MACHINES.get(number, str(file.header["e_machine"]))
        minors = [
            int(match.group(1))
            for section in file.iter_sections() if isinstance(section, GNUVerNeedSection)
            for _, versions in section.iter_versions()
            for version in versions
            if (match := _GLIBC.fullmatch(version.name))
        ]  # fmt: skip
    except (ELFError, struct.error, ValueError, UnicodeDecodeError) as error:
        return ElfFacts(name=name, machine=f"unreadable ({error})", glibc_minor=0)
    return ElfFacts(name=name, machine=machine, glibc_minor=max(minors, default=0))
