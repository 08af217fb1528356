"""The worker's benchmark: everything against its peer in one run, on plugins that the benchmark makes itself.

Usage: python bench/worker [--rounds N] [--write docs/worker-bench.md] [--quick]
"""

import argparse
import asyncio
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from plugins import a_closure, a_plugin, a_random_wheel
from server import serving
from ways import Took, classic, fleet, newest_pip, ours, transfer

from repack_worker.settings import Settings

SIZES = ((37, 11 << 20), (58, 53 << 20), (48, 70 << 20))
"""Wheels and bytes of three plugins, like cot_agent, yahoo and oci (repackaging.md 7)."""
PAGE = """# Benchmark of the worker

Written by `make bench-worker`; do not edit. One machine ({cores} cores, {python}), {rounds} rounds, the ways
alternating, medians. The plugins are synthetic: random bytes on an index on the loopback interface, so there is no
latency that parallel connections could hide; on a real line the classic way loses more.
The classic way is pip {pip} (`pip download` of pinned requirements, header line, deflated zip); it verifies nothing.
Ours is the command `dify-repack pack` with its start; its verification is shown by itself. The load of the machine when
it was measured: {load:.1f} (1 is one core). Transfer: the same files, as many connections, nothing else; goal ≤ 2.

| plugin | caches | classic | ours without verification | goal | its stages alone | verification | download ÷ transfer |
|---|---|---|---|---|---|---|---|
{rows}

| what | measured | goal |
|---|---|---|
| {fleet_size} plugins in one process, overlapping dependencies | {fleet_each:.3f} s a plugin | ≤ 0.25 s |
| bytes downloaded for them ÷ unique bytes | {fleet_bytes:.3f} | ≤ 1.05 |
| peak memory while packing {big:.2f} GB of wheels | {memory:.0f} MB | ≤ 200 MB |
"""


@dataclass
class Row:
    """The rounds of one plugin."""

    count: int
    size: int
    classic: dict[str, list[float]]
    ours: dict[str, list[Took]]
    transfer: list[float]


def main() -> None:
    """Run everything and print or write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="rounds, each cold and warm (default: 3)")
    parser.add_argument("--write", type=Path, help="write the page there in place of printing it")
    parser.add_argument("--quick", action="store_true", help="the smallest plugin, 20 plugins, 100 MB")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        text = run(Path(name), rounds=arguments.rounds, quick=arguments.quick)
    if arguments.write:
        arguments.write.write_text(text, "utf-8")
    else:
        print(text)


def run(folder: Path, *, rounds: int, quick: bool) -> str:
    """Measure and return the page."""
    pip, version = newest_pip(folder)
    rows = [alternate(folder / str(size), pip, count, size, rounds) for count, size in (SIZES[:1] if quick else SIZES)]
    number, (seconds, share) = 20 if quick else 200, many(folder / "fleet", 20 if quick else 200)
    memory, big = one_big(folder / "big", 100 << 20 if quick else 1 << 30)
    return PAGE.format(
        load=os.getloadavg()[1], cores=os.cpu_count(), python=f"CPython {platform.python_version()}", rounds=rounds,
        pip=version,
        rows="\n".join(line for row in rows for line in lines_of(row)), fleet_size=number,
        fleet_each=seconds / number, fleet_bytes=share, memory=memory / 1e6, big=big / 1e9,
    )  # fmt: skip


def alternate(folder: Path, pip: Path, count: int, size: int, rounds: int) -> Row:
    """Run one plugin the classic way and ours, cold and warm."""
    folder.mkdir()
    wheels = a_closure(count, size)
    row = Row(count, size, {"cold": [], "warm": []}, {"cold": [], "warm": []}, [])
    with serving(wheels) as index:
        plugin = a_plugin(folder, index, wheels)
        for number in range(rounds):
            for heat in ("cold", "warm"):
                cache = folder / f"pip-{number}"
                row.classic[heat].append(classic(plugin, pip, cache, folder / "classic", index=index.url))
                cache = folder / f"ours-{number}"
                row.ours[heat].append(ours(plugin, cache, folder / "ours", index=index.url))
            (raw := folder / f"raw-{number}").mkdir()
            row.transfer.append(asyncio.run(transfer(wheels, index, raw)))
            print(f"{size >> 20} MB: round {number + 1} of {rounds}", file=sys.stderr)
    return row


def lines_of(row: Row) -> list[str]:
    """Return the two lines of a plugin."""
    lines = []
    for heat, goal in (("cold", "≥ 8×"), ("warm", "≥ 20×")):
        peer = statistics.median(row.classic[heat])
        bare = statistics.median(took.whole - took.verifying for took in row.ours[heat])
        check = statistics.median(took.verifying for took in row.ours[heat])
        stages = statistics.median(took.stages for took in row.ours[heat])
        raw = statistics.median(row.transfer)
        ratio = f"{statistics.median(took.download for took in row.ours[heat]) / raw:.2f}" if heat == "cold" else ""
        lines.append(
            f"| {row.count} wheels, {row.size / 1e6:.0f} MB | {heat} | {peer:.2f} s | {bare:.2f} s "
            f"(**{peer / bare:.1f}×**) | {goal} | {stages:.2f} s ({peer / stages:.1f}×) | {check:.2f} s | {ratio} |"
        )
    return lines


def many(folder: Path, number: int) -> tuple[float, float]:
    """Pack many plugins that share most of what they need; return seconds and downloaded ÷ unique bytes."""
    folder.mkdir()
    shared = a_closure(37, 11 << 20)
    own = [a_random_wheel(f"own-{at}", 300_000) for at in range(60)]
    with serving([*shared, *own]) as index:
        plugins = [
            a_plugin(folder, index, [*shared, own[at % 60], own[at * 7 % 60]] if at % 60 != at * 7 % 60 else shared,
                     name=f"plugin-{at}")
            for at in range(number)
        ]  # fmt: skip
        used = {wheel.filename: len(wheel.content) for wheel in shared}
        for at in range(number):
            if at % 60 != at * 7 % 60:
                used |= {own[at % 60].filename: len(own[at % 60].content)}
                used |= {own[at * 7 % 60].filename: len(own[at * 7 % 60].content)}
        settings = Settings(work_dir=folder, cache_dir=folder / "cache", allow_private_addresses=True)
        seconds = asyncio.run(fleet(plugins, folder, settings, index=index.url, at_once=os.cpu_count() or 2))
        return seconds, index.served_bytes() / sum(used.values())


def one_big(folder: Path, size: int) -> tuple[int, int]:
    """Pack one plugin of that size in a process of its own; return its peak of memory and the bytes of its wheels."""
    folder.mkdir()
    wheels = [a_random_wheel("dify-plugin", 1000), *(a_random_wheel(f"big-{at}", size // 16) for at in range(16))]
    with serving(wheels) as index:
        plugin = a_plugin(folder, index, wheels)
        total = sum(len(wheel.content) for wheel in wheels)
        command = [sys.executable, Path(__file__).with_name("memory.py"), plugin, folder / "work", index.url]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    return int(done.stdout), total


if __name__ == "__main__":
    main()
