"""Choosing versions for a plugin without a lock: `uv pip compile` for the target, read back as a pylock (PEP 751).

Only wheels are considered, so that nothing of the plugin or of a source distribution is executed here. Where uv says
that a distribution has none, stubs stand in for its sources (`stubs.py`), and the plan names it as one to build.
"""

import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomli
import uv
from msgspec.structs import replace
from packaging.utils import canonicalize_name

from repack_contract.errors import RepackError
from repack_contract.reasons import Reason
from repack_worker.fetch import Download, Fetcher
from repack_worker.guard import NetworkGuard
from repack_worker.index_access import IndexAccess
from repack_worker.plan import Plan, SourceDist, Wheel, choose, git_source
from repack_worker.platforms import Platform
from repack_worker.processes import Finished, ProcessTimeoutError, run
from repack_worker.settings import Settings, certificates_environment, passed_on_environment
from repack_worker.simple_index import IndexFile, files_of
from repack_worker.stubs import requires_of, write_stub
from repack_worker.threads import in_thread
from repack_worker.uv_output import sentence
from repack_worker.wanted import Wanted

_HTTP_TIMEOUT_SECONDS = 30
_MAX_ROUNDS = 12
_LARGEST_SOURCE = 1 << 30
_DEFAULT_INDEX = re.compile(r"default package index \(by default: <(https?://[^>]+)>")
_WHEELLESS = re.compile(r"Wheels are required for `([A-Za-z0-9._-]+)`")
_SYMPTOMS: tuple[tuple[str, Reason, str], ...] = (
    (r"\b429\b|too many requests", Reason.RATE_LIMITED, "The package index asked to be called less often"),
    (r"timed? ?out|deadline", Reason.DOWNLOAD_TIMEOUT, "The package index was too slow"),
    (r"dns error|failed to lookup|connect|connection|sending request|\b50[0234]\b|\b401\b|\b403\b|tls|certificate",
     Reason.INDEX_UNREACHABLE, "The package index could not be used"),
)  # fmt: skip


