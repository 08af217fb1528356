"""The worker's benchmark: everything against its peer in one run, on plugins that the benchmark makes itself.

Usage: python bench/worker [--rounds N] [--write docs/worker-bench.md] [--quick]
"""

import argparse
import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from plugins import write_plugin
from report import Case, Facts, page
from server import Line, serving
from ways import classic, fleet, newest_pip, ours, transfer
from wheelhouse import Wheel, write_closure, write_page, write_wheel

from repack_worker.settings import Settings

FAR = Line(pause_seconds=0.020, bytes_per_second=62.5e6)
SIZES = ((37, 11 << 20), (58, 53 << 20), (48, 70 << 20))
"""Wheels and bytes of three plugins, like cot_agent, yahoo and oci (repackaging.md 7)."""
UNLOCKED = (42, 17 << 20)
"""Like a plugin with a requirements.txt alone, whose versions we must choose too."""
_OURS_EACH = 3
"""Ours is measured so often for each time of pip's: it is short, so noise is a larger part of it."""


def main() -> None:
    """Run everything and print or write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=1, help="rounds, each cold and warm (default: 1)")
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
    load = os.getloadavg()[1]
    pip, version = newest_pip(folder)
    cases = []
    for count, size in SIZES[:1] if quick else SIZES:
        root = folder / f"index-{size}"
        wheels = write_closure(root, count, size)
        lines = [Line()] if quick or size == SIZES[-1][1] else [Line(), FAR]
        cases += [measured(folder, Case(wheels, line), root, pip, rounds) for line in lines]
    if not quick:
        wheels = write_closure(folder / "index-unlocked", *UNLOCKED)
        cases.append(measured(folder, Case(wheels, Line(), locked=False), folder / "index-unlocked", pip, rounds))
    number = 20 if quick else 200
    each, share = many(folder / "fleet", number)
    peak, size = one_big(folder / "big", 100 << 20 if quick else 1 << 30)
    facts = Facts(
        rounds=rounds, ours_rounds=rounds * _OURS_EACH, pip=version, load=load, plugins=number, seconds_each=each,
        bytes_share=share, peak_bytes=peak, big_bytes=size,
    )  # fmt: skip
    return page(cases, facts)


def measured(folder: Path, case: Case, root: Path, pip: Path, rounds: int) -> Case:
    """Run one plugin the classic ways and ours, alternating, cold and warm."""
    place = Path(tempfile.mkdtemp(dir=folder))
    with serving(root, case.line) as index:
        ranges = write_plugin(place, index.base, case.wheels, name="ranges", locked=case.locked)
        pins = write_plugin(place, index.base, case.wheels, name="pins", pinned=True)
        for number in range(rounds):
            for heat in ("cold", "warm"):
                run = case.runs[heat]
                run.ranges.append(classic(ranges, pip, place / f"pip-{number}", place / "classic", index=index.url))
                if case.locked and not case.line.pause_seconds:
                    run.pins.append(classic(pins, pip, place / f"pins-{number}", place / "classic", index=index.url))
                _ours(case, heat, ranges, index.base, place / f"ours-{number}")
            print(f"{case.label}: round {number + 1} of {rounds}", file=sys.stderr)
    shutil.rmtree(place)
    return case


def _ours(case: Case, heat: str, plugin: Path, base: str, caches: Path) -> None:
    """Run ours several times, each with a cache of its own; what is cold in the first heat is warm in the second."""
    run = case.runs[heat]
    for again in range(_OURS_EACH):
        run.ours.append(ours(plugin, caches / str(again), caches / "made", index=f"{base}/simple"))
        if heat == "cold":
            run.raw.append(transfer(case.wheels, base, caches / "raw"))
            shutil.rmtree(caches / "raw")


def many(folder: Path, number: int) -> tuple[float, float]:
    """Pack many plugins that share most of what they need; return seconds and downloaded ÷ unique bytes."""
    root = folder / "index"
    shared = write_closure(root, *SIZES[0])
    own = [write_wheel(root, f"own-{at}", 300_000) for at in range(60)]
    for wheel in own:
        write_page(root, wheel)
    with serving(root) as index:
        needs = [[*shared, *{own[at % 60], own[at * 7 % 60]}] for at in range(number)]
        plugins = [write_plugin(folder, index.base, each, name=f"plugin-{at}") for at, each in enumerate(needs)]
        unique = sum(wheel.size for wheel in {wheel for each in needs for wheel in each})
        settings = Settings(work_dir=folder, cache_dir=folder / "cache", allow_private_addresses=True)
        seconds = asyncio.run(fleet(plugins, folder, settings, index=index.url, at_once=os.cpu_count() or 2))
        return seconds / number, index.served_bytes() / unique


def one_big(folder: Path, size: int) -> tuple[int, int]:
    """Pack one plugin of that size in a process of its own; return its peak of memory and the bytes of its wheels."""
    root = folder / "index"
    root.mkdir(parents=True)
    wheels: list[Wheel] = [write_wheel(root, "dify-plugin", 1000)]
    wheels += [write_wheel(root, f"big-{at}", size // 16, plain=True) for at in range(16)]
    with serving(root) as index:
        plugin = write_plugin(folder, index.base, wheels)
        command = [sys.executable, Path(__file__).with_name("memory.py"), plugin, folder / "work", index.url]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    return int(done.stdout), sum(wheel.size for wheel in wheels)


if __name__ == "__main__":
    main()
