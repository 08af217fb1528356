"""The page of the benchmark: medians, ratios, and whether a goal is met; every figure is one that was measured."""

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

from server import Line
from ways import CONNECTIONS, Took
from wheelhouse import Wheel

COLD_GOAL, WARM_GOAL, TRANSFER_GOAL = 8, 20, 2
EACH_GOAL, BYTES_GOAL, MEMORY_GOAL = 0.25, 1.05, 200

_PAGE = """# Benchmark of the worker

Written by `make bench-worker`; do not edit. One machine ({cores} cores, {python}), the ways alternating, medians of
{rounds} of pip and {ours} of ours. The load of the machine when it began: {load:.1f} (1 is one core). The goals are
those of issue 6.

The **classic way** is pip {pip}: unzip, `pip download`, header line, deflated zip; it verifies nothing. It is given the
plugin's own requirements, ranges as an author writes them, and in a second column all of the closure pinned, which
spares it nearly all of the choosing. **Ours** is the command `dify-repack pack` with its start, reading the `uv.lock`
as all official plugins have one; its verification is taken out and shown by itself. **Raw** is the transfer of the same
wheels over as many connections ({connections}), by threads on plain sockets, with nothing hashed.

{table}

{others}

The plugins and the index are synthetic. As on the real index: a graph of dependencies with ranges of versions, 40 to
100 versions a project, JSON pages (compressed) with every field and 25 files a version where a project is compiled,
metadata files (PEP 658), caching headers, wheels of deflated text and code, few large and many small. Not as on the
real index, and in favour of pip: nothing ever conflicts, so it need not go back; there is no TLS. The server is one
thread a connection with `sendfile`, in a process of its own on the same machine: it and what is measured share the
cores. *Loopback* has no round trip and no limit, so there is nothing that parallel connections could hide; the other
line is imitated in the server, by a pause before each answer and one rate for all connections.
"""


@dataclass
class Run:
    """The measurements of one plugin, cold or warm; seconds."""

    ranges: list[float] = field(default_factory=list)
    pins: list[float] = field(default_factory=list)
    ours: list[Took] = field(default_factory=list)
    raw: list[float] = field(default_factory=list)


@dataclass
class Case:
    """One plugin on one line."""

    wheels: Sequence[Wheel]
    line: Line
    locked: bool = True
    runs: dict[str, Run] = field(default_factory=lambda: {"cold": Run(), "warm": Run()})

    @property
    def label(self) -> str:
        """What it is."""
        size = sum(wheel.size for wheel in self.wheels) / 1e6
        return f"{len(self.wheels)} wheels, {size:.0f} MB{'' if self.locked else ', no lock'}, {self.line.label}"


@dataclass(frozen=True)
class Facts:
    """What was measured beside the plugins of the table, and how."""

    rounds: int
    ours_rounds: int
    pip: str
    load: float
    plugins: int
    seconds_each: float
    bytes_share: float
    peak_bytes: int
    big_bytes: int


def page(cases: Sequence[Case], facts: Facts) -> str:
    """Return the page."""
    heads = ("plugin, line", "caches", "classic", "classic, pinned", "ours", "× classic", "× pinned", "goal", "met",
             "its stages", "verification", "raw", "download ÷ raw", "ours ÷ raw")  # fmt: skip
    return _PAGE.format(
        cores=os.cpu_count(), python=f"CPython {platform.python_version()}", rounds=facts.rounds,
        ours=facts.ours_rounds, load=facts.load, pip=facts.pip, connections=CONNECTIONS,
        table=_table(heads, [_row(case, heat) for case in cases for heat in case.runs]),
        others=_table(("what", "measured", "goal", "met"), _others(facts)),
    )  # fmt: skip


def _row(case: Case, heat: str) -> list[str]:
    run, goal = case.runs[heat], COLD_GOAL if heat == "cold" else WARM_GOAL
    bare = median(took.whole - took.verifying for took in run.ours)
    ratios = [median(peer) / bare if peer else None for peer in (run.ranges, run.pins)]
    raw = median(run.raw) if run.raw else None
    download = median(took.download for took in run.ours)
    met = ratios[0] is not None and ratios[0] >= goal
    return [
        case.label, heat, *(f"{median(peer):.2f} s" if peer else "" for peer in (run.ranges, run.pins)),
        f"{bare:.2f} s", *(f"{ratio:.1f}×" if ratio else "" for ratio in ratios), f"≥ {goal}×", _said(met),
        f"{median(took.stages for took in run.ours):.2f} s", f"{median(took.verifying for took in run.ours):.2f} s",
        f"{raw:.2f} s" if raw else "", f"{download / raw:.1f}" if raw else "",
        f"{bare / raw:.1f} (≤ {TRANSFER_GOAL}: {_said(bare / raw <= TRANSFER_GOAL)})" if raw else "",
    ]  # fmt: skip


def _others(facts: Facts) -> list[list[str]]:
    each, share, peak = facts.seconds_each, facts.bytes_share, facts.peak_bytes / 1e6
    return [
        [f"{facts.plugins} plugins in one process, overlapping dependencies", f"{each:.3f} s a plugin",
         f"≤ {EACH_GOAL} s", _said(each <= EACH_GOAL)],
        ["bytes downloaded for them ÷ unique bytes", f"{share:.3f}", f"≤ {BYTES_GOAL}", _said(share <= BYTES_GOAL)],
        [f"peak memory while packing {facts.big_bytes / 1e9:.2f} GB of wheels", f"{peak:.0f} MB", f"≤ {MEMORY_GOAL} MB",
         _said(peak <= MEMORY_GOAL)],
    ]  # fmt: skip


def _said(met: bool) -> str:  # noqa: FBT001 - one flag
    return "yes" if met else "**no**"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
