"""Running the stages one after another and telling about it; knows no stage by name.

A dry run is the list cut after Plan. Whatever a stage meets leaves here as a `RepackError`, so that an exit code, a
message and a hint exist for it.
"""

import errno
import sys
import time
import traceback
from collections.abc import Awaitable, Callable, Sequence

from msgspec import Struct

from repack_contract.errors import RepackError
from repack_contract.phases import Stage, StageState
from repack_contract.reasons import Reason
from repack_worker.report import Journal
from repack_worker.work import Work

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class Step(Struct, frozen=True):
    """One stage and what does it."""

    stage: Stage
    run: Callable[[Work], Awaitable[None]]
    wanted: Callable[[Work], bool] | None = None
    """Tells, once the steps before are done, whether it takes place; always when absent."""


async def run_steps(steps: Sequence[Step], work: Work) -> None:
    """Run the steps in order; raise the first failure as a `RepackError`, after telling the journal."""
    journal = work.journal
    journal.plan_stages([step.stage for step in steps if step.wanted is None])
    for at, step in enumerate(steps):
        if step.wanted is None or step.wanted(work):
            if step.wanted:
                journal.add_stage(step.stage, before=steps[at + 1].stage)
            await _run_step(step, work, journal)


async def _run_step(step: Step, work: Work, journal: Journal) -> None:
    started = time.monotonic()
    journal.start(step.stage)
    try:
        await step.run(work)
    except BaseException as error:
        journal.finish(step.stage, StageState.FAILED)
        if isinstance(error, Exception) and not isinstance(error, RepackError):
            failure = named(error, doing=step.stage.value)
            if failure.reason is Reason.INTERNAL:
                journal.say("".join(traceback.format_exception(error)), "debug")
            raise failure from error
        raise
    work.seconds[step.stage] = time.monotonic() - started
    journal.finish(step.stage)
    journal.say(f"{step.stage.value} done in {work.seconds[step.stage]:.2f} s")


def named(error: Exception, *, doing: str) -> RepackError:
    """Return the `RepackError` that an exception stands for."""
    if isinstance(error, RepackError):
        return error
    if isinstance(error, OSError) and error.errno in _NO_ROOM:
        where = f" for {error.filename}" if error.filename else ""
        return RepackError(Reason.DISK_FULL, f"{doing}: no room left on the disk{where} ({error.strerror}).")
    if isinstance(error, PermissionError):
        hint = "Give the account that runs this the right to write there, or choose another folder."
        return RepackError(Reason.INTERNAL, f"{doing}: {error.filename}: {error.strerror}.", hint=hint)
    if isinstance(error, MemoryError):
        return RepackError(Reason.OOM_KILLED, f"{doing}: the memory did not suffice.")
    if _is_of_the_network(error):
        return RepackError(Reason.INDEX_UNREACHABLE, f"{doing}: {error or type(error).__name__}.")
    return RepackError(Reason.INTERNAL, f"{doing}: {type(error).__name__}: {error}")


def _is_of_the_network(error: Exception) -> bool:
    import ssl  # noqa: PLC0415 - slow to import, and what went well does not need it

    httpx = sys.modules.get("httpx")  # what nobody has imported has raised nothing
    return isinstance(error, ssl.SSLError) or (httpx is not None and isinstance(error, httpx.HTTPError))
