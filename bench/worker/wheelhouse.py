"""A synthetic package index on disk, like the real one in what costs time, and plugins that need its packages.

Realistic: a graph of dependencies with ranges of versions; 40 to 100 versions a project; pages as JSON, compressed,
with every field and as many files a version as real projects have (a third of them compiled, with wheels for 24
platforms); metadata files (PEP 658) with a long description; wheels that are deflated text and code, few large and
many small ones; the caching headers of the real index (`server.py`). The lock lists all wheels of each version.

Not realistic, and in favour of the classic way: no conflict makes pip go back, and nothing is ever rate-limited.
"""

import base64
import gzip
import hashlib
import json
import os
import random
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path

CHUNK = 64 << 10
_PAIRS = bytes(range(16)) * 16
_TAGS = [
    f"cp{python}-cp{python}-{platform}"
    for python in ("310", "311", "312", "313")
    for platform in ("manylinux_2_28_x86_64", "manylinux_2_28_aarch64", "musllinux_1_2_x86_64", "win_amd64",
                     "macosx_11_0_arm64", "macosx_10_13_x86_64")
]  # fmt: skip
_OURS = "cp312-cp312-manylinux_2_28_x86_64"
_WANTED_MAJOR = 2


@dataclass(frozen=True)
class Wheel:
    """The wheel of a project that is chosen, and lies on disk."""

    name: str
    version: str
    filename: str
    sha256: str
    size: int
    requires: tuple[str, ...]
    others: tuple[tuple[str, str], ...] = ()
    """Name and sha256 of the other wheels of the same version, which nobody fetches."""

    @property
    def path(self) -> str:
        """Where it is, on disk and on the server."""
        return _path(self.sha256, self.filename)

    @property
    def range(self) -> str:
        """The requirement that an author writes."""
        return f"{self.name}>={_WANTED_MAJOR}.1,<{_WANTED_MAJOR + 1}"


def _path(sha256: str, filename: str) -> str:
    return f"packages/{sha256[:2]}/{sha256[2:4]}/{sha256[4:]}/{filename}"


