"""Stand-ins for wheels that are still to be built: they let uv choose versions without running anybody's code.

uv would have to build a source distribution to learn what it depends on. Nearly all of them say it in their archive
(`PKG-INFO`, `*.egg-info/requires.txt`), so a stub wheel carries just that. What the real build says is compared
afterwards (`build.py`), and the installation proves it.
"""

import email.parser
import io
import posixpath
import re
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from repack_contract.errors import RepackError
from repack_contract.reasons import Reason

_MAX_TEXT = 1 << 20
_MAX_METADATA_FILES = 16
_MAX_MEMBERS, _MAX_UNPACKED = 100_000, 2 << 30
_SECTION = re.compile(r"\[([^\]:]*)(?::([^\]]*))?\]")


def write_stub(folder: Path, name: str, version: str, *, requires_python: str, requires: Iterable[str]) -> Path:
    """Write a wheel with metadata and nothing else."""
    module = name.replace("-", "_")
    info = f"{module}-{version}.dist-info"
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    lines += [f"Requires-Python: {requires_python}"] if requires_python else []
    lines += [f"Requires-Dist: {requirement}" for requirement in requires]
    path = folder / f"{module}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{info}/METADATA", "\n".join(lines) + "\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return path


def requires_of(archive: Path) -> tuple[str, ...]:
    """Return the requirements that a source archive states, as `Requires-Dist` values; none when it states none."""
    texts = dict(_metadata_texts(archive))
    for name, text in texts.items():
        if posixpath.basename(name) == "PKG-INFO":
            stated = email.parser.HeaderParser().parsestr(text).get_all("Requires-Dist")
            if stated:
                return tuple(stated)
    for name, text in texts.items():
        if posixpath.basename(name) == "requires.txt":
            return tuple(_requires_txt(text))
    return ()


def _metadata_texts(archive: Path) -> Iterator[tuple[str, str]]:
    """Yield (name, text) of the metadata files of a source archive, the one nearest to its root first."""
    try:
        if archive.name.endswith(".zip"):
            with zipfile.ZipFile(archive) as file:
                names = [info.filename for info in file.infolist() if info.file_size <= _MAX_TEXT]
                for name in sorted(filter(_is_metadata, names), key=_depth)[:_MAX_METADATA_FILES]:
                    yield name, file.read(name).decode("utf-8", "replace")
            return
        with tarfile.open(archive) as file:
            members = [member for member in _bounded(file) if member.isreg() and member.size <= _MAX_TEXT]
            found = sorted((one for one in members if _is_metadata(one.name)), key=lambda one: _depth(one.name))
            for member in found[:_MAX_METADATA_FILES]:
                content = file.extractfile(member) or io.BytesIO()
                yield member.name, content.read().decode("utf-8", "replace")
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, OSError, EOFError, NotImplementedError) as error:
        raise RepackError(
            Reason.DEPENDENCY_CONFLICT,
            f"The source archive {archive.name} is damaged or none: {str(error).partition(':')[0]}.",
        ) from error


def _bounded(file: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """Yield the members; going on to the next one unpacks what lies between, so that has an end."""
    total = 0
    for number, member in enumerate(file):
        total += member.size
        if number > _MAX_MEMBERS or total > _MAX_UNPACKED:
            raise tarfile.ReadError(f"it unpacks to more than {_MAX_UNPACKED:,} bytes or {_MAX_MEMBERS:,} files")
        yield member


def _is_metadata(name: str) -> bool:
    return posixpath.basename(name) == "PKG-INFO" or name.endswith(".egg-info/requires.txt")


def _depth(name: str) -> tuple[int, str]:
    return name.count("/"), name


def _requires_txt(text: str) -> Iterator[str]:
    """Turn setuptools' format into `Requires-Dist` values: sections are `[extra]`, `[:marker]`, `[extra:marker]`."""
    conditions: list[str] = []
    for raw in text.splitlines():
        line = raw.strip()
        if section := _SECTION.fullmatch(line):
            extra, marker = section.groups()
            conditions = [f"({marker})"] if marker else []
            conditions += [f"extra == '{extra}'"] if extra else []
        elif line and not line.startswith("#"):
            yield f"{line} ; {' and '.join(conditions)}" if conditions else line
