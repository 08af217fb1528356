"""Reading `uv.lock` directly: no resolution, no network, and the exact sizes before the first byte (0.1, fact 4).

The walk gives what `uv export --frozen --no-dev --no-emit-project` gives (262 of 262 official plugins): from the
project along its dependencies, markers evaluated for the target, extras followed, dependency groups left out.
"""

from collections import deque
from collections.abc import Iterator
from typing import Any

from packaging.markers import InvalidMarker, Marker, UndefinedEnvironmentName
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from repack_contract.errors import RepackError
from repack_contract.reasons import Reason
from repack_worker.archive import invalid
from repack_worker.plan import Plan, SourceDist, Wheel, choose, git_source
from repack_worker.platforms import Platform
from repack_worker.texts import read_toml

LOCK = "uv.lock"
_LOCK_VERSION = 1
_MAX_PACKAGES = 5000
"""The largest lock of an official plugin has 185."""
_MAX_OF_ONE_NAME = 100
_MAX_SPECIFIER = 1000
Package = dict[str, Any]


def plan_from_lock(text: str, *, platform: Platform) -> Plan:
    """Return the plan that the lock stands for; raise when it is unreadable or gives neither wheel nor source."""
    lock = _parse(text)
    chosen = [_choose(package, platform) for package in _closure(lock, platform)]
    return Plan.of(chosen, platform=platform, origin=LOCK)


def _parse(text: str) -> dict[str, Any]:
    lock = read_toml(text, name=LOCK)
    if lock.get("version") != _LOCK_VERSION or not isinstance(lock.get("package"), list):
        raise invalid(
            f"uv.lock has version {lock.get('version')!r:.40}; version {_LOCK_VERSION} is understood.",
            hint="Lock the plugin again with a current uv (`uv lock`).",
        )
    if len(lock["package"]) > _MAX_PACKAGES or len(str(lock.get("requires-python", ""))) > _MAX_SPECIFIER:
        raise invalid(f"uv.lock names more than {_MAX_PACKAGES:,} packages, or an endless requires-python.")
    return lock


def _closure(lock: dict[str, Any], platform: Platform) -> list[Package]:
    """Return the packages to install, the project itself left out; one version of each name."""
    packages: list[Package] = lock["package"]
    try:
        _check_python(lock, platform)
        root, by_name = _root(packages), _by_name(packages)
        chosen: dict[str, Package] = {}
        queue = deque(_wanted(root, platform, extra=None))
        seen: set[tuple[str, str, str | None]] = set()
        while queue:  # ends: each (name, version, extra) is followed once
            dependency, extra = queue.popleft()
            package = _find(by_name, dependency)
            key = (package["name"], package.get("version", ""), extra)
            if key in seen or package is root:
                continue
            seen.add(key)
            chosen[package["name"]] = package
            queue.extend(_wanted(package, platform, extra=extra))
    except (KeyError, TypeError, AttributeError, InvalidMarker, InvalidSpecifier, UndefinedEnvironmentName,
            RecursionError) as error:  # fmt: skip
        raise invalid(f"uv.lock cannot be understood: {type(error).__name__} {error}.") from error
    return list(chosen.values())


def _check_python(lock: dict[str, Any], platform: Platform) -> None:
    wanted = lock.get("requires-python", "")
    # Any patch release will do: `>=3.12.4` is met by the image's Python, `>=3.13` is not.
    if wanted and not any(f"{platform.python}.{patch}" in SpecifierSet(wanted) for patch in range(40)):
        raise RepackError(
            Reason.DEPENDENCY_CONFLICT,
            f"The plugin's uv.lock asks for Python {wanted}; the package is made for Python {platform.python}.",
            hint="Dify's daemon runs plugins on Python 3.12: choose another version of the plugin.",
        )


def _root(packages: list[Package]) -> Package:
    for package in packages:
        source = package.get("source", {})
        if "." in (source.get("virtual"), source.get("editable")):
            return package
    raise invalid("uv.lock does not contain the plugin itself (no package with the source '.').")


def _wanted(package: Package, platform: Platform, *, extra: str | None) -> Iterator[tuple[Package, str | None]]:
    """Yield (dependency, extra) for all that a package, or one extra of it, needs on the platform."""
    wanted = package.get("optional-dependencies", {}).get(extra, []) if extra else package.get("dependencies", [])
    for dependency in wanted:
        marker = dependency.get("marker")
        if marker and not Marker(marker).evaluate({**platform.environment, "extra": extra or ""}):
            continue
        yield dependency, None
        for further in dependency.get("extra", []):
            yield dependency, further


def _by_name(packages: list[Package]) -> dict[str, list[Package]]:
    found: dict[str, list[Package]] = {}
    for package in packages:
        found.setdefault(package["name"], []).append(package)
    for name, same in found.items():
        if len(same) > _MAX_OF_ONE_NAME:
            raise invalid(f"uv.lock names {len(same):,} packages {name!r}.")
    return found


def _find(by_name: dict[str, list[Package]], dependency: Package) -> Package:
    for package in by_name.get(dependency["name"], []):
        if all(package.get(field) == dependency[field] for field in ("version", "source") if field in dependency):
            return package
    raise invalid(f"uv.lock names {dependency['name']!r} as a dependency and does not contain it.")


def _choose(package: Package, platform: Platform) -> Wheel | SourceDist:
    name, version = str(package["name"]), str(package.get("version", ""))
    source = package.get("source", {})
    if "git" in source:
        return git_source(name, version, str(source["git"]))
    if local := next((kind for kind in ("path", "directory", "editable", "virtual") if kind in source), None):
        raise invalid(
            f"uv.lock takes {name} from a folder of its author's machine ({local} {source[local]!r}).",
            hint="Take it from a package index, or from an https address, and lock the plugin again (`uv lock`).",
        )
    files, sdist = package.get("wheels", []), package.get("sdist")
    if "url" in source:
        files = [{"url": source["url"], **file} for file in files]
        sdist = {"url": source["url"], "subdirectory": source.get("subdirectory", ""), **sdist} if sdist else None
    return choose(name, version, files=files, sdist=sdist, platform=platform)
