"""`dify-repack pack` against the classic way on the example plugin, cold and warm, in one run, as ratios.

The classic way is that of the well-known scripts: `pip download` for the platform, the header line
`--no-index --find-links=./wheels/` in requirements.txt, a deflated zip. It is given the platform flags that work (the
documented `manylinux2014` alone fails for every current plugin) and the pinned requirements, so it need not resolve.
It verifies nothing; ours is therefore shown with its verification and without it.

Usage: python bench/pack.py [--rounds N]
"""

import argparse
import asyncio
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import uv

from repack_contract.phases import Stage
from repack_local.plugin_folder import pack_folder
from repack_worker.settings import Settings, passed_on_environment

EXAMPLE = Path(__file__).parent.parent / "examples" / "plugins" / "text_stats"
MACHINE = "x86_64"
PLATFORMS = [f"manylinux_2_{minor}_{MACHINE}" for minor in (39, 35, 34, 31, 28, 27, 24, 17, 12, 5)]
PLATFORMS += [f"manylinux{year}_{MACHINE}" for year in ("2014", "2010", "1")]


@dataclass
class Series:
    """Seconds of the rounds of one way."""

    seconds: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        """The middle of the rounds."""
        return statistics.median(self.seconds)


def main() -> None:
    """Run the rounds, the ways alternating, and print the table."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--rounds", type=int, default=3, help="rounds, each cold and warm (default: 3)")
    rounds = arguments.parse_args().rounds
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        plugin = prepare(folder)
        pip = newest_pip(folder)
        series = {key: Series() for key in ("classic cold", "classic warm", "ours cold", "ours warm")}
        verifying: dict[str, Series] = {"ours cold": Series(), "ours warm": Series()}
        size = 0
        for number in range(rounds):
            classic_cache, our_cache = folder / f"pip-cache-{number}", folder / f"cache-{number}"
            for temperature in ("cold", "warm"):
                series[f"classic {temperature}"].seconds.append(
                    timed(lambda cache=classic_cache: classic(plugin, pip, cache, folder / "classic"))
                )
                series[f"ours {temperature}"].seconds.append(
                    timed(lambda cache=our_cache: ours(plugin, cache, folder / "ours"))
                )
                report = json.loads(next((folder / "ours").glob("*.report.json")).read_text())
                verifying[f"ours {temperature}"].seconds.append(report["seconds"][Stage.VERIFY.value])
                size = next((folder / "ours").glob("*.difypkg")).stat().st_size
            print(f"round {number + 1} of {rounds} done", file=sys.stderr)
    show(series, verifying, size=size, rounds=rounds)


def prepare(folder: Path) -> Path:
    """Return the example as its author would publish it, with its lock and the requirements.txt that pip needs."""
    settings = Settings(work_dir=folder, cache_dir=folder / "prepare-cache")
    source = shutil.copytree(EXAMPLE, folder / "text_stats", ignore=shutil.ignore_patterns(".venv", "uv.lock"))
    asyncio.run(pack_folder(source, folder / "prepared.difypkg", settings=settings))
    export = [uv.find_uv_bin(), "export", "--frozen", "--no-dev", "--no-emit-project", "--no-hashes", "--no-header",
              "--no-annotate", "--no-config", "--quiet", "--output-file", "requirements.txt"]  # fmt: skip
    subprocess.run(export, cwd=source, env=environment(folder), check=True, stdout=subprocess.DEVNULL)
    return asyncio.run(pack_folder(source, folder / "text_stats.difypkg", settings=settings))


def newest_pip(folder: Path) -> Path:
    """Return the python of a new environment with the newest pip: the peer at its best."""
    subprocess.run([sys.executable, "-m", "venv", folder / "pip"], check=True)
    python = folder / "pip" / "bin" / "python"
    upgrade = [python, "-m", "pip", "install", "--quiet", "--upgrade", "pip"]
    subprocess.run(upgrade, env=environment(folder), check=True)
    return python


def environment(home: Path) -> dict[str, str]:
    """Return a clean environment: certificates and proxies on purpose, nothing else of this machine."""
    return {**passed_on_environment(), "PATH": "/usr/bin:/bin", "HOME": str(home), "PIP_DISABLE_PIP_VERSION_CHECK": "1"}


def timed(action: Callable[[], None]) -> float:
    """Return the seconds that an action takes."""
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def classic(plugin: Path, pip: Path, cache: Path, folder: Path) -> None:
    """Unzip, `pip download`, header line, zip: as the scripts do it."""
    shutil.rmtree(folder, ignore_errors=True)
    work = folder / "plugin"
    with zipfile.ZipFile(plugin) as archive:
        archive.extractall(work)
    command = [pip, "-m", "pip", "download", "--quiet", "-r", "requirements.txt", "-d", "wheels",
               "--only-binary=:all:", "--python-version", "3.12", "--implementation", "cp", "--cache-dir", cache,
               *(word for platform in PLATFORMS for word in ("--platform", platform))]  # fmt: skip
    subprocess.run(command, cwd=work, env=environment(folder), check=True)
    requirements = work / "requirements.txt"
    requirements.write_text("--no-index --find-links=./wheels/\n" + requirements.read_text())
    with zipfile.ZipFile(folder / "classic.difypkg", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(work.rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(work).as_posix())


def ours(plugin: Path, cache: Path, folder: Path) -> None:
    """Run the command, as a process of its own: its start is part of the time."""
    shutil.rmtree(folder, ignore_errors=True)
    program = Path(sys.executable).with_name("dify-repack")
    env = {**environment(Path.home()), "REPACK_CACHE_DIR": str(cache)}
    subprocess.run([program, "pack", plugin, "-o", folder], env=env, check=True, capture_output=True)


def show(series: dict[str, Series], verifying: dict[str, Series], *, size: int, rounds: int) -> None:
    """Print the markdown table: medians and ratios."""
    print(f"Example plugin, package of {size / 1e6:.1f} MB, median of {rounds} rounds, one machine, alternating.\n")
    print("| | classic (newest pip) | dify-repack pack, verified | its verification alone | without verification |")
    print("|---|---|---|---|---|")
    for temperature in ("cold", "warm"):
        peer, own = series[f"classic {temperature}"], series[f"ours {temperature}"]
        check = verifying[f"ours {temperature}"]
        bare = Series([whole - part for whole, part in zip(own.seconds, check.seconds, strict=True)])
        print(
            f"| {temperature} caches | {peer.median:.2f} s | {own.median:.2f} s ({peer.median / own.median:.1f}×) "
            f"| {check.median:.2f} s | {bare.median:.2f} s (**{peer.median / bare.median:.1f}×**) |"
        )
    print("\nThe classic way verifies nothing, and what it makes installs on no daemon since 0.5.3.")


if __name__ == "__main__":
    main()
