"""The tables, as markdown, with the machine and the versions behind them."""

import json
import os
import platform
import statistics
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from load import Stats
from logs import MEMORY, REDIS, Logs
from measure import OURS, PEER, Batching, FanOut, Held, Path2Browser

PACKAGES = ("uvicorn", "websockets", "uvloop", "fastapi", "starlette", "httptools")


@dataclass
class Report:
    """Everything that was measured."""

    load_before: tuple[float, float, float]
    rounds: int
    load_after: tuple[float, float, float] = (0.0, 0.0, 0.0)
    fan_out: list[FanOut] = field(default_factory=list)
    batching: list[Batching] = field(default_factory=list)
    ingest: Path2Browser | None = None
    logs: Logs | None = None
    """None where there was no redis-server."""
    held: Held | None = None


def save_held(held: Held, file: Path) -> None:
    """Keep what was held, with the day and the machine."""
    when = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {_processor()} with {os.cpu_count()} cores"
    file.write_text(json.dumps({"measured": when, "held": asdict(held)}, indent=2) + "\n", encoding="utf-8")


def as_markdown(report: Report, *, kept: Path | None = None) -> str:
    """Return the page; `kept` is a file that `save_held` wrote, if it is there."""
    parts = [_head(report)]
    if report.fan_out:
        parts += [_goals(report), _fan_out(report.fan_out), _batching(report.batching)]
    if report.ingest:
        parts.append(_ingest(report.ingest))
    if report.logs:
        parts.append(_logs(report.logs))
    if report.held:
        parts.append(_held(report.held))
    if kept is not None and kept.exists():
        parts.append(_kept(json.loads(kept.read_text(encoding="utf-8"))))
    return "\n".join(parts)


def _head(report: Report) -> str:
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    before, after = (" ".join(f"{one:.1f}" for one in load) for load in (report.load_before, report.load_after))
    return f"""\
# Realtime benchmark

<!-- Written by `make bench-realtime`. Do not edit. -->

Measured {datetime.now(UTC):%Y-%m-%d %H:%M} UTC on {_processor()} with {os.cpu_count()} cores, Linux
{platform.release()}, CPython {platform.python_version()}, {versions}.

Load averages before and after: {before} and {after}. The benchmark itself makes about 2; what is far above that
was others' work on the same machine. Only the ratios are to be trusted: both sides of each take turns in one run
(medians of {report.rounds} pairs), so that contention meets both. All of it on loopback; the clients are a C program
in a process of its own.
"""


def _goals(report: Report) -> str:
    by_size = {one.clients: one for one in report.fan_out}
    best = max(one.per_second for one in report.batching)
    rows = [
        ("Fan-out, CPU per delivery, 5,000 clients", f"{by_size[5000].cpu_ratio(OURS):.2f} × C loop", "≤ 1.35"),
        ("Publish to the last of 2,000 clients", f"{by_size[2000].last_ratio(OURS):.2f} × C loop", "≤ 1.6"),
        ("Delivered with tick batching", f"{best / 1e6:.2f} M messages/s", "≥ 1 M"),
    ]
    if report.ingest:
        above = (report.ingest.stats.p99_us - report.ingest.loop_p99_us) / 1000
        rows.append(("Ingest to browser, p99 above the loop's own delay", f"{above:.1f} ms", "≤ 50 ms"))
    if report.logs:
        what = f"Full path with Redis Streams, to the last of {report.logs.clients:,} clients"
        rows.append((what, f"{report.logs.last_ratio:.2f} × memory log", "printed"))
    if report.held:
        rows.append(("Memory per idle connection", f"{report.held.bytes_each / 1024:.1f} KiB", "≤ 32 KB"))
    return "## Goals\n\n" + _table(("What", "Measured", "Goal"), rows)


