"""What will be in a package: one wheel per distribution, chosen before a byte of them is downloaded.

A distribution that has no fitting wheel and a source stands in the plan as something to build.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, NoReturn
from urllib.parse import parse_qs, unquote, urlsplit

from msgspec import Struct
from packaging.tags import Tag
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from repack_contract.errors import RepackError, without_secrets
from repack_contract.reasons import Reason
from repack_worker.platforms import Platform

_SHOWN_PLATFORMS = 8
_SAFE_FILENAME = re.compile(r"[A-Za-z0-9_.+!-]{1,250}", re.ASCII)
"""A lock names files, and we write them under that name: `x-1-py3-none-any.y/../../../z.whl` is a wheel to others."""
_UNSAFE = re.compile(r"[^A-Za-z0-9_.+!-]", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?", re.ASCII)
_COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
_SHA256 = re.compile(r"[0-9a-f]{64}")


class Wheel(Struct, frozen=True):
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


class SourceDist(Struct, frozen=True):
    """A distribution to build: a source archive guarded by its hash, or a commit of a git repository."""

    name: str
    """Normalised (PEP 503)."""
    version: str
    """Empty where only the build tells it (git)."""
    url: str
    sha256: str = ""
    """Of the archive; empty for git, where the commit guards the content."""
    size_bytes: int | None = None
    commit: str = ""
    subdirectory: str = ""
    offered: tuple[str, ...] = ()
    """Platforms that wheels exist for; where there are any, the build is a compiled one."""

    @property
    def label(self) -> str:
        """What to call it in messages."""
        return f"{self.name}=={self.version}" if self.version else f"{self.name} ({self.commit or 'source'})"

    @property
    def filename(self) -> str:
        """The archive's name, of harmless characters: it becomes a path."""
        given = unquote(urlsplit(self.url).path.rpartition("/")[2])
        return _UNSAFE.sub("_", given)[-200:].lstrip(".") or "source"

    @property
    def compiled(self) -> bool:
        """Tell whether what is known says that a build has parts for one CPU only."""
        return any(not platform.endswith("-any") for platform in self.offered)


class Plan(Struct, frozen=True):
    """The distributions of one target, sorted by name."""

    platform: Platform
    origin: str
    """The file that the plan was made from."""
    wheels: tuple[Wheel, ...]
    builds: tuple[SourceDist, ...] = ()
    warnings: tuple[str, ...] = ()

    @classmethod
    def of(cls, chosen: Iterable["Wheel | SourceDist"], *, platform: Platform, origin: str) -> "Plan":
        """Return the plan of what was chosen."""
        ordered = sorted(chosen, key=lambda one: one.name)
        wheels = tuple(one for one in ordered if isinstance(one, Wheel))
        builds = tuple(one for one in ordered if isinstance(one, SourceDist))
        return cls(platform=platform, origin=origin, wheels=wheels, builds=builds)

    @property
    def all(self) -> tuple["Wheel | SourceDist", ...]:
        """Wheels and sources together."""
        return (*self.wheels, *self.builds)

    @property
    def download_bytes(self) -> int | None:
        """Bytes to fetch; None when the size of one file is unknown."""
        sizes = [one.size_bytes for one in self.all]
        return None if None in sizes else sum(size for size in sizes if size is not None)


def choose(
    name: str, version: str, *, files: Iterable[Mapping[str, Any]], sdist: Mapping[str, Any] | None, platform: Platform
) -> Wheel | SourceDist:
    """Return the wheel that fits the platform best, else the source; raise `NoWheelForPlatform` with neither.

    Args:
        name: the distribution.
        version: the one that was chosen.
        files: tables of `uv.lock` or `pylock.toml`: `url`, `hash` or `hashes`, `size`, and `name` or `filename`.
        sdist: such a table of the source distribution, where there is one.
        platform: what it must install on.
    """
    _check_identity(name, version)
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
    if best:
        return best[1]
    if sdist is None:
        raise_no_wheel(f"{name}=={version}", offered=offered, has_sdist=False, platform=platform)
    return _source(name, version, sdist=sdist, offered=offered)


def git_source(name: str, version: str, address: str) -> SourceDist:
    """Return the source that a lock's git address means: `https://host/repo?rev=…&subdirectory=…#commit`."""
    _check_identity(name, version or "0")
    parts = urlsplit(address)
    # The commit is a word of git's command line: nothing but a hash may stand there.
    if parts.scheme not in {"https", "http"} or not _COMMIT.fullmatch(parts.fragment):
        raise RepackError(
            Reason.DEPENDENCY_CONFLICT,
            f"{name} comes from {parts.scheme or 'a local'} git repository {without_secrets(address)}; only https "
            "with a commit can be fetched.",
            hint="Lock the plugin with an https address of the repository.",
        )
    subdirectory = next(iter(parse_qs(parts.query).get("subdirectory", [])), "")
    return SourceDist(
        name=canonicalize_name(name),
        version=version,
        url=parts._replace(query="", fragment="").geturl(),
        commit=parts.fragment,
        subdirectory=subdirectory,
    )


