"""Storms of clients that come back, then minutes of churn and faults: is everything seen, does nothing leak?

Usage: python bench/soak [--seconds S] [--clients N] [--storm N] [--seed N] [--write FILE]

The clients are the browsers' own module in Node, the server is a dashboard in a process of its own, and between them is
a network that breaks. Ends with 1 when anything was lost, seen wrong, or left behind.
"""

import argparse
import asyncio
import random
import resource
import sys
import tempfile
from pathlib import Path

from phases import hold, storm
from processes import missing
from report import Report, as_markdown


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600.0, help="of churn and faults (default: 600)")
    parser.add_argument("--clients", type=int, default=200, help="meanwhile (default: 200)")
    parser.add_argument("--per-second", type=float, default=100.0, help="batches published (default: 100)")
    parser.add_argument("--storm", type=int, default=5000, help="clients of the storm, 0 for none (default: 5000)")
    parser.add_argument("--seed", type=int, default=1, help="of everything that is left to chance (default: 1)")
    parser.add_argument("--write", type=Path, help="write the report to this file too")
    arguments = parser.parse_args()
    if reason := missing():
        print(f"the soak cannot run: {reason}", file=sys.stderr)
        return 2
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    report = asyncio.run(run(arguments))
    text = as_markdown(report)
    print(text)
    if arguments.write:
        arguments.write.write_text(text, encoding="utf-8")
    return 1 if report.faults else 0


async def run(arguments: argparse.Namespace) -> Report:
    """Run both parts, one after the other."""
    report = Report()
    with tempfile.TemporaryDirectory(prefix="soak-") as name:
        rng = random.Random(arguments.seed)  # noqa: S311 - repeats, hides nothing
        if arguments.storm:
            report.storms = await storm(Path(name), rng, clients=arguments.storm)
        report.held = await hold(
            Path(name), rng, clients=arguments.clients, seconds=arguments.seconds, per_second=arguments.per_second
        )
    return report


if __name__ == "__main__":
    raise SystemExit(main())
