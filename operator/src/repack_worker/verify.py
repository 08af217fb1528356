"""The proof: install the package as Dify's daemon does, with the network refused, and look at what came out.

Same folder layout, same command lines, same few variables as the daemon (repackaging.md 5.1, 6.2), an empty uv cache,
and a real interpreter of the plugin's Python. A package for another CPU is installed for that CPU and its compiled
files are looked at: nothing of it runs, and the record says so.
"""

import asyncio
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import uv
from msgspec.structs import replace
from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from repack_contract.choices import Arch, VerificationMethod, VerifyDepth
from repack_contract.errors import RepackError
from repack_contract.reasons import Reason
from repack_contract.values import Verification
from repack_worker.archive import Limits, unpack
from repack_worker.daemons import CURRENT, DAEMONS, NEWEST, Daemon
from repack_worker.folders import end_search_of_uv, remove_tree
from repack_worker.interpreters import Interpreter
from repack_worker.isolation import Isolation
from repack_worker.our_uv import our_uv_version
from repack_worker.platforms import Platform, machines, native_cpu
from repack_worker.plugin import Plugin, read_plugin
from repack_worker.rewrite import WHEELS
from repack_worker.threads import in_thread, together
from repack_worker.trial import Conditions, Trial, examine
from repack_worker.uv_versions import UvVersions


@dataclass(frozen=True)
class Bench:
    """Where and how packages are verified."""

    interpreter: Interpreter
    isolation: Isolation
    timeout_seconds: float
    say: Callable[[str], None]
    """Takes the lines of the log."""
    doing: Callable[[str], None] = lambda _what: None
    """Takes what is being done now."""
    depth: VerifyDepth = VerifyDepth.STANDARD
    versions: UvVersions | None = None
    """Where older versions of uv come from; without it only the daemons of our own uv are emulated."""
    slots: asyncio.Semaphore | None = None
    """How many installations may run at once over all packages; as many as there are CPUs when absent."""

    @property
    def daemons(self) -> Sequence[Daemon]:
        """The configurations whose command lines are to be run."""
        return DAEMONS if self.depth is VerifyDepth.FULL else NEWEST


@dataclass(frozen=True)
class Run:
    """One installation that passed, or one that could not be tried."""

    daemon: str
    uv: str
    cpu: str
    command: str
    seconds: float
    skipped: str = ""
    """Why it was not run; empty when it was."""


@dataclass(frozen=True)
class Proof:
    """What verifying a package came to."""

    plugin: Plugin
    verification: Verification
    runs: tuple[Run, ...]


async def verify(package: Path, *, bench: Bench, folder: Path, limits: Limits) -> tuple[Plugin, Verification]:
    """Return the plugin and the proof that its package installs without a network; see `prove`."""
    proof = await prove(package, bench=bench, folder=folder, limits=limits)
    return proof.plugin, proof.verification


async def prove(
    package: Path, *, bench: Bench, folder: Path, limits: Limits, cpus: Sequence[Arch] | None = None
) -> Proof:
    """Install the package for each of its CPUs, without a network, and return what was done.

    Args:
        package: the finished file.
        bench: interpreter, isolation and how much is to be run.
        folder: an existing folder; everything is made in a new one below and removed again.
        limits: what the package may cost to unpack.
        cpus: what it is made for; read from its wheels when absent.

    Raises:
        RepackError: `VerificationFailed`, naming what was missing; `InvalidPackage` when it cannot even be read.
    """
    base = Path(tempfile.mkdtemp(prefix="verify-", dir=folder))
    try:
        plugin = read_plugin(await in_thread(unpack, package, base / "unpacked", limits=limits))
        cpus = cpus or cpus_of(plugin)
        work = _Work(plugin, bench, base)
        proofs = await together(work.of_cpu(cpu) for cpu in cpus)
    finally:
        await in_thread(remove_tree, base)
    foreign = [cpu for cpu in cpus if cpu is not native_cpu()]
    proof = Verification(
        method=VerificationMethod.CROSS_INSTALL if foreign else bench.isolation.method,
        passed=True,
        verified_at=datetime.now(UTC).replace(microsecond=0),  # as Kubernetes compares moments
        message=" ".join(sentence for sentence, _ in proofs)[:1024],
    )
    return Proof(plugin, proof, tuple(run for _, runs in proofs for run in runs))


async def survey(package: Path, *, bench: Bench, folder: Path, limits: Limits) -> dict[Daemon, str]:
    """Install a package, whatever it is, the way of each daemon; return what went wrong, empty where nothing did.

    For comparing packages: `prove` stops at the first daemon that cannot install one.
    """
    base = Path(tempfile.mkdtemp(prefix="survey-", dir=folder))

    async def one(daemon: Daemon) -> str:
        try:
            _, run = await work.of_daemon(daemon, thorough=False)
        except RepackError as error:
            return error.message
        return run.skipped

    try:
        work = _Work(read_plugin(await in_thread(unpack, package, base / "unpacked", limits=limits)), bench, base)
        outcomes = await together(one(daemon) for daemon in bench.daemons)
    finally:
        await in_thread(remove_tree, base)
    return dict(zip(bench.daemons, outcomes, strict=True))


