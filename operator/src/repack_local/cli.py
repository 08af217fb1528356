"""The command `dify-repack`: pack, plan and verify plugins without a cluster, or start everything here (`up`).

What went wrong is told in three parts: what, why, what to do; the exit code is that of the reason.
"""

import argparse
import asyncio
import contextlib
import json
import signal
import sys
import tempfile
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any

import shtab

from repack_contract.errors import RepackError
from repack_contract.reasons import Reason
from repack_local import results
from repack_local.arguments import check_arguments, parser, settings_of
from repack_local.batch import pack_list
from repack_local.packing import pack, plan
from repack_local.terminal import show_failure
from repack_worker.attempt import working_folder
from repack_worker.interpreters import find_interpreter
from repack_worker.isolation import choose_isolation
from repack_worker.pipeline import named
from repack_worker.stages import input_limits
from repack_worker.uv_versions import UvVersions
from repack_worker.verify import Bench, verify

_INTERRUPTED = 128 + signal.SIGINT


async def _pack(arguments: argparse.Namespace) -> int:
    return await (pack_list(arguments) if arguments.list else pack(arguments))


async def _verify(arguments: argparse.Namespace) -> int:
    if not arguments.file.is_file():
        raise RepackError(Reason.PLUGIN_NOT_FOUND, f"{arguments.file} does not exist.", hint="Name a .difypkg file.")
    async with working_folder(Path(tempfile.gettempdir())) as folder:
        settings = settings_of(folder, arguments)
        bench = Bench(
            interpreter=await find_interpreter(arguments.python, settings=settings),
            isolation=await choose_isolation(settings.isolation),
            timeout_seconds=settings.verify_timeout_seconds,
            say=lambda line: None if arguments.quiet else print(line, file=sys.stderr),
            depth=settings.verify,
            versions=UvVersions(settings, [settings.index_url] if settings.index_url else []),
        )
        plugin, proof = await verify(arguments.file, bench=bench, folder=folder, limits=input_limits(settings))
    if arguments.json:
        results.print_json({"ok": True, "identity": plugin.identity, "verification": proof.wire()})
    else:
        results.print_verification(plugin, proof)
    return 0


_COMMANDS = {"pack": _pack, "plan": plan, "verify": _verify}


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
    line = parser()
    arguments = line.parse_args(argv)
    check_arguments(line, arguments)
    if arguments.command == "completion":
        print(shtab.complete(line, shell=arguments.shell))
        return 0
    if arguments.command == "up":
        from repack_local.__main__ import main as up  # noqa: PLC0415 - starts slowly, and `pack` does not need it

        return up()
    try:
        return asyncio.run(_until_signal(_COMMANDS[arguments.command](arguments)))
    except Exception as error:
        failure = named(error, doing=arguments.command)
        if arguments.json:
            told = {"ok": False, "reason": failure.reason.value, "message": failure.message, "hint": failure.hint}
            print(json.dumps(told, indent=2, ensure_ascii=False))
        show_failure(failure.reason.value, failure.message, failure.hint)
        return failure.exit_code
