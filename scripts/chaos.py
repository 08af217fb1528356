"""Provoke the faults that tests are marked with, and write what came of it as a table.

Usage: python scripts/chaos.py [--write FILE] [options of pytest]. With KUBECONFIG also on that cluster.
"""

import argparse
import inspect
import sys
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "chaos"))

from faults import FAULTS  # noqa: E402 - found by the path above


@dataclass
class Case:
    """One test that provokes a fault."""

    number: int
    how: str
    test: str
    outcome: str = "not run"
    seconds: float = 0.0


class Recorder:
    """A pytest plugin: which fault each test provokes, and how it ended."""

    def __init__(self) -> None:
        self.cases: dict[str, list[Case]] = defaultdict(list)

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Note the marks."""
        for item in items:
            for mark in item.iter_markers("fault"):
                number, how = mark.args
                self.cases[item.nodeid].append(Case(number, how, item.name.partition("[")[0]))

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Note the outcome of each part of a test; a failure anywhere counts."""
        for case in self.cases.get(report.nodeid, ()):
            case.seconds += report.duration
            if report.when == "call" or report.outcome != "passed":
                case.outcome = report.outcome


def main() -> int:
    """Run and write; the exit code is pytest's."""
    parser = argparse.ArgumentParser(description=inspect.getdoc(sys.modules[__name__]))
    parser.add_argument("--write", type=Path, help="write the page to this file")
    arguments, others = parser.parse_known_args()
    recorder = Recorder()
    which = ["-m", "fault", "-o", "python_files=test_*.py slow_*.py", str(ROOT / "tests")]
    code = pytest.main([*which, "-q", "-p", "no:randomly", "-rf", *others], plugins=[recorder])
    text = as_markdown([case for cases in recorder.cases.values() for case in cases])
    sys.stdout.write(text)
    if arguments.write:
        arguments.write.write_text(text, encoding="utf-8")
    return int(code)


def as_markdown(cases: list[Case]) -> str:
    """Return the page: a row for each fault and way to provoke it."""
    grouped: dict[tuple[int, str, str], list[Case]] = defaultdict(list)
    for case in cases:
        grouped[case.number, case.how, case.test].append(case)
    rows, last = [], 0
    for (number, how, test), group in sorted(grouped.items()):
        fault = FAULTS[number]
        bad = sorted({case.outcome for case in group} - {"passed"})
        what, invariant = (fault.what, fault.invariant) if number != last else ("", "")
        outcome = ", ".join(bad) if bad else "holds"
        times = f" ({len(group)} cases)" if len(group) > 1 else ""
        seconds = sum(case.seconds for case in group)
        rows.append(
            f"| {number if what else ''} | {what} | {how}{times} | {invariant} | {outcome} | {seconds:.1f} | `{test}` |"
        )
        last = number
    unproven = sorted(set(FAULTS) - {case.number for case in cases})
    note = f"\nNot provoked here: {', '.join(map(str, unproven))}.\n" if unproven else ""
    return f"""\
# Faults

<!-- Written by `make chaos`. Do not edit. -->

What can go wrong around the operator, how it is provoked, and what holds all the same. `make test` runs these tests
too, all but those of tests/chaos/slow_faults.py. Last run {datetime.now(UTC):%Y-%m-%d %H:%M} UTC.

| # | fault | provoked by | what holds | result | seconds | test |
|---|---|---|---|---|---|---|
{chr(10).join(rows)}
{note}"""


if __name__ == "__main__":
    raise SystemExit(main())