@dataclass
class _Source:
    """A source archive that uv may choose, and what it needs once that was read."""

    file: IndexFile
    requires: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Resolver:
    """Asks uv, and the index itself for what uv does not tell."""

    indexes: Sequence[str | None]
    """Addresses of package indexes, the first one the main one; uv's own where that is None or there are none."""
    settings: Settings
    fetcher: Fetcher
    access: IndexAccess
    guard: NetworkGuard
    folder: Path
    """An existing folder for working files."""

    async def resolve(self, wanted: Wanted, platform: Platform) -> Plan:
        """Return a plan for what is wanted; raise with the sentence of uv that names the culprit."""
        sources: dict[tuple[str, str], _Source] = {}
        for number in range(_MAX_ROUNDS):  # each round asks for one more distribution, or reads one more archive
            stubs = await in_thread(self._write_stubs, sources, number)
            finished, pylock = await self._compile(wanted, platform, stubs=stubs)
            if finished.code == 0:
                plan = read_pylock(pylock.read_text("utf-8"), origin=wanted.origin, platform=platform, stubs=sources)
                unread = [key for one in plan.builds if (key := (one.name, one.version)) in sources]
                unread = [key for key in unread if sources[key].requires is None]
                if not unread:
                    return replace(plan, warnings=wanted.warnings)
                for key in unread:
                    sources[key].requires = await self._requires(sources[key].file)
                continue
            names = {canonicalize_name(name) for name in _WHEELLESS.findall(finished.output)}
            names -= {name for name, _ in sources}
            found = {key: source for name in names for key, source in (await self._sources(name)).items()}
            if not found:
                self.guard.raise_refusal()
                raise explain(finished.output, origin=wanted.origin, platform=platform, more=self.guard.explanation)
            sources |= found
        raise RepackError(
            Reason.DEPENDENCY_CONFLICT,
            f"The dependencies in {wanted.origin} name too many distributions without a wheel.",
            hint="Lock the plugin (`uv lock`) and pack it again.",
        )

    async def _compile(self, wanted: Wanted, platform: Platform, *, stubs: Path | None) -> tuple[Finished, Path]:
        source, pylock = self.folder / "requirements.in", self.folder / "pylock.toml"
        source.write_text("\n".join(wanted.lines) + "\n", "utf-8")
        argv = [
            uv.find_uv_bin(), "pip", "compile", "--no-config", "--no-python-downloads", "--quiet",
            # Any interpreter serves, and ours is there; in an image there may be none where uv would look.
            "--python", sys.executable, "--python-version", platform.python, "--python-platform", platform.uv_name,
            "--only-binary", ":all:", "--format", "pylock.toml", "--no-header", "--output-file", str(pylock),
            str(source), *self._options(wanted, stubs),
        ]  # fmt: skip
        env = await uv_environment(self.settings, home=self.folder, guard=self.guard) | self.access.environment()
        try:
            finished = await run(argv, env=env, cwd=self.folder, timeout_seconds=self.settings.resolve_timeout_seconds)
        except ProcessTimeoutError as error:
            raise RepackError(
                Reason.DOWNLOAD_TIMEOUT, f"Choosing the versions of {wanted.origin} took too long: {error}.",
                hint="Lock the plugin (`uv lock`), which leaves nothing to choose, name a nearer index in "
                "spec.packageIndex, or raise REPACK_RESOLVE_TIMEOUT_SECONDS.",
            ) from error  # fmt: skip
        return finished, pylock

    def _options(self, wanted: Wanted, stubs: Path | None) -> list[str]:
        """Return the words for indexes and for the rules of the plugin and of the installation."""
        words = index_options(self.indexes)
        for option, lines in (("--constraints", wanted.constraints), ("--overrides", wanted.overrides)):
            if lines:
                path = self.folder / f"{option.strip('-')}.txt"
                path.write_text("\n".join(lines) + "\n", "utf-8")
                words += [option, str(path)]
        newest = [value for value in (wanted.exclude_newer, self.settings.exclude_newer) if value]
        words += ["--exclude-newer", min(newest)] if newest else []
        words += ["--prerelease", wanted.prerelease] if wanted.prerelease else []
        return [*words, *(["--find-links", str(stubs)] if stubs else [])]

    def _write_stubs(self, sources: Mapping[tuple[str, str], _Source], number: int) -> Path | None:
        """Write the stubs into a folder of this round: uv remembers what it read under a path."""
        if not sources:
            return None
        folder = self.folder / f"stubs-{number}"
        folder.mkdir()
        for (name, version), source in sources.items():
            write_stub(
                folder, name, version, requires_python=source.file.requires_python, requires=source.requires or ()
            )
        return folder

    async def _sources(self, name: str) -> dict[tuple[str, str], _Source]:
        """Return the source archives of a distribution, from the first index that has any."""
        main, *extra = self.indexes or [None]
        for index in [*filter(None, extra), *([main] if main else await default_index())]:  # in uv's own order
            files = await files_of(name, index=index, fetcher=self.fetcher, access=self.access, folder=self.folder)
            found = {
                (name, file.version): _Source(file)
                for file in files if file.is_source and file.version and file.sha256 and not file.yanked
            }  # fmt: skip
            if found:
                return found
        return {}

    async def _requires(self, file: IndexFile) -> tuple[str, ...]:
        target = self.folder / file.filename
        await self.fetcher.download(
            Download(
                url=file.url, target=target, what=file.filename, limit=_LARGEST_SOURCE, sha256=file.sha256,
                headers=self.access.headers(file.url), missing=Reason.INDEX_UNREACHABLE,
            )
        )  # fmt: skip
        return await in_thread(requires_of, target)


async def default_index() -> list[str]:
    """Return the index that uv asks where none is configured, in its own words; empty when it does not say."""
    env = {"PATH": "/usr/bin:/bin", "NO_COLOR": "1"}
    told = await run([uv.find_uv_bin(), "pip", "compile", "--help"], env=env, timeout_seconds=30)
    return _DEFAULT_INDEX.findall(" ".join(told.output.split()))[:1]


async def uv_environment(settings: Settings, *, home: Path, guard: NetworkGuard | None) -> dict[str, str]:
    """Return the environment of a uv or git that may use the network: certificates, our cache, a proxy, nothing else.

    Args:
        settings: patience and the cache.
        home: its home folder.
        guard: the proxy that checks where it goes; without one, for what no task decides, the user's own.
    """
    return {
        **(passed_on_environment() if guard is None else certificates_environment() | await guard.environment()),
        "HOME": str(home),
        "PATH": "/usr/bin:/bin",
        "UV_CACHE_DIR": str(settings.caches / "uv"),
        "UV_HTTP_TIMEOUT": str(_HTTP_TIMEOUT_SECONDS),
        "UV_HTTP_RETRIES": str(settings.download_attempts - 1),
        "GIT_TERMINAL_PROMPT": "0",
        "NO_COLOR": "1",
    }


