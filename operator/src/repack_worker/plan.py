"""What will be in a package: one wheel per distribution, chosen before a byte of them is downloaded."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn
from urllib.parse import unquote, urlsplit

from packaging.tags import Tag
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from repack_contract.errors import RepackError
from repack_contract.reasons import Reason
from repack_worker.platforms import Platform

_SHOWN_PLATFORMS = 8
_SAFE_FILENAME = re.compile(r"[A-Za-z0-9_.+!-]{1,250}", re.ASCII)
"""A lock names files, and we write them under that name: `x-1-py3-none-any.y/../../../z.whl` is a wheel to others."""
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Wheel:
    """One wheel to fetch. The hash is known beforehand: without one it would not be in a plan."""

    name: str
    """Normalised (PEP 503)."""
    version: str
    filename: str
    url: str
    sha256: str
    size_bytes: int | None
    """None where the index does not say."""

    @property
    def pin(self) -> str:
        """The requirement that installs exactly this."""
        return f"{self.name}=={self.version}"


@dataclass(frozen=True)
class Plan:
    """The wheels of one target, sorted by name."""

    platform: Platform
    origin: str
    """The file that the plan was made from."""
    wheels: tuple[Wheel, ...]
    warnings: tuple[str, ...] = ()

    @property
    def download_bytes(self) -> int | None:
        """Bytes to fetch; None when the size of one wheel is unknown."""
        sizes = [wheel.size_bytes for wheel in self.wheels]
        return None if None in sizes else sum(size for size in sizes if size is not None)


def choose_wheel(
    name: str, version: str, *, files: Iterable[Mapping[str, Any]], has_sdist: bool, platform: Platform
) -> Wheel:
    """Return the wheel that fits the platform best; raise `NoWheelForPlatform` when none does.

    Args:
        name: the distribution.
        version: the one that was chosen.
        files: tables of `uv.lock` or `pylock.toml`: `url`, `hash` or `hashes`, `size`, and `name` or `filename`.
        has_sdist: whether there is a source distribution, for the message.
        platform: what it must install on.
    """
    best: tuple[tuple[int, tuple[int, str]], Wheel] | None = None
    offered: set[str] = set()
    for file in files:
        filename = _filename(file)
        if not _SAFE_FILENAME.fullmatch(filename):
            continue
        try:
            _, _, build, tags = parse_wheel_filename(filename)
        except InvalidWheelFilename:
            continue
        offered |= {_platform_of(tag) for tag in tags}
        rank = min((platform.ranks[tag] for tag in tags if tag in platform.ranks), default=None)
        if rank is None:
            continue
        number, letters = build or (0, "")
        preference = (rank, (-number, letters))
        if best is None or preference < best[0]:
            best = preference, _wheel(name, version, filename=filename, file=file)
    if best is None:
        raise_no_wheel(f"{name}=={version}", offered=offered, has_sdist=has_sdist, platform=platform)
    return best[1]


def raise_no_wheel(pin: str, *, offered: set[str], has_sdist: bool, platform: Platform) -> NoReturn:
    """Raise `NoWheelForPlatform` for a distribution, with what there is and what can be done."""
    shown = sorted(offered)[:_SHOWN_PLATFORMS]
    more = f" and {len(offered) - len(shown)} more" if len(offered) > len(shown) else ""
    there = f"wheels exist for {', '.join(shown)}{more}" if offered else "it has no wheels at all"
    if has_sdist and not offered:
        there = "there is only its source"
    raise RepackError(
        Reason.NO_WHEEL_FOR_PLATFORM,
        f"{pin} has no wheel for {platform.label}: {there}.",
        hint=(
            "Use a plugin version that needs another version of it, or put a wheel built from its source on a package "
            "index of your own and name that in spec.packageIndex; this version of dify-repack does not build sources."
        ),
        details={"distribution": pin, "platforms": sorted(offered)},
    )


def _platform_of(tag: Tag) -> str:
    return tag.platform if tag.platform != "any" else f"{tag.interpreter}-{tag.abi}-any"


def _filename(file: Mapping[str, Any]) -> str:
    given = file.get("filename") or file.get("name")
    return str(given) if given else unquote(urlsplit(str(file.get("url", ""))).path.rpartition("/")[2])


def _wheel(name: str, version: str, *, filename: str, file: Mapping[str, Any]) -> Wheel:
    hashes = file.get("hashes") or {}
    sha256 = hashes.get("sha256") or str(file.get("hash", "")).removeprefix("sha256:")
    url, size = file.get("url"), file.get("size")
    if not _SHA256.fullmatch(str(sha256)) or not url:
        raise RepackError(
            Reason.DEPENDENCY_CONFLICT,
            f"{name}=={version}: the lock gives no {'sha256' if url else 'address'} for {filename}.",
            hint="Use an index that publishes sha256 hashes, or lock the plugin again.",
        )
    return Wheel(
        name=canonicalize_name(name),
        version=version,
        filename=filename,
        url=str(url),
        sha256=sha256,
        size_bytes=int(size) if size is not None else None,
    )