@cache
def _texts() -> list[bytes]:
    """Return chunks of text that deflates like source code."""
    letters, drawn = "etaoinshrdlucmfwypvbgk_", random.Random(1)  # noqa: S311 - sizes, not secrets
    words = ["".join(drawn.choices(letters, k=drawn.randint(2, 10))) for _ in range(4000)]
    return [" ".join(drawn.choices(words, k=CHUNK // 7)).encode()[:CHUNK] for _ in range(40)]


def _content(name: str, size: int) -> Iterator[bytes]:
    """Yield chunks that deflate to about `size` bytes: a third of them text, the others like machine code."""
    drawn, made = random.Random(name), 0  # noqa: S311
    while made < size:
        if drawn.random() < 1 / 3:
            chunk, packed = drawn.choice(_texts()), 0.36
        else:
            chunk, packed = drawn.randbytes(CHUNK).translate(_PAIRS), 0.56
        wanted = min(CHUNK, int((size - made) / packed) + 1)
        made += int(wanted * packed) + 1
        yield chunk[:wanted]


def write_wheel(
    root: Path, name: str, size: int, *, requires: Sequence[str] = (), compiled: bool = False, plain: bool = False
) -> Wheel:
    """Write a wheel of about `size` bytes below `root`; `plain` stores random bytes, which is faster to make."""
    version = f"{_WANTED_MAJOR}.9.0"
    module, tag = name.replace("-", "_"), _OURS if compiled else "py3-none-any"
    info, filename = f"{module}-{version}.dist-info", f"{module}-{version}-{tag}.whl"
    arriving = root / f".{filename}"
    chunks: Iterable[bytes] = _random(name, size) if plain else _content(name, size)
    records = []
    with zipfile.ZipFile(arriving, "w", zipfile.ZIP_STORED if plain else zipfile.ZIP_DEFLATED, compresslevel=1) as file:
        for at, group in enumerate(_grouped(chunks)):
            member, digest, total = f"{module}/data/{at:03}.dat", hashlib.sha256(), 0
            with file.open(_info(member, plain=plain), "w") as entry:
                for chunk in group:
                    entry.write(chunk)
                    digest.update(chunk)
                    total += len(chunk)
            records.append((member, digest.digest(), total))
        for member, text in (
            (f"{module}/__init__.py", ""), (f"{info}/METADATA", _metadata(name, version, requires)),
            (f"{info}/WHEEL", f"Wheel-Version: 1.0\nGenerator: bench\nRoot-Is-Purelib: true\nTag: {tag}\n"),
        ):  # fmt: skip
            file.writestr(_info(member), text)
            records.append((member, hashlib.sha256(text.encode()).digest(), len(text.encode())))
        lines = [f"{m},sha256={base64.urlsafe_b64encode(d).rstrip(b'=').decode()},{n}" for m, d, n in records]
        file.writestr(_info(f"{info}/RECORD"), "\n".join([*lines, f"{info}/RECORD,,", ""]))
    with arriving.open("rb") as read:
        sha256 = hashlib.file_digest(read, "sha256").hexdigest()
    final = root / _path(sha256, filename)
    final.parent.mkdir(parents=True, exist_ok=True)
    arriving.replace(final)
    final.with_name(f"{filename}.metadata").write_text(_metadata(name, version, requires))
    tags = [each for each in _TAGS if each != tag] if compiled else []
    others = tuple((f"{module}-{version}-{each}.whl", _digest(f"{filename}{each}")) for each in tags)
    return Wheel(name, version, filename, sha256, final.stat().st_size, tuple(requires), others)


def _grouped(chunks: Iterable[bytes], each: int = 8) -> Iterator[list[bytes]]:
    group: list[bytes] = []
    for chunk in chunks:
        group.append(chunk)
        if len(group) == each:
            yield group
            group = []
    if group:
        yield group


def _random(name: str, size: int) -> Iterator[bytes]:
    drawn = random.Random(name)  # noqa: S311
    return (drawn.randbytes(min(1 << 20, size - at)) for at in range(0, size, 1 << 20))


def _info(name: str, *, plain: bool = False) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
    info.compress_type = zipfile.ZIP_STORED if plain else zipfile.ZIP_DEFLATED
    return info


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _metadata(name: str, version: str, requires: Sequence[str]) -> str:
    lines = ["Metadata-Version: 2.4", f"Name: {name}", f"Version: {version}", "Requires-Python: >=3.9",
             "License-Expression: MIT", *(f"Requires-Dist: {each}" for each in requires)]  # fmt: skip
    return "\n".join([*lines, "", _texts()[len(name) % 40][:8000].decode(), ""])


def write_closure(root: Path, count: int, size: int) -> list[Wheel]:
    """Write `dify-plugin` and what it needs, directly and through others: `count` wheels of `size` bytes in all."""
    root.mkdir(parents=True, exist_ok=True)
    drawn = random.Random(count)  # noqa: S311
    weights = [1 / (rank + 1) for rank in range(count - 1)]
    drawn.shuffle(names := [f"dep-{count}-{number}" for number in range(count - 1)])
    needs: dict[str, list[str]] = {name: [] for name in ["dify-plugin", *names]}
    for at, name in enumerate(names):  # a third directly, the others through one or two of those before them
        parents = ["dify-plugin"] if at < count // 3 else drawn.sample(names[:at], k=min(at, 1 + at % 2))
        for parent in parents:
            needs[parent].append(f"{name}>={_WANTED_MAJOR}.1,<{_WANTED_MAJOR + 1}")
    sizes = {name: int(size * weight / sum(weights)) for name, weight in zip(names, weights, strict=True)}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        made = [
            pool.submit(write_wheel, root, name, sizes.get(name, 30_000), requires=requires, compiled=at % 3 == 1)
            for at, (name, requires) in enumerate(needs.items())
        ]
    wheels = [future.result() for future in made]
    for wheel in wheels:
        write_page(root, wheel)
    return wheels


def write_page(root: Path, wheel: Wheel) -> None:
    """Write the page of a project: the wheel that is chosen among those of all its versions."""
    drawn = random.Random(wheel.name)  # noqa: S311
    minors = drawn.randint(10, 25)
    versions = [f"{major}.{minor}.0" for major in range(_WANTED_MAJOR + 2) for minor in range(minors)]
    versions = [version for version in versions if not version.startswith(f"{_WANTED_MAJOR}.") or _minor(version) < 9]
    module = wheel.name.replace("-", "_")
    tags = _TAGS if wheel.others else ["py3-none-any"]
    files = [
        _entry(f"{module}-{version}{end}", f"{drawn.getrandbits(256):064x}", drawn.randint(9_000, 900_000))
        for version in versions for end in (*(f"-{tag}.whl" for tag in tags), ".tar.gz")
    ]  # fmt: skip
    files += [_entry(filename, sha256, wheel.size) for filename, sha256 in wheel.others]
    files.append(_entry(wheel.filename, wheel.sha256, wheel.size, metadata=_metadata_of(root, wheel)))
    page = {"meta": {"_last-serial": 1, "api-version": "1.4"}, "name": wheel.name, "files": files,
            "versions": [*versions, wheel.version]}  # fmt: skip
    folder = root / "simple" / wheel.name
    folder.mkdir(parents=True)
    (folder / "index.json.gz").write_bytes(gzip.compress(json.dumps(page).encode(), 6, mtime=0))


def _minor(version: str) -> int:
    return int(version.split(".")[1])


def _metadata_of(root: Path, wheel: Wheel) -> str:
    return hashlib.sha256((root / f"{wheel.path}.metadata").read_bytes()).hexdigest()


def _entry(filename: str, sha256: str, size: int, *, metadata: str = "") -> dict[str, object]:
    core = {"sha256": metadata or sha256[::-1]} if filename.endswith(".whl") else False
    return {
        "core-metadata": core, "data-dist-info-metadata": core, "filename": filename, "hashes": {"sha256": sha256},
        "provenance": None, "requires-python": ">=3.9", "size": size, "upload-time": "2026-01-01T00:00:00.000000Z",
        "url": f"../../{_path(sha256, filename)}", "yanked": False,
    }  # fmt: skip
