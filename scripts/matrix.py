"""Install what we make of every style of plugin the way of thirteen daemons, and write docs/compatibility.md.

Every daemon gets the uv that it had in the field, fetched from the package index into a folder of its own. The plugins
and their wheels are small ones of our own, so that it is the command lines that are compared and nothing else.

Usage: python scripts/matrix.py [--write docs/compatibility.md]
"""

import argparse
import asyncio
import importlib.metadata
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from fakes.index import FakeIndex  # noqa: E402 - lies in the tests
from repack_contract.choices import (  # noqa: E402
    Arch,
    Mode,
    SourceType,
    VerifyDepth,
)
from repack_contract.values import PackageIndex, Source, Spec, Target, UrlSource  # noqa: E402  # noqa: E402
from repack_worker.archive import Limits  # noqa: E402
from repack_worker.attempt import Attempt  # noqa: E402
from repack_worker.daemons import DAEMONS, Daemon  # noqa: E402
from repack_worker.interpreters import find_interpreter  # noqa: E402
from repack_worker.isolation import choose_isolation  # noqa: E402
from repack_worker.platforms import native_cpu  # noqa: E402
from repack_worker.report import Journal  # noqa: E402
from repack_worker.settings import Settings, load_settings  # noqa: E402
from repack_worker.sources import FileSource  # noqa: E402
from repack_worker.store import FolderStore  # noqa: E402
from repack_worker.uv_versions import UvVersions  # noqa: E402
from repack_worker.verify import Bench, survey  # noqa: E402
from styles import STYLES, a_styled_plugin  # noqa: E402

Outcomes = dict[tuple[str, str], Mapping[Daemon, str]]
AS_IT_WAS = "as published"
PAGE = """# Compatibility

Written by `make matrix`; do not edit. Each cell is one installation, the network refused by the kernel ({method}),
by the command line of that daemon with the uv that it had, on CPython {python} ({arch}), followed by
`import dify_plugin` and a comparison of what is installed with what is pinned. `✓` installed, `–` not. The daemons
are emulated by their exact command lines and environment; their images were not run.

{table}

| daemon | uv | installs a package by |
|---|---|---|
{commands}

`+mirror` means that PIP_MIRROR_URL is set, to an address where nobody answers. The styles: {styles}.
"""


async def run(folder: Path) -> tuple[Outcomes, str, str]:
    """Return what became of every plugin at every daemon, the isolation and the Python."""
    settings = load_settings().but(
        work_dir=folder, cache_dir=ROOT / ".local" / "matrix-cache", allow_private_addresses=True
    )
    python, isolation = await asyncio.gather(find_interpreter("3.12", settings=settings), choose_isolation())
    bench = Bench(
        python, isolation, timeout_seconds=300, say=lambda _line: None, depth=VerifyDepth.FULL,
        versions=UvVersions(settings, [settings.index_url] if settings.index_url else []),
    )  # fmt: skip
    outcomes: Outcomes = {}
    for style in STYLES:
        place = folder / f"style-{len(outcomes)}"
        place.mkdir()
        with FakeIndex() as index:
            packages = {AS_IT_WAS: a_styled_plugin(style, index, place)}
            for mode in Mode:
                packages[mode.value] = await packed(packages[AS_IT_WAS], mode, index, settings, place / mode.value)
        for what, package in packages.items():
            outcomes[style, what] = await survey(package, bench=bench, folder=folder, limits=Limits())
            passed = sum(not fault for fault in outcomes[style, what].values())
            print(f"{style}, {what}: {passed} of {len(DAEMONS)}", file=sys.stderr)
            for daemon, fault in outcomes[style, what].items():
                if fault and what != AS_IT_WAS:
                    print(f"  {daemon.label}: {fault}", file=sys.stderr)
    return outcomes, isolation.method.value, python.version


async def packed(plugin: Path, mode: Mode, index: FakeIndex, settings: Settings, folder: Path) -> Path:
    """Return the package that we make of a plugin."""
    (folder / "attempt").mkdir(parents=True)
    spec = Spec(
        source=Source(type=SourceType.URL, url=UrlSource(url="http://localhost/file")),
        targets=[Target(arch=native_cpu() or Arch.AMD64)], mode=mode, package_index=PackageIndex(url=index.url),
    )  # fmt: skip
    own = settings.but(cache_dir=folder / "cache")  # the addresses of the index change every time
    journal, store = Journal(attempt=1, reporters=[]), FolderStore(folder)
    result = await Attempt(spec, own, FileSource(plugin), store, journal, folder / "attempt").run()
    if not result.ok:
        raise SystemExit(f"{mode.value}: {result.message}")
    return Path(result.artifacts[0].uri or "")


def page(outcomes: Outcomes, method: str, python: str) -> str:
    """Return the page."""
    heads = [daemon.label.replace(" ", "<br>") for daemon in DAEMONS]
    lines = [f"| plugin | package | passed | {' | '.join(heads)} |", "|---|---|---|" + "---|" * len(DAEMONS)]
    for (style, what), faults in outcomes.items():
        cells = ["–" if faults[daemon] else "✓" for daemon in DAEMONS]
        lines.append(f"| {style} | {what} | {cells.count('✓')}/{len(cells)} | {' | '.join(cells)} |")
    ours = importlib.metadata.version("uv")
    commands = []
    for daemon in DAEMONS:
        uv = None if daemon.uv is None else Path("uv")
        command = daemon.install_command(uv, ["pyproject.toml", "uv.lock", "requirements.txt"]) or []
        version = "pip" if uv is None else daemon.uv or ours
        commands.append(f"| {daemon.label} | {version} | `{' '.join(map(str, command))}` |")
    styles = "; ".join(f"{name}: {(style.__doc__ or '').strip().rstrip('.')}" for name, style in STYLES.items())
    return PAGE.format(
        method=method, python=python, arch=f"linux/{(native_cpu() or Arch.AMD64).value}", table="\n".join(lines),
        commands="\n".join(commands), styles=styles,
    )  # fmt: skip


def main() -> None:
    """Run the matrix and print or write the page."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--write", type=Path, help="write the page there in place of printing it")
    target = arguments.parse_args().write
    with tempfile.TemporaryDirectory(prefix="matrix-") as name:
        outcomes, method, python = asyncio.run(run(Path(name)))
    text = page(outcomes, method, python)
    if target:
        target.write_text(text, "utf-8")
    else:
        print(text)
    ours = [faults for (_, what), faults in outcomes.items() if what != AS_IT_WAS]
    sys.exit(any(fault for faults in ours for fault in faults.values()))


if __name__ == "__main__":
    main()
