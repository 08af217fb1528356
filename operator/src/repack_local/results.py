"""What `dify-repack` prints on stdout: results, and nothing else, so that another program can read them."""

import json
import sys
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from repack_contract.values import Verification, WorkResult
from repack_worker.plan import Wheel
from repack_worker.plugin import Plugin
from repack_worker.work import Work


def print_json(value: object) -> None:
    """Print one JSON document."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def result_json(result: WorkResult) -> dict[str, Any]:
    """Return a result as `--json` prints it: the fields of `status`, and `ok`."""
    return result.wire()


def plan_json(result: WorkResult, work: Work | None, licences: Mapping[Wheel, str]) -> dict[str, Any]:
    """Return what `plan --json` prints: the result with `plan` as in `status.plan`, and the wheels of each target."""
    if work is None:
        return result_json(result)
    return result_json(result) | {
        "source": {"origin": work.fetched.origin, "sha256": work.fetched.sha256} if work.fetched else None,
        "wheels": {
            target.arch.value: [_wheel_json(wheel, licences) for wheel in target.wheels] for target in work.live
        },
        "builds": {
            target.arch.value: sorted({source.label for plan in target.plans for source in plan.builds})
            for target in work.live
        },
    }


def _wheel_json(wheel: Wheel, licences: Mapping[Wheel, str]) -> dict[str, Any]:
    return {
        "name": wheel.name, "version": wheel.version, "filename": wheel.filename, "sizeBytes": wheel.size_bytes,
        "sha256": wheel.sha256, "licence": licences.get(wheel),
    }  # fmt: skip


def print_result(result: WorkResult, *, quiet: bool) -> None:
    """Print what was made; the path stands alone on its line."""
    for artifact in result.artifacts:
        print(artifact.uri)
        if quiet:
            continue
        print(f"  {artifact.size_bytes or 0:,} bytes, {artifact.wheels} wheels, sha256 {artifact.sha256}")
        if artifact.verification:
            print(f"  verified ({artifact.verification.method.value}): {artifact.verification.message}")


def print_verification(plugin: Plugin, proof: Verification) -> None:
    """Print that a package installs."""
    print(f"{plugin.identity}")
    print(f"  verified ({proof.method.value}): {proof.message}")


def print_plan(result: WorkResult, work: Work, licences: Mapping[Wheel, str], *, limit: int) -> None:
    """Print what would be made."""
    plugin, plan = work.the_plugin, result.plan
    print(f"{plugin.author}/{plugin.name} {plugin.version}, from {work.fetched.origin if work.fetched else '?'}")
    for target in work.live:
        labels = " and ".join(plan.platform.label for plan in target.plans)
        print(f"\n{labels}, from {', '.join(dict.fromkeys(plan.origin for plan in target.plans))}")
        rows = [
            (wheel.name, wheel.version, size_text(wheel.size_bytes), licences.get(wheel, "?"))
            for wheel in target.wheels
        ]
        sources = dict.fromkeys(source for plan in target.plans for source in plan.builds)
        rows += [(one.name, one.version, size_text(one.size_bytes), "to be built") for one in sources]
        print_table(("package", "version", "bytes", "licence"), rows, right={2})
    if plan:
        print(
            f"\n{plan.packages} packages, {plan.download_bytes or 0:,} bytes to download, {plan.builds or 0} to build"
        )
        for size in plan.targets or []:
            over = f", above the limit of {limit:,}" if size.over_limit else ""
            print(f"the package for linux/{size.arch.value}: {size.size_bytes or 0:,} bytes unpacked{over}")
    if licences:
        counted = Counter(licences.values()).most_common()
        print(f"licences: {', '.join(f'{name} ({count})' for name, count in counted)}")
    for warning in (plan.warnings if plan else None) or []:
        print(f"! {warning}")


def size_text(size: int | None) -> str:
    """Return a size for people; `?` where it is not known."""
    return "?" if size is None else f"{size:,}"


def print_table(heads: Sequence[str], rows: Iterable[Sequence[str]], *, right: Collection[int] = ()) -> None:
    """Print a table: within the width of a terminal, else one whole line a row; `right` has the columns of numbers."""
    rows = list(rows)
    if not sys.stdout.isatty():
        widths = [max(len(row[number]) for row in (heads, *rows)) for number in range(len(heads))]
        for row in (heads, *rows):
            cells = (f"{cell:{'>' if n in right else '<'}{widths[n]}}" for n, cell in enumerate(row))
            print("  ".join(cells).rstrip())
        return
    from rich.console import Console  # noqa: PLC0415 - slow to import, and only a terminal needs it
    from rich.table import Table  # noqa: PLC0415

    table = Table(box=None, pad_edge=False, header_style="bold")
    for number, head in enumerate(heads):
        last = number == len(heads) - 1
        table.add_column(head, justify="right" if number in right else "left", no_wrap=not last, overflow="fold")
    for row in rows:
        table.add_row(*row)
    Console(highlight=False, markup=False).print(table)
