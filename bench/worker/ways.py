"""The ways that are compared: the classic one, ours, and nothing but the transfer of the same bytes."""

import asyncio
import http.client
import json
import shutil
import subprocess
import sys
import time
import zipfile
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from wheelhouse import Wheel

from repack_contract.choices import Arch, SourceType
from repack_contract.phases import Stage
from repack_contract.values import PackageIndex, Source, Spec, Target, UrlSource
from repack_worker.fetch import Fetcher
from repack_worker.guard import NetworkGuard
from repack_worker.pipeline import run_steps
from repack_worker.report import Journal
from repack_worker.settings import Settings, passed_on_environment, proxy_for
from repack_worker.sources import FileSource
from repack_worker.stages import STEPS
from repack_worker.store import FolderStore
from repack_worker.work import Work

CONNECTIONS = Settings().connections
_PLATFORMS = [f"manylinux_2_{minor}_x86_64" for minor in (39, 35, 34, 31, 28, 27, 24, 17, 12, 5)]
_PLATFORMS += [f"manylinux{year}_x86_64" for year in ("2014", "2010", "1")]
"""The platform flags that work; the documented `manylinux2014` alone fails for every current plugin."""
WITHOUT_VERIFY = [step for step in STEPS if step.stage is not Stage.VERIFY]


@dataclass(frozen=True)
class Took:
    """Seconds of one run of the command."""

    whole: float
    stages: float
    """Of all stages but Verify: what is left when the start of the program does not count."""
    verifying: float
    download: float


def environment(home: Path) -> dict[str, str]:
    """Return a clean environment: certificates and proxies on purpose, nothing else of this machine."""
    return {**passed_on_environment(), "PATH": "/usr/bin:/bin", "HOME": str(home), "PIP_DISABLE_PIP_VERSION_CHECK": "1"}


def newest_pip(folder: Path) -> tuple[Path, str]:
    """Return the python of a new environment with the newest pip, and its version: the peer at its best."""
    subprocess.run([sys.executable, "-m", "venv", folder / "pip"], check=True)
    python = folder / "pip" / "bin" / "python"
    upgrade = [python, "-m", "pip", "install", "--quiet", "--upgrade", "pip"]
    subprocess.run(upgrade, env=environment(folder), check=True)
    told = subprocess.run([python, "-m", "pip", "--version"], capture_output=True, text=True, check=True)
    return python, told.stdout.split()[1]


def classic(plugin: Path, pip: Path, cache: Path, folder: Path, *, index: str) -> float:
    """Unzip, `pip download`, header line, deflated zip: as the well-known scripts do it."""
    started = time.perf_counter()
    shutil.rmtree(folder, ignore_errors=True)
    work = folder / "plugin"
    with zipfile.ZipFile(plugin) as archive:
        archive.extractall(work)
    command = [pip, "-m", "pip", "download", "--quiet", "-r", "requirements.txt", "-d", "wheels", "--only-binary=:all:",
               "--python-version", "3.12", "--implementation", "cp", "--cache-dir", cache, "--index-url", index,
               *(word for platform in _PLATFORMS for word in ("--platform", platform))]  # fmt: skip
    subprocess.run(command, cwd=work, env=environment(folder), check=True)
    requirements = work / "requirements.txt"
    requirements.write_text("--no-index --find-links=./wheels/\n" + requirements.read_text())
    with zipfile.ZipFile(folder / "classic.difypkg", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(work.rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(work).as_posix())
    return time.perf_counter() - started


def ours(plugin: Path, cache: Path, folder: Path, *, index: str) -> Took:
    """Run the command as a process of its own: its start is part of the time."""
    shutil.rmtree(folder, ignore_errors=True)
    program = Path(sys.executable).with_name("dify-repack")
    env = {**environment(Path.home()), "REPACK_CACHE_DIR": str(cache)}
    started = time.perf_counter()
    command = [program, "pack", plugin, "-o", folder, "--index-url", index]
    subprocess.run(command, env=env, check=True, capture_output=True)
    whole = time.perf_counter() - started
    seconds = json.loads(next(folder.glob("*.report.json")).read_text())["seconds"]
    verifying = seconds[Stage.VERIFY.value]
    return Took(whole, sum(seconds.values()) - verifying, verifying, seconds[Stage.DOWNLOAD.value])


def transfer(wheels: Sequence[Wheel], base: str, folder: Path) -> float:
    """Fetch the same files over as many connections and do nothing else: threads, plain sockets, no hashes."""
    host = urlsplit(base).netloc
    waiting = deque(sorted(wheels, key=lambda wheel: -wheel.size))
    folder.mkdir()

    def one() -> None:
        connection, room = http.client.HTTPConnection(host), memoryview(bytearray(1 << 20))
        connection.connect()
        while waiting:
            try:
                wheel = waiting.popleft()
            except IndexError:
                break
            connection.request("GET", f"/{wheel.path}")
            answer = connection.getresponse()
            with (folder / wheel.filename).open("wb", buffering=0) as file:
                while count := answer.readinto(room):
                    file.write(room[:count])
        connection.close()

    started = time.perf_counter()
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        for future in [pool.submit(one) for _ in range(CONNECTIONS)]:
            future.result()
    return time.perf_counter() - started


async def packed(plugin: Path, folder: Path, settings: Settings, *, index: str, fetcher: Fetcher) -> None:
    """Run all stages but Verify in this process, in a folder that is there."""
    spec = Spec(
        source=Source(type=SourceType.URL, url=UrlSource(url="http://localhost/file")),
        targets=[Target(arch=Arch.AMD64)], package_index=PackageIndex(url=index),
    )  # fmt: skip
    journal = Journal(attempt=1, reporters=[])
    store = FolderStore(folder / "out")
    async with NetworkGuard(settings.addresses, proxy_for) as guard:
        work = Work(spec, settings, FileSource(plugin), store, journal, fetcher, guard, folder)
        await run_steps(WITHOUT_VERIFY, work)


async def fleet(plugins: Sequence[Path], folder: Path, settings: Settings, *, index: str, at_once: int) -> float:
    """Pack many plugins in one process with one cache; return the seconds of all."""
    slots = asyncio.Semaphore(at_once)
    async with Fetcher(settings) as fetcher:

        async def one(plugin: Path) -> None:
            async with slots:
                place = folder / plugin.stem
                await asyncio.to_thread(place.mkdir)
                await packed(plugin, place, settings, index=index, fetcher=fetcher)
                await asyncio.to_thread(shutil.rmtree, place)

        started = time.perf_counter()
        await asyncio.gather(*(one(plugin) for plugin in plugins))
        return time.perf_counter() - started


def peak_memory() -> int:
    """Return the largest resident size of this process so far, in bytes (rusage would count that of its parent)."""
    status = Path("/proc/self/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))) * 1024
