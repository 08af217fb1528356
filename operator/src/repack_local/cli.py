"""The command `dify-repack`: pack and verify plugins without a cluster, or start everything on this machine (`up`).

What went wrong is told in three parts: what, why, what to do; the exit code is that of the reason.
"""

import argparse
import asyncio
import contextlib
import os
import signal
import sys
import tempfile
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import ValidationError

from repack_contract.errors import RepackError
from repack_contract.progress import WorkResult
from repack_contract.reasons import REASONS, Reason
from repack_contract.task import Arch, Output, PackageIndex, Source, SourceType, Spec, Target
from repack_contract.task import UrlSource as UrlSpec
from repack_local.terminal import TerminalReporter, show_failure, show_result, show_verification
from repack_worker.attempt import Attempt, working_folder
from repack_worker.interpreters import find_interpreter
from repack_worker.isolation import choose_isolation
from repack_worker.pipeline import named
from repack_worker.report import Journal
from repack_worker.settings import Settings, home_folder, load_settings
from repack_worker.sources import FileSource, UrlSource
from repack_worker.stages import input_limits
from repack_worker.store import FolderStore
from repack_worker.verify import Bench, verify

_OPTIONS = {"python": "--python", "sha256": "--sha256", "suffix": "--suffix", "url": "the address"}
_INTERRUPTED = 128 + signal.SIGINT
_EXAMPLES = """examples:
  dify-repack pack my-plugin.difypkg -o offline/
  dify-repack pack https://example.com/my-plugin.difypkg -o offline/ --index-url https://mirror.example.com/simple
  dify-repack verify offline/me-my-plugin_0.0.1-linux-amd64-offline.difypkg
"""


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    main = argparse.ArgumentParser(
        prog="dify-repack",
        description="Turn a Dify plugin into a package that installs without a network, and prove it.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = main.add_subparsers(dest="command", required=True)
    pack = commands.add_parser("pack", help="make an offline package of a plugin", epilog=_EXAMPLES,
                               formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    pack.add_argument("source", help="a .difypkg file, or its URL")
    pack.add_argument("-o", "--output", type=Path, default=Path(), help="folder for the result (default: this one)")
    pack.add_argument("--sha256", help="checksum that a downloaded plugin must have")
    pack.add_argument("--python", default="3.12", help="Python of the daemon (default: 3.12)")
    pack.add_argument("--suffix", default="offline", help="end of the file name (default: offline)")
    pack.add_argument("--index-url", help="package index to use in place of the public one")
    pack.add_argument("-v", "--verbose", action="store_true", help="show every line of the log")
    check = commands.add_parser("verify", help="install a package with the network off, as Dify's daemon does")
    check.add_argument("file", type=Path, help="the .difypkg to verify")
    check.add_argument("--python", default="3.12", help="Python of the daemon (default: 3.12)")
    commands.add_parser("up", help="start operator, dashboard and page on this machine", add_help=False)
    return main


def settings_of(work_dir: Path) -> Settings:
    """Return the settings for a person's machine: their cache folder, a temporary working folder."""
    given = load_settings()
    cache = given.cache_dir if "cache_dir" in given.model_fields_set and given.cache_dir else None
    kept = (
        (home_folder(otherwise=work_dir) / ".cache" / "dify-repack")
        if cache is None or cache == given.work_dir / "cache"
        else cache
    )
    return given.model_copy(update={"work_dir": work_dir, "cache_dir": kept})


def spec_of(arguments: argparse.Namespace) -> Spec:
    """Return the spec that the arguments of `pack` stand for."""
    # A file of this machine has no place in a task; the address in its stead is never asked for.
    url = arguments.source if _is_url(arguments.source) else "http://localhost/file"
    try:
        return Spec(
            source=Source(type=SourceType.URL, url=UrlSpec(url=url, sha256=arguments.sha256)),
            targets=[Target(arch=Arch.AMD64)],
            python=arguments.python,
            output=Output(suffix=arguments.suffix),
            package_index=PackageIndex(url=arguments.index_url) if arguments.index_url else None,
        )
    except ValidationError as error:
        first = error.errors()[0]
        option = _OPTIONS.get(str(first["loc"][-1]), str(first["loc"][-1]))
        raise RepackError(
            Reason.INVALID_SPEC, f"{option}: {first['msg']}.", hint="See dify-repack pack --help."
        ) from error


def check_output(folder: Path) -> None:
    """Refuse a result folder that cannot be written to before the work begins, not after it."""
    nearest = folder.absolute()
    while not nearest.exists():
        nearest = nearest.parent
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        why = "may not be written to" if nearest.is_dir() else "is a file"
        raise RepackError(Reason.INVALID_SPEC, f"--output: {nearest} {why}.", hint="Choose another folder with -o.")


def _is_url(source: str) -> bool:
    return urlsplit(source).scheme in {"http", "https"}


async def _pack(arguments: argparse.Namespace) -> int:
    spec = spec_of(arguments)
    check_output(arguments.output)
    async with working_folder(Path(tempfile.gettempdir())) as folder:
        settings = settings_of(folder)
        source = (
            UrlSource(arguments.source, sha256=arguments.sha256)
            if _is_url(arguments.source)
            else FileSource(Path(arguments.source))
        )
        with TerminalReporter(verbose=arguments.verbose) as terminal:
            journal = Journal(attempt=1, reporters=[terminal])
            attempt = Attempt(
                spec=spec,
                settings=settings,
                source=source,
                store=FolderStore(arguments.output),
                journal=journal,
                folder=folder,
            )
            result = await attempt.run()
    return _told(result)


def _told(result: WorkResult) -> int:
    if result.ok:
        show_result(result)
        return 0
    facts = REASONS[Reason(result.reason or Reason.INTERNAL)]
    show_failure(result.reason or "", result.message or "", result.hint or facts.hint)
    return facts.exit_code or 1


async def _verify(arguments: argparse.Namespace) -> int:
    if not arguments.file.is_file():
        raise RepackError(Reason.PLUGIN_NOT_FOUND, f"{arguments.file} does not exist.", hint="Name a .difypkg file.")
    async with working_folder(Path(tempfile.gettempdir())) as folder:
        settings = settings_of(folder)
        bench = Bench(
            interpreter=await find_interpreter(arguments.python, settings=settings),
            isolation=await choose_isolation(settings.isolation),
            timeout_seconds=settings.verify_timeout_seconds,
            say=lambda line: print(line, file=sys.stderr),
        )
        plugin, proof = await verify(arguments.file, bench=bench, folder=folder, limits=input_limits(settings))
    show_verification(plugin, proof)
    return 0


async def _until_signal(work: Coroutine[Any, Any, int]) -> int:
    """Run the work; a signal cancels it, and its clean-up leaves nothing half-made."""
    task = asyncio.create_task(work)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, task.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        return await task
    print("Stopped; nothing was left behind.", file=sys.stderr)
    return _INTERRUPTED


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    if words[:1] == ["up"]:
        from repack_local.__main__ import main as up  # noqa: PLC0415 - starts slowly, and `pack` does not need it

        return up()
    arguments = parser().parse_args(words)
    command = {"pack": _pack, "verify": _verify}[arguments.command]
    try:
        return asyncio.run(_until_signal(command(arguments)))
    except Exception as error:
        failure = named(error, doing=arguments.command)
        show_failure(failure.reason.value, failure.message, failure.hint)
        return failure.exit_code
