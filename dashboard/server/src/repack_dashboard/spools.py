"""Log lines as bytes: one JSON LogLine a line, in the order of their numbers. Pure."""

import re
from collections.abc import Iterable

from repack_contract.progress import LogLine

_NUMBER = re.compile(rb'\{"n":(\d+)[,}]')


def ndjson(lines: Iterable[LogLine]) -> bytes:
    """Return lines as they are stored."""
    return b"".join(line.model_dump_json(exclude_none=True).encode() + b"\n" for line in lines)


def line_number(line: bytes) -> int:
    """Return the number of a stored line; 0 of what is none."""
    match = _NUMBER.match(line)
    return int(match.group(1)) if match else 0


def joined(one: bytes, other: bytes) -> bytes:
    """Return the lines of both, each once, in order; half a line that a crash left at an end is dropped."""
    last = max((line_number(line) for line in one.splitlines()), default=0)
    if one.endswith(b"\n") and all(line_number(line) > last for line in _whole(other)):
        return one + b"".join(line + b"\n" for line in _whole(other))
    lines = {line_number(line): line for part in (other, one) for line in _whole(part)}
    return b"".join(lines[n] + b"\n" for n in sorted(lines) if n)


def _whole(part: bytes) -> list[bytes]:
    return part.rpartition(b"\n")[0].split(b"\n") if b"\n" in part else []
