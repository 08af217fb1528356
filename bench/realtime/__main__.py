"""The WebSocket fan-out against a C loop over the same sockets, as ratios of alternating pairs of one run.

Usage: python bench/realtime [--rounds N] [--hold CLIENTS --seconds S] [--only-logs CLIENTS] [--save FILE]
       [--write FILE]

The clients are a C program (epoll) in a process of its own; the peer is a C loop over `send()`. Both are compiled with
`cc` into a temporary folder. Everything stays on 127.0.0.1.
"""

import argparse
import asyncio
import logging
import os
import resource
import sys
import tempfile
from pathlib import Path

import structlog
import uvloop
from load import Tools, compile_tools
from logs import measure_logs
from measure import measure_batching, measure_fan_out, measure_held, measure_ingest
from report import Report, as_markdown, save_held
from servers import ours

SIZES = [500, 2000, 5000]
KEPT = Path(__file__).parents[2] / "docs" / "realtime-hold.json"
"""What was held for ten minutes when that was last measured; see `--save`."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20, help="pairs per size (default: 20)")
    parser.add_argument("--hold", type=int, default=5000, metavar="CLIENTS", help="connections held (default: 5000)")
    parser.add_argument("--seconds", type=float, default=35.0, help="how long they are held (default: 35)")
    parser.add_argument("--only-hold", action="store_true", help="measure nothing else")
    parser.add_argument("--only-logs", type=int, metavar="CLIENTS", help="compare the event logs, and nothing else")
    parser.add_argument("--save", type=Path, help="keep what was held in this file, which later reports show")
    parser.add_argument("--write", type=Path, help="write the tables to this file too")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    _raise_limit()
    if arguments.serve:
        uvloop.run(serve())
        return
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        tools = compile_tools(Path(name))
        if tools is None:
            print("bench-realtime is skipped: it needs a C compiler named cc (apt-get install gcc libc6-dev)")
            return
        report = uvloop.run(run(arguments, tools, Path(name)))
    if arguments.save and report.held:
        save_held(report.held, arguments.save)
    text = as_markdown(report, kept=KEPT)
    print(text)
    if arguments.write:
        arguments.write.write_text(text, encoding="utf-8")


async def run(arguments: argparse.Namespace, tools: Tools, folder: Path) -> Report:
    """Measure everything, one after the other."""
    report, core = Report(load_before=os.getloadavg(), rounds=arguments.rounds), _pin()
    if not arguments.only_hold and not arguments.only_logs:
        _say("fan-out")
        report.fan_out = await measure_fan_out(tools, folder / "1", sizes=SIZES, rounds=arguments.rounds, core=core)
        _say("tick batching")
        report.batching = await measure_batching(
            tools, folder / "2", sizes=SIZES[1:], rounds=arguments.rounds, core=core
        )
        _say("ingest to browser")
        report.ingest = await measure_ingest(tools, folder / "3", clients=500, per_second=200, seconds=10, core=core)
    if not arguments.only_hold:
        _say("event logs")
        clients = arguments.only_logs or 500
        report.logs = await measure_logs(tools, folder / "4", clients=clients, rounds=arguments.rounds, core=core)
    if arguments.only_logs:
        report.load_after = os.getloadavg()
        return report
    _say(f"{arguments.hold} idle connections for {arguments.seconds:.0f} s")
    report.held = await measure_held(tools, clients=arguments.hold, seconds=arguments.seconds, core=core)
    report.load_after = os.getloadavg()
    return report


async def serve() -> None:
    """Be the server of the idle connections until the process is killed."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        async with ours(Path(name), uids=[]) as dashboard:
            print(dashboard.port, flush=True)
            await asyncio.Event().wait()


def _pin() -> int | None:
    """Keep this process on one core and return another for the clients, where there is one."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        return None
    os.sched_setaffinity(0, cores[:1])
    return cores[1]


def _raise_limit() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _say(what: str) -> None:
    print(f"measuring: {what}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