def _fan_out(found: list[FanOut]) -> str:
    rows = []
    for side in found[0].sides:
        cells = [f"{one.cpu_ratio(side):.2f}" for one in found]
        micro = statistics.median(found[-1].sides[side].cpu) * 1e6
        last = [f"{statistics.median(one.sides[side].last) * 1000:.1f}" for one in found if one.clients >= 2000]
        rows.append((f"**{side}**" if side == OURS else side, *cells, f"{micro:.1f}", *last))
    sizes = [f"× {PEER}, {one.clients:,} clients" for one in found]
    lasts = [f"last of {one.clients:,}, ms" for one in found if one.clients >= 2000]
    return f"""\
## Fan-out

CPU (user and system) of the server process per message of 300 bytes delivered, each message by itself. *Ours* is the
hub with its checks, portions and counters; the C loop writes to the very same sockets.

{_table(("", *sizes, "µs per message at the largest", *lasts), rows)}"""


def _batching(found: list[Batching]) -> str:
    rows = [
        (f"{one.clients:,}", str(one.joined), f"{one.per_second / 1e6:.2f} M", f"{one.cpu * 1e6:.2f}") for one in found
    ]
    return f"""\
## Tick batching

Messages of 300 bytes that come within one tick (20 ms, the default) are joined to one write per client. The next ones
are published when all clients have these, so the tick's own waiting is included.

{_table(("Clients", "Messages per tick", "Delivered per second", "µs CPU per message"), rows)}"""


def _ingest(found: Path2Browser) -> str:
    stats = found.stats
    rows = [
        ("p50", f"{stats.p50_us / 1000:.1f} ms"),
        ("p99", f"{stats.p99_us / 1000:.1f} ms"),
        ("highest", f"{stats.max_us / 1000:.1f} ms"),
        ("p99 of the event loop's own delay", f"{found.loop_p99_us / 1000:.1f} ms"),
        ("events sent, deliveries measured", f"{found.sent:,}, {stats.samples:,}"),
    ]
    return f"""\
## Ingest to browser

A sender in a process of its own reports progress over HTTP, {found.per_second} events per second, one per request;
{found.clients} clients hear all tasks. From before the request is written until the client has read the message, with
the memory log and all settings as delivered (a tick of 20 ms).

{_table(("", ""), rows)}"""


def _logs(found: Logs) -> str:
    rows = [
        (
            name,
            f"{statistics.median(found.last[name]) * 1000:.2f}",
            f"{statistics.median(found.cpu[name]) * 1000:.2f}",
        )
        for name in (MEMORY, REDIS)
    ]
    rows.append((f"{REDIS} × {MEMORY}", f"{found.last_ratio:.2f}", f"{found.cpu_ratio:.2f}"))
    return f"""\
## Event logs

The full path of one event after another, each by itself: from a worker's progress, through the board and the log, to
the last of {found.clients:,} clients. Redis is a redis-server on this machine that writes each event to its disk; its
own CPU is not counted. What a replica does for an event that another one took is the same but for the writing.

{_table(("log", "ms until the last client has it", "ms CPU of the dashboard"), rows)}"""


def _kept(saved: dict[str, Any]) -> str:
    found = Held(**{**saved["held"], "stats": Stats(**saved["held"]["stats"])})
    return f"""\
## Held for ten minutes

Measured by itself ({saved["measured"]}), because it takes so long:
`python bench/realtime --only-hold --hold 19000 --seconds 600 --save docs/realtime-hold.json`.

{_table(("", ""), _held_rows(found))}"""


def _held_rows(found: Held) -> list[tuple[str, ...]]:
    return [
        ("connections", f"{found.stats.open:,}"),
        ("held for", f"{found.seconds:.0f} s"),
        ("lost", str(found.stats.lost)),
        ("protocol pings answered", f"{found.stats.pings:,}"),
        ("memory of the server per connection", f"{found.bytes_each / 1024:.1f} KiB"),
        ("growth of its memory meanwhile", f"{found.growth_bytes / 1024**2:.1f} MiB"),
        ("its CPU, share of a core", f"{found.cpu * 100:.1f} %"),
    ]


def _held(found: Held) -> str:
    return f"""\
## Idle connections

One server process, all settings but `max_connections` as delivered.

{_table(("", ""), _held_rows(found))}"""


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
