"""Child processes: a composed environment, lines as they come, a deadline, and none left behind."""

import asyncio
import contextlib
import os
import signal
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from repack_contract.errors import RepackError
from repack_contract.reasons import Reason

_KEPT_LINES = 4000
_MAX_LINE = 8000
_CHUNK = 1 << 16


@dataclass(frozen=True)
class Finished:
    """How a process ended and the last lines it wrote, both streams together."""

    code: int
    lines: tuple[str, ...]

    @property
    def output(self) -> str:
        """The lines as one text."""
        return "\n".join(self.lines)


class ProcessTimeoutError(Exception):
    """A process did not end within its time and was killed."""


async def run(
    argv: Sequence[str | Path],
    *,
    env: Mapping[str, str],
    timeout_seconds: float,
    cwd: Path | None = None,
    on_line: Callable[[str], None] | None = None,
) -> Finished:
    """Run a command to its end. Whatever happens, it and its children are gone when this returns or raises.

    Args:
        argv: the command; never a shell line.
        env: its whole environment.
        timeout_seconds: after this it is killed and `ProcessTimeoutError` raised.
        cwd: its working directory.
        on_line: called with each line as it comes.

    Raises:
        RepackError: `OOMKilled`, when something else than we killed it with SIGKILL.
    """
    process = await asyncio.create_subprocess_exec(
        *map(str, argv),
        env=dict(env),
        cwd=cwd,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,  # so that its children can be killed with it
    )
    lines: deque[str] = deque(maxlen=_KEPT_LINES)
    try:
        async with asyncio.timeout(timeout_seconds):
            await _read_lines(process, lines, on_line)
            code = await process.wait()
    except TimeoutError as error:
        raise ProcessTimeoutError(f"{Path(argv[0]).name} did not end within {timeout_seconds:.0f} s") from error
    finally:
        await _kill_group(process)
    if code == -signal.SIGKILL:
        raise RepackError(Reason.OOM_KILLED, f"{Path(argv[0]).name} was killed, most likely for want of memory.")
    return Finished(code=code, lines=tuple(lines))


async def _read_lines(
    process: asyncio.subprocess.Process, lines: deque[str], on_line: Callable[[str], None] | None
) -> None:
    assert process.stdout is not None  # noqa: S101 - it is piped above
    pending = b""
    while chunk := await process.stdout.read(_CHUNK):
        *whole, pending = (pending + chunk).split(b"\n")
        for raw in whole:
            _keep(raw, lines, on_line)
        pending = pending[-_MAX_LINE:]
    if pending:
        _keep(pending, lines, on_line)


def _keep(raw: bytes, lines: deque[str], on_line: Callable[[str], None] | None) -> None:
    line = raw.decode("utf-8", "replace").rstrip("\r")[:_MAX_LINE]
    lines.append(line)
    if on_line:
        on_line(line)


async def _kill_group(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    if process.returncode is None:
        await asyncio.shield(process.wait())
