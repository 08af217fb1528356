"""What the soak found, judged and as markdown."""

import os
import platform
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

MEMORY_BOUND = 12 * 2**20
"""What the memory may grow by from the second rest to the last; until then what is kept on purpose fills up."""


@dataclass(frozen=True)
class Rest:
    """A moment at which nothing was published and no line broke."""

    is_right: bool
    """Each client had one socket and showed what the server knew."""
    took: float
    wrong: int
    connected: int
    told: dict[str, Any]
    """Of the server: clients, asyncio tasks, file descriptors, bytes of memory."""


@dataclass
class Held:
    """The long part."""

    clients: int
    seconds: float
    before: dict[str, Any] = field(default_factory=dict)
    after: dict[str, Any] = field(default_factory=dict)
    rests: list[Rest] = field(default_factory=list)
    counts: dict[str, Any] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    """Lines of the server's log that should not be there."""
    faults: dict[str, int] = field(default_factory=dict)
    events: int = 0
    slow: float = 0
    coalesced: float = 0

    @property
    def growth(self) -> int:
        """Bytes of memory from the second rest to the last."""
        return int(self.rests[-1].told["rss"] - self.rests[:2][-1].told["rss"])


@dataclass(frozen=True)
class Storm:
    """All clients back after a restart."""

    sign: str
    clients: int
    ending: float
    took: float
    slowest: float
    rest: Rest
    after: Rest
    closes: dict[str, int]


@dataclass
class Report:
    """Everything."""

    held: Held | None = None
    storms: list[Storm] = field(default_factory=list)

    @property
    def faults(self) -> list[str]:
        """What should not have been."""
        return [
            *(_of_held(self.held) if self.held else []),
            *(fault for one in self.storms for fault in _of_storm(one)),
        ]


def _of_held(held: Held) -> list[str]:
    found = [f"{held.counts[name]} events {name}" for name in ("lost", "repeated") if held.counts[name]]
    found += [
        f"rest {number}: {rest.wrong} clients were wrong, {rest.connected} connected, {rest.told}"
        for number, rest in enumerate(held.rests, start=1)
        if not rest.is_right
    ]
    found += [f"the server wrote: {line}" for line in held.errors[:5]]
    tasks = {rest.told["tasks"] for rest in held.rests}
    fds = {rest.told["fds"] for rest in held.rests}
    if max(tasks) - min(tasks) > 2 or max(fds) - min(fds) > 5:
        found.append(f"with the same clients there were {sorted(tasks)} tasks and {sorted(fds)} descriptors")
    for name in ("clients", "tasks", "fds"):
        if held.after[name] > held.before[name]:
            found.append(f"at the end {held.after[name]} {name} were left, {held.before[name]} at the beginning")
    if held.growth > MEMORY_BOUND:
        found.append(f"memory grew by {held.growth / 2**20:.1f} MiB")
    return found


def _of_storm(one: Storm) -> list[str]:
    return [
        f"{one.sign}: {rest.wrong} clients were wrong, {rest.connected} of {one.clients} connected, {rest.told}"
        for rest in (one.rest, one.after)
        if not rest.is_right
    ]


def as_markdown(report: Report) -> str:
    """Return the page."""
    verdict = "\n".join(f"- **{fault}**" for fault in report.faults) or "Nothing was lost, seen wrong or left behind."
    parts = [
        f"""\
# Soak

<!-- Written by `make soak`. Do not edit. -->

Run {datetime.now(UTC):%Y-%m-%d %H:%M} UTC on {os.cpu_count()} cores, Linux {platform.release()}, CPython \
{platform.python_version()}, uvicorn {version("uvicorn")}, websockets {version("websockets")}.
The clients are the browsers' own module (`/client/taskws.js`) in one Node process; the server is a process of its own.

{verdict}
"""
    ]
    if report.held:
        parts.append(_held(report.held))
    if report.storms:
        parts.append(_storms(report.storms))
    return "\n".join(parts)


def _held(held: Held) -> str:
    first, last, counts = held.rests[0].told, held.rests[-1].told, held.counts
    faults = ", ".join(f"{count} × {name}" for name, count in sorted(held.faults.items()))
    closes = ", ".join(f"{code}: {count:,}" for code, count in sorted(counts["closes"].items()))
    rows = [
        ("clients at one time, of which a quarter hear one task", f"{held.clients:,}"),
        ("clients that left and were replaced", f"{counts['replaced']:,}"),
        ("connections made", f"{counts['opens']:,}"),
        ("closes that clients saw, by code", closes),
        ("lines broken", faults),
        ("events published, messages heard", f"{held.events:,}, {counts['messages']:,}"),
        ("slow readers closed, frames left out for newer", f"{held.slow:.0f}, {held.coalesced:.0f}"),
        ("snapshots instead of a replay (declared)", f"{counts['resyncs']:,}"),
        ("**events lost, events heard twice**", f"**{counts['lost']}, {counts['repeated']}**"),
        ("rests at which every client had one socket and showed what the server knew",
         f"{sum(rest.is_right for rest in held.rests)} of {len(held.rests)}"),
        ("asyncio tasks: empty, first rest, last rest, empty again",
         f"{held.before['tasks']}, {first['tasks']}, {last['tasks']}, {held.after['tasks']}"),
        ("file descriptors: likewise",
         f"{held.before['fds']}, {first['fds']}, {last['fds']}, {held.after['fds']}"),
        ("memory of the server, MiB: likewise", ", ".join(
            f"{told['rss'] / 2**20:.1f}" for told in (held.before, first, last, held.after))),
    ]  # fmt: skip
    return f"""\
## {held.seconds:.0f} seconds of churn and faults

{_table(("", ""), rows)}
Memory at each rest, MiB: {", ".join(f"{rest.told['rss'] / 2**20:.1f}" for rest in held.rests)}. What the
server keeps on purpose (events of the last minute, the last 1,000 lines of each log) fills up at the beginning.
"""


def _storms(storms: list[Storm]) -> str:
    rows = []
    for one in storms:
        closes = ", ".join(f"{code}: {count:,}" for code, count in sorted(one.closes.items()) if count)
        state = "yes" if one.rest.is_right and one.after.is_right else "no"
        rows.append(
            (one.sign, f"{one.ending:.1f}", f"{one.took:.1f}", f"{one.slowest * 1000:.0f}", state, closes)
        )  # fmt: skip
    head = ("ended by", "ending, s", "all back after, s", "slowest /healthz meanwhile, ms",
            "each one socket, right view", "closes by code")  # fmt: skip
    return f"""\
## Storm of {storms[0].clients:,} clients

The server is ended and started again at once; all clients come back to it by themselves, with the page's own timers.
SIGTERM drains (1012, spread over ten seconds, and `goaway` says when to come back); SIGKILL breaks all lines at one
moment.

{_table(head, rows)}"""


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
