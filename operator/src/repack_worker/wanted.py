"""What a plugin without a lock asks for: the requirements and the rules under which uv chooses their versions."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from repack_worker.archive import invalid
from repack_worker.plugin import Plugin
from repack_worker.requirement_lines import REQUIREMENTS, read_requirements

PYPROJECT = "pyproject.toml"
_PRERELEASE = {"disallow", "allow", "if-necessary", "explicit", "if-necessary-or-explicit"}


@dataclass(frozen=True)
class Wanted:
    """Requirement lines without options, and what else decides about versions."""

    origin: str
    """The file they come from, for messages."""
    lines: tuple[str, ...]
    constraints: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()
    prerelease: str | None = None
    exclude_newer: str | None = None
    warnings: tuple[str, ...] = field(default=(), compare=False)


def from_requirements(plugin: Plugin) -> Wanted:
    """Read `requirements.txt`; options are left out, and the warnings say which."""
    read = read_requirements(plugin.text_of(REQUIREMENTS))
    dropped = tuple(f"requirements.txt: the option {line!r} was left out" for line in read.dropped)
    return Wanted(origin=REQUIREMENTS, lines=read.lines, warnings=dropped)


def from_pyproject(plugin: Plugin) -> Wanted:
    """Read `[project]` and the parts of `[tool.uv]` that change versions.

    As for the daemon's `uv sync --no-dev`, groups and extras of the plugin itself do not count. An index that the
    author names is left out, like the options of a requirements.txt: where packages come from is ours to say.
    """
    try:
        document = plugin.toml_of(PYPROJECT)
        project = document["project"]
        given = list(project.get("dependencies", []))
        tool = document.get("tool", {}).get("uv", {})
        warnings: list[str] = []
        if "dependencies" in project.get("dynamic", []):
            raise invalid(
                "pyproject.toml leaves its dependencies to the build (dynamic); they must be listed.",
                hint="List them under [project] dependencies, or lock the plugin (`uv lock`), and pack it again.",
            )
        sources: dict[str, Any] = {canonicalize_name(name): source for name, source in tool.get("sources", {}).items()}
        lines = [_with_source(line, sources, warnings) for line in given]
        if tool.get("index"):
            warnings.append("pyproject.toml: [[tool.uv.index]] was left out; the configured index is asked")
        return Wanted(
            origin=PYPROJECT,
            lines=_checked(lines),
            constraints=_checked(tool.get("constraint-dependencies", [])),
            overrides=_checked(tool.get("override-dependencies", [])),
            prerelease=tool.get("prerelease") if tool.get("prerelease") in _PRERELEASE else None,
            exclude_newer=str(tool["exclude-newer"]) if "exclude-newer" in tool else None,
            warnings=tuple(warnings),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise invalid(
            "pyproject.toml has no [project] with a list of dependencies.",
            hint="Write them as the packaging guide has it ([project] name, version, dependencies), or put a "
            "requirements.txt beside it.",
        ) from error


def _checked(lines: list[str]) -> tuple[str, ...]:
    """Return the lines once each is a plain requirement; the same rules as for requirements.txt."""
    return read_requirements("\n".join(lines), origin=PYPROJECT).lines


def _with_source(line: str, sources: Mapping[str, Any], warnings: list[str]) -> str:
    """Return the requirement with the address that `[tool.uv.sources]` gives it."""
    try:
        requirement = Requirement(line)
    except InvalidRequirement:
        return line  # refused by name a moment later
    source = sources.get(canonicalize_name(requirement.name))
    if not isinstance(source, dict):
        if source is not None:
            warnings.append(f"pyproject.toml: the several sources of {requirement.name} were left out")
        return line
    if "git" in source:
        revision = source.get("rev") or source.get("tag") or source.get("branch")
        address = f"git+{source['git']}" + (f"@{revision}" if revision else "")
        fragment = f"#subdirectory={source['subdirectory']}" if source.get("subdirectory") else ""
        requirement.url = address + fragment
    elif "url" in source:
        requirement.url = str(source["url"])
    elif "index" in source:
        warnings.append(f"pyproject.toml: the index {source['index']!r} of {requirement.name} was left out")
        return line
    else:
        kind = next(iter(source), "?")
        raise invalid(
            f"pyproject.toml takes {requirement.name} from its author's machine ([tool.uv.sources] {kind}).",
            hint="Take it from a package index, or from an https address, and pack the plugin again.",
        )
    requirement.specifier = type(requirement.specifier)()  # PEP 508: an address or a version, not both
    return str(requirement)
