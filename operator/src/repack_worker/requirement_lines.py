"""Reading the `requirements.txt` of a plugin: requirements and nothing else.

Lines with options decide where packages come from or run code of the plugin's choice, so they are dropped (indexes) or
refused (editable, local and nested files): only plain requirements reach uv.
"""

import re

from msgspec import Struct
from packaging.requirements import InvalidRequirement, Requirement

from repack_worker.archive import invalid

REQUIREMENTS = "requirements.txt"
_COMMENT = re.compile(r"(^|\s)#.*$")
_OPTIONS = re.compile(r"\s--?[a-zA-Z]")
_ADDRESSES = ("https://", "http://", "git+https://", "git+http://")
_HASH = re.compile(r"--hash[= ](sha(?:256|384|512):[0-9a-f]+)(?=\s|$)")
_VARIABLE = re.compile(r"\$\{|%\w+%")
_MAX_TEXT = 1 << 20
_MAX_LINE = 64 << 10
_MAX_SPECIFIER = 4 << 10
"""A long marker costs its parser more than its length."""
_DROPPED = re.compile(
    r"^(-i|-f|--index-url|--extra-index-url|--find-links|--no-index|--trusted-host|--prefer-binary|--pre|"
    r"--only-binary|--no-binary|--require-hashes|--use-feature)\b"
)


class Requirements(Struct, frozen=True):
    """What was read: requirement lines for uv, and what was left out."""

    lines: tuple[str, ...]
    dropped: tuple[str, ...]


def read_requirements(text: str, *, origin: str = REQUIREMENTS) -> Requirements:
    """Return the requirements of a requirements.txt; raise `InvalidPackage` naming the line that is none."""
    lines: list[str] = []
    dropped: list[str] = []
    if len(text) > _MAX_TEXT:
        raise invalid(f"{origin} is larger than {_MAX_TEXT >> 20} MiB.")
    joined = text.replace("\r\n", "\n").replace("\\\n", " ")
    for raw in joined.splitlines():
        if len(raw) > _MAX_LINE:
            raise invalid(f"{origin}: the line {raw[:80]!r} is longer than {_MAX_LINE:,} characters.")
        line = _COMMENT.sub("", raw).strip()
        if not line:
            continue
        if _DROPPED.match(line):
            dropped.append(line)
        elif line.startswith("-"):
            raise invalid(
                f"{origin}: the line {line[:120]!r} is an option that a plugin cannot use.",
                hint="List plain requirements: no editable installs, no further requirement or constraint files.",
            )
        else:
            lines.append(_requirement(line, origin))
    return Requirements(lines=tuple(lines), dropped=tuple(dropped))


def _requirement(line: str, origin: str) -> str:
    """Return the line as uv shall see it: the requirement and its hashes."""
    option = _OPTIONS.search(line)
    specifier = line[: option.start()].strip() if option else line
    if len(specifier) > _MAX_SPECIFIER:
        raise invalid(f"{origin}: {line[:120]!r} is longer than {_MAX_SPECIFIER:,} characters.")
    if _VARIABLE.search(specifier):
        raise invalid(
            f"{origin}: {line[:120]!r} asks for a variable of the environment.",
            hint="Write the address out: what is in our environment is not for a plugin to send anywhere.",
        )
    try:
        requirement = Requirement(specifier)
    except (InvalidRequirement, RecursionError) as error:
        fault = str(error).partition("\n")[0]
        raise invalid(f"{origin}: {line[:120]!r} is no requirement: {fault}.") from error
    if requirement.url and not requirement.url.startswith(_ADDRESSES):
        raise invalid(
            f"{origin}: {line[:120]!r} does not come from an index or a web address.",
            hint="Name a version on a package index, or an https address; no local files, no other protocols.",
        )
    hashes = " ".join(f"--hash={value}" for value in _HASH.findall(line))
    return f"{specifier} {hashes}".strip()
