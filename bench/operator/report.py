"""The page, with the machine and the peers beside each figure."""

import os
import platform
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version

from counting import Calls

GOAL, LIMIT, MEMORY_LIMIT_MIB = 3.0, 4.2, 150


@dataclass
class Run:
    """One run of all tasks."""

    calls: Calls
    is_real: bool
    """On a real API server, counted from its audit log."""
    tasks: int
    cpu: float
    seconds: float
    events: bool
    queued: bool
    slots: int
    steps: int
    """Status patches that are steps of a task, which is what `status.sequence` counts."""

    @property
    def name(self) -> str:
        """What is particular about it."""
        what = "waiting first" if self.queued else "with Events" if self.events else "plain"
        return f"{what}, real" if self.is_real else what


@dataclass
class Report:
    """Everything that was measured."""

    load: tuple[float, float, float]
    runs: list[Run] = field(default_factory=list)
    stored: int = 0
    waiting: int = 0
    idle_mib: float = 0.0
    full_mib: float = 0.0
    peak_mib: float = 0.0
    resting_cpu: float = 0.0


def as_markdown(report: Report) -> str:
    """Return the page."""
    parts = [_head(report), _calls(report), _kinds(report), _cpu(report)]
    if report.stored:
        parts.append(_memory(report))
    return "\n".join(parts)


def _head(report: Report) -> str:
    packages = ", ".join(f"{name} {version(name)}" for name in ("kopf", "kubernetes", "aiohttp", "pydantic"))
    return f"""\
# Operator benchmark

<!-- Written by `make bench-operator`. Do not edit. -->

Measured {datetime.now(UTC):%Y-%m-%d %H:%M} UTC; {os.cpu_count()} cores, load average {report.load[0]:.1f} before the
start, Linux {platform.release()}, CPython {platform.python_version()}, {packages}. One operator process.
What other people's work does on the same machine changes seconds and CPU, not calls.
"""


def _calls(report: Report) -> str:
    rows = []
    for run in report.runs:
        steps = run.calls.made["patch repackagetasks/status"]
        others = max(steps - run.steps, 0)
        budget = (run.calls.for_tasks - others) / run.tasks
        what = f"{run.slots} slots, most tasks wait first" if run.queued else "a slot for every task"
        where = "a real API server, by its audit log" if run.is_real else "the embedded API, by its counter"
        told = f"{run.calls.events / run.tasks:.2f}" if run.events else "off"
        rows.append(
            f"| {where} | {run.tasks} tasks, {what} | **{budget:.2f}** | {others / run.tasks:.2f} "
            f"| {told} | {run.calls.own_business} |"
        )
    return f"""\
## Calls to the API server per task

Goal {GOAL:g} (make the Job, say that it runs, say how it ended), limit {LIMIT:g}. Apart are the patches that are no
step of a task (a new place in the queue, a copy of its progress), the Kubernetes Events, which
`REPACK_OPERATOR_KUBERNETES_EVENTS=false` switches off (two a task; counted here are those that were written by the end
of the last one), and what is asked whatever the number of tasks. A task that waits for a slot costs one call more: it
says so. So does one whose Pod takes more than two seconds to start, as on a busy machine.

On the real cluster Pods are scheduled, run and end, and where there is no queue at most four tasks are under way: its
one node starts no more at once. `make bench-operator AUDIT_LOG=…` counts there: it needs `KUBECONFIG`, and an API
server that writes its audit log (`tests/audit-policy.yaml`) to that file.

| counted by | run | calls per task | places and progress | Events | own business, whole run |
|---|---|---|---|---|---|
{chr(10).join(rows)}

Peers (operator.md, measured on a real API server with a driver in place of the Job controller): the usual kopf operator
7, a lean one 4, the least that is possible 3.
"""


def _kinds(report: Report) -> str:
    kinds = sorted({what for run in report.runs for what in run.calls.made})
    heads = [run.name for run in report.runs]
    rows = [f"| {what} | " + " | ".join(str(run.calls.made[what]) for run in report.runs) + " |" for what in kinds]
    return f"""\
| call | {" | ".join(heads)} |
|---|{"---|" * len(heads)}
{chr(10).join(rows)}
"""


def _cpu(report: Report) -> str:
    rows = [f"| {run.name} | {1000 * run.cpu / run.tasks:.1f} ms | {run.seconds:.1f} s |" for run in report.runs]
    return f"""\
## CPU of the operator per task

| run | CPU per task | from the first task to the last one's end |
|---|---|---|
{chr(10).join(rows)}

Peers, on another, less busy machine: the usual kopf operator 21 ms, a lean one 11 ms, two plain watch loops without
kopf 5 ms. Ours validates every object, writes conditions and attempts, and keeps metrics.
"""


def _memory(report: Report) -> str:
    verdict = "within" if report.peak_mib <= MEMORY_LIMIT_MIB else "ABOVE"
    return f"""\
## Memory with {report.stored:,} tasks

Nine of ten have ended, with everything in their status; {report.waiting:,} wait for one slot.

| | resident memory |
|---|---|
| without a task | {report.idle_mib:.0f} MiB |
| with {report.stored:,} tasks, at rest | {report.full_mib:.0f} MiB |
| at the highest | **{report.peak_mib:.0f} MiB** ({verdict} the limit of {MEMORY_LIMIT_MIB} MiB) |

At rest, with that queue, it uses {100 * report.resting_cpu:.1f} % of one core. Peers: kopf alone 41 MiB, kopf with the
official client 92 MiB; a kopf operator with 300 tasks 149 MiB (usual) or 123 MiB (lean).
"""