class _Work:
    """The installations of one package, each in a copy of its folder."""

    def __init__(self, plugin: Plugin, bench: Bench, base: Path) -> None:
        self._plugin, self._bench, self._base = plugin, bench, base
        self._slots = bench.slots or asyncio.Semaphore(os.cpu_count() or 2)
        self._conditions = Conditions(
            bench.interpreter, bench.isolation, bench.timeout_seconds, say=bench.say, doing=bench.doing
        )
        self._tools = Path(uv.find_uv_bin())

    async def of_cpu(self, cpu: Arch) -> tuple[str, tuple[Run, ...]]:
        """Install for one CPU; return the sentence for the record and the runs."""
        if cpu is not native_cpu():
            return await self._foreign(cpu)
        daemons = [CURRENT, *(daemon for daemon in self._bench.daemons if daemon is not CURRENT)]
        first, *others = await together(self.of_daemon(daemon, thorough=daemon is CURRENT) for daemon in daemons)
        runs = [first[1], *(run for _, run in others)]
        order = {daemon.label: at for at, daemon in enumerate(DAEMONS)}
        runs.sort(key=lambda run: order[run.daemon])
        return f"{first[0]} {compatibility(runs)}", tuple(runs)

    async def of_daemon(self, daemon: Daemon, *, thorough: bool) -> tuple[str, Run]:
        """Install the way of one daemon; return the sentence for the record and the run."""
        python, isolation = self._bench.interpreter.version, self._bench.isolation
        program = await self._program(daemon)
        if daemon.uv and program is None:
            skipped = f"uv {daemon.uv} could not be fetched"
            self._bench.say(f"warning: daemon {daemon.label} was not emulated: {skipped}")
            return "", Run(daemon.label, daemon.uv, self._cpu_name(), "", 0.0, skipped=skipped)
        async with self._slots:
            started = time.monotonic()
            trial = Trial(await self._laid_out(), self._conditions, daemon, uv=program, tools=self._tools)
            installed = await trial.install()
            imported = (
                await examine(trial, installed) if thorough else await trial.imports(installed, all_modules=False)
            )
            seconds = time.monotonic() - started
        command = _shown(trial.command())
        message = (
            f"{len(installed)} packages installed by `{' '.join(command.split()[:3])}` on CPython {python} without a "
            f"network ({isolation.method.value}, {isolation.proof}); {imported}."
        )
        return message, Run(daemon.label, await self._version(daemon, program), self._cpu_name(), command, seconds)

    async def _foreign(self, cpu: Arch) -> tuple[str, tuple[Run, ...]]:
        """Install for a CPU that is not ours: nothing of it can run here."""
        isolation = self._bench.isolation
        platform = Platform(arch=cpu, python=self._bench.interpreter.version)
        async with self._slots:
            started = time.monotonic()
            trial = Trial(
                await self._laid_out(), self._conditions, CURRENT, uv=self._tools, tools=self._tools, foreign=platform
            )
            installed = await trial.install()
            await trial.check()
            count = await trial.check_machine()
            seconds = time.monotonic() - started
        command = _shown(trial.command())
        message = (
            f"{len(installed)} packages installed for {platform.label} by `{' '.join(command.split()[:3])} "
            f"--python-platform` without a network ({isolation.method.value}), all {count} compiled files are for "
            f"{platform.machine}; nothing of it was run."
        )
        return message, (Run(CURRENT.label, our_uv_version(), platform.machine, command, seconds),)

    async def _program(self, daemon: Daemon) -> Path | None:
        if daemon.uv is None:
            return None
        if not daemon.uv:
            return self._tools
        return await self._bench.versions.find(daemon.uv) if self._bench.versions else None

    async def _version(self, daemon: Daemon, program: Path | None) -> str:
        return "pip" if program is None else daemon.uv or our_uv_version()

    def _cpu_name(self) -> str:
        return Platform(arch=native_cpu() or Arch.AMD64, python=self._bench.interpreter.version).machine

    async def _laid_out(self) -> Plugin:
        """Copy the package to where a daemon unpacks it: `<base>/<author>/<name>-<version>@<checksum>`."""
        plugin = self._plugin
        base = Path(tempfile.mkdtemp(prefix="daemon-", dir=self._base))
        await in_thread(end_search_of_uv, base)
        home = base / plugin.author / f"{plugin.name}-{plugin.version}@{plugin.checksum}"
        await in_thread(_copy_tree, plugin.folder, home)
        return replace(plugin, folder=home)


def _copy_tree(source: Path, target: Path) -> None:
    """Copy a folder; wheels, which nothing writes to, as links to the same file."""

    def copy(one: str, other: str) -> None:
        if one.endswith(".whl"):
            os.link(one, other)
        else:
            shutil.copyfile(one, other)

    target.parent.mkdir(parents=True)
    shutil.copytree(source, target, copy_function=copy)


def _shown(command: Sequence[str | Path]) -> str:
    """Return a command line as people type it: the program by its name."""
    return " ".join([Path(command[0]).name, *map(str, command[1:])])


def compatibility(runs: Sequence[Run]) -> str:
    """Return which generations of the daemon were really emulated, and which were not."""
    done = ", ".join(run.daemon for run in runs if not run.skipped)
    left_out = ", ".join(run.daemon for run in runs if run.skipped)
    return f"Command lines run: daemon {done}." + (f" Not run: {left_out}." if left_out else "")


def cpus_of(plugin: Plugin) -> tuple[Arch, ...]:
    """Return the CPUs that a package is made for, as its wheels say; ours when they say nothing."""
    known = machines()
    found: set[Arch] = set()
    for name in plugin.names:
        if not name.startswith(f"{WHEELS}/"):
            continue
        try:
            tags = parse_wheel_filename(name.rpartition("/")[2])[3]
        except InvalidWheelFilename:
            continue
        found |= {arch for tag in tags for machine, arch in known.items() if tag.platform.endswith(machine)}
    if not found:
        found = {Arch(plugin.archs[0])} if len(plugin.archs) == 1 else set()
    here = native_cpu()
    if not found and here is None:
        raise RepackError(
            Reason.VERIFICATION_FAILED, "This machine's CPU is none that Dify runs on.", hint="Use amd64 or arm64."
        )
    return tuple(sorted(found)) or tuple(arch for arch in (here,) if arch)