def check_planned(one: "Wheel | SourceDist") -> None:
    """Refuse an entry of a plan that came from elsewhere unless a lock could have given the same.

    Raises:
        RepackError: `InvalidPackage`, for a name or version that is none.
        ValueError: anything else of it is not what it should be.
    """
    _check_identity(str(one.name), str(one.version) or "0")
    if isinstance(one, SourceDist):
        guarded = bool(_SHA256.fullmatch(str(one.sha256)) if one.sha256 else _COMMIT.fullmatch(str(one.commit)))
    else:
        guarded = bool(
            _SHA256.fullmatch(str(one.sha256))
            and _SAFE_FILENAME.fullmatch(str(one.filename))
            and parse_wheel_filename(one.filename)
        )
    right = (
        canonicalize_name(one.name) == one.name
        and urlsplit(str(one.url)).scheme in {"http", "https"}
        and (one.size_bytes is None or (isinstance(one.size_bytes, int) and one.size_bytes >= 0))
    )
    if not (right and guarded):
        raise ValueError(f"{one.name} is no entry of a plan")


def _check_identity(name: str, version: str) -> None:
    """Refuse a name or version that is none: both become lines of requirements.txt and parts of paths."""
    try:
        if _NAME.fullmatch(name) and Version(version):
            return
    except InvalidVersion:
        pass
    raise RepackError(
        Reason.INVALID_PACKAGE,
        f"The lock names a distribution {name[:80]!r} {version[:80]!r}, which cannot be one.",
        hint="Lock the plugin again with a current uv (`uv lock`).",
    )


def raise_no_wheel(pin: str, *, offered: Iterable[str], has_sdist: bool, platform: Platform, why: str = "") -> NoReturn:
    """Raise `NoWheelForPlatform` for a distribution, with what there is and what can be done."""
    names = sorted(offered)
    shown = names[:_SHOWN_PLATFORMS]
    more = f" and {len(names) - len(shown)} more" if len(names) > len(shown) else ""
    there = f"wheels exist for {', '.join(shown)}{more}" if names else "it has no wheels at all"
    if has_sdist and not names:
        there = "there is only its source"
    reason = f"; {why}" if why else ""
    raise RepackError(
        Reason.NO_WHEEL_FOR_PLATFORM,
        f"{pin} has no wheel for {platform.label}: {there}{reason}.",
        hint=(
            "Use a plugin version that needs another version of it, or put a wheel built from its source on a package "
            "index of your own and name that in spec.packageIndex."
        ),
        details={"distribution": pin, "platforms": names},
    )


def _platform_of(tag: Tag) -> str:
    return tag.platform if tag.platform != "any" else f"{tag.interpreter}-{tag.abi}-any"


def _filename(file: Mapping[str, Any]) -> str:
    given = file.get("filename") or file.get("name")
    return str(given) if given else unquote(urlsplit(str(file.get("url", ""))).path.rpartition("/")[2])


def _facts(name: str, version: str, *, filename: str, file: Mapping[str, Any]) -> tuple[str, str, int | None]:
    """Return address, sha256 and size that a lock gives for a file."""
    hashes = file.get("hashes") or {}
    sha256 = hashes.get("sha256") or str(file.get("hash", "")).removeprefix("sha256:")
    url, size = file.get("url"), file.get("size")
    if not _SHA256.fullmatch(str(sha256)) or not url:
        raise RepackError(
            Reason.DEPENDENCY_CONFLICT,
            f"{name}=={version}: the lock gives no {'sha256' if url else 'address'} for {filename}.",
            hint="Use an index that publishes sha256 hashes, or lock the plugin again.",
        )
    return str(url), sha256, int(size) if size is not None else None


def _wheel(name: str, version: str, *, filename: str, file: Mapping[str, Any]) -> Wheel:
    url, sha256, size = _facts(name, version, filename=filename, file=file)
    return Wheel(
        name=canonicalize_name(name), version=version, filename=filename, url=url, sha256=sha256, size_bytes=size
    )


def _source(name: str, version: str, *, sdist: Mapping[str, Any], offered: Iterable[str]) -> SourceDist:
    url, sha256, size = _facts(name, version, filename=_filename(sdist), file=sdist)
    return SourceDist(
        name=canonicalize_name(name),
        version=version,
        url=url,
        sha256=sha256,
        size_bytes=size,
        subdirectory=str(sdist.get("subdirectory", "")),
        offered=tuple(sorted(offered)),
    )
