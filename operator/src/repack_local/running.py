"""Running a command until it ends or a signal comes.

What went wrong is told in three parts: what, why, what to do; the exit code is that of the reason.
"""

import argparse
import asyncio
import contextlib
import gc
import json
import signal
import sys
from collections.abc import Callable, Coroutine
from typing import Any

from repack_local.showing import show_failure
from repack_worker.pipeline import named

_INTERRUPTED = 128 + signal.SIGINT
Command = Callable[[argparse.Namespace], Coroutine[Any, Any, int]]


def run(arguments: argparse.Namespace) -> int:
    """Do what the arguments say and return the exit code."""
    command = _command(arguments)
    gc.freeze()
    gc.enable()
    try:
        return asyncio.run(_until_signal(command(arguments)))
    except Exception as error:
        failure = named(error, doing=arguments.command)
        if arguments.json:
            told = {"ok": False, "reason": failure.reason.value, "message": failure.message, "hint": failure.hint}
            print(json.dumps(told, indent=2, ensure_ascii=False))
        show_failure(failure.reason.value, failure.message, failure.hint)
        return failure.exit_code


def _command(arguments: argparse.Namespace) -> Command:
    if arguments.command == "verify":
        from repack_local.verifying import verify_file  # noqa: PLC0415 - each command imports its own

        return verify_file
    if arguments.command == "pack" and arguments.list:
        from repack_local.batch import pack_list  # noqa: PLC0415

        return pack_list
    from repack_local.packing import pack, plan  # noqa: PLC0415

    return pack if arguments.command == "pack" else plan


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