def index_options(indexes: Sequence[str | None]) -> list[str]:
    """Return uv's options for package indexes, the first one the main one; where that is None, uv's own stays it."""
    kinds = ["--default-index", *["--index"] * len(indexes)]
    return [word for option, url in zip(kinds, indexes, strict=False) if url for word in (option, url)]


def _refused(lowered: str, said: str, *, origin: str) -> RepackError | None:
    """Return what it means that the index does not let us in, or that we do not trust it; None where neither is so."""
    if "valid authentication credentials" in lowered:
        return RepackError(
            Reason.INDEX_UNREACHABLE,
            f"The package index wants other credentials, or any (401, 403), while reading {origin}: {said}",
            hint="Set REPACK_INDEX_USERNAME and REPACK_INDEX_PASSWORD_FILE, or REPACK_INDEX_NETRC_FILE.",
        )
    if "invalid peer certificate" in lowered:
        return RepackError(
            Reason.INDEX_UNREACHABLE,
            f"The package index shows a certificate that is not trusted here, while reading {origin}: {said}",
            hint="Name the file with its authority in SSL_CERT_FILE (in the chart: worker.caBundle).",
        )
    return None


def explain(output: str, *, origin: str, platform: Platform, more: str = "") -> RepackError:
    """Turn what uv said into an error with a reason; the sentence of uv that names the culprit is kept.

    Args:
        output: all that uv said.
        origin: the file that was read.
        platform: what was chosen for.
        more: what else is known of a network that failed.
    """
    said = sentence(output.splitlines()).partition(" hint: Wheels are required")[0]
    lowered = output.lower()
    if refused := _refused(lowered, said, origin=origin):
        return refused
    if "no solution found" in lowered or "not found in the package registry" in output:
        if "no usable wheels" in output or "no wheels" in output:
            return RepackError(
                Reason.NO_WHEEL_FOR_PLATFORM,
                f"A dependency in {origin} has no wheel for {platform.label}, and its source was not found: {said}",
                hint="Choose another version of the plugin, or an index that has a wheel or the source.",
            )
        return RepackError(Reason.DEPENDENCY_CONFLICT, f"The dependencies in {origin} cannot be resolved: {said}")
    if "building source distributions" in lowered or "is disabled" in lowered:
        return RepackError(
            Reason.DEPENDENCY_CONFLICT,
            f"{origin} names a source whose dependencies only its own code can tell: {said}",
            hint="Lock the plugin (`uv lock`) and pack it again: the lock says what the source depends on.",
        )
    for pattern, reason, meaning in _SYMPTOMS:
        if re.search(pattern, lowered):
            return RepackError(reason, f"{meaning} while reading {origin}: {said}{more}")
    return RepackError(Reason.DEPENDENCY_CONFLICT, f"uv could not resolve {origin}: {said}")


def read_pylock(
    text: str, *, origin: str, platform: Platform, stubs: Mapping[tuple[str, str], _Source] | None = None
) -> Plan:
    """Return the plan that a pylock.toml stands for; what uv took from a stub is to be built."""
    packages = tomli.loads(text).get("packages", [])
    chosen = [_choose(package, platform, stubs or {}) for package in packages]
    return Plan.of(chosen, platform=platform, origin=origin)


def _choose(
    package: dict[str, Any], platform: Platform, stubs: Mapping[tuple[str, str], _Source]
) -> Wheel | SourceDist:
    name, version = canonicalize_name(package["name"]), package.get("version", "")
    if source := stubs.get((name, version)):
        file = source.file
        return SourceDist(name=name, version=version, url=file.url, sha256=file.sha256, size_bytes=file.size_bytes)
    if vcs := package.get("vcs"):
        subdirectory = f"?subdirectory={vcs['subdirectory']}" if vcs.get("subdirectory") else ""
        return git_source(name, version, f"{vcs.get('url', '')}{subdirectory}#{vcs.get('commit-id', '')}")
    archive = package.get("archive")
    if archive and not str(archive.get("url", "")).endswith(".whl"):
        return choose(name, version, files=[], sdist=archive, platform=platform)
    files = package.get("wheels") or ([archive] if archive else [])
    if not version and files:
        version = str(files[0]["url"]).rpartition("/")[2].split("-")[1]
    return choose(name, version, files=files, sdist=package.get("sdist"), platform=platform)
