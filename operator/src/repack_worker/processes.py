"""Child processes: a composed environment, lines as they come, a deadline, and none left behind."""

import asyncio
import contextlib
import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from repack_contract.errors import RepackError
from repack_contract.reasons import Reason
from repack_worker.threads import to_the_end

_KEPT_LINES = 4000
_MAX_LINE = 8000
_REAPER = Path(__file__).with_name("reaper.py")
_REAPER_SECONDS = 10.0
"""Longer than its own patience."""
_PIPE_SECONDS = 2.0
"""For what was written before the end; only what outlived the process could write more."""


class Finished(Struct, frozen=True):
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
    reaped: bool = False,
) -> Finished:
    """Run a command to its end. Whatever happens, it and its children are gone when this returns or raises.

    Args:
        argv: the command; never a shell line.
        env: its whole environment.
        timeout_seconds: after this it is killed and `ProcessTimeoutError` raised.
        cwd: its working directory.
        on_line: called with each line as it comes.
        reaped: whether children that left its group of processes are ended too, by a process more (`reaper.py`).

    Raises:
        RepackError: `OOMKilled`, when something else than we killed it with SIGKILL.
    """
    reaper = [sys.executable, "-I", "-S", str(_REAPER), str(os.getpid())] if reaped else []
    transport, output = await asyncio.get_running_loop().subprocess_exec(
        lambda: _Output(on_line),
        *reaper,
        *map(str, argv),
        env=dict(env),
        cwd=cwd,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,  # so that its children can be killed with it
    )
    try:
        async with asyncio.timeout(timeout_seconds):
            await asyncio.wait([output.ended])  # awaited itself, it would be cancelled with us
    except TimeoutError as error:
        raise ProcessTimeoutError(f"{Path(argv[0]).name} did not end within {timeout_seconds:.0f} s") from error
    finally:
        await to_the_end(_end(transport, output, reaped=reaped))
    if output.fault:
        raise output.fault
    code = transport.get_returncode()
    assert code is not None  # noqa: S101 - it ended
    if code == -signal.SIGKILL:
        raise RepackError(Reason.OOM_KILLED, f"{Path(argv[0]).name} was killed, most likely for want of memory.")
    return Finished(code=code, lines=tuple(output.lines))


class _Output(asyncio.SubprocessProtocol):
    """What a process writes; its end, and that of its pipe, which whoever inherited it may hold for longer."""

    def __init__(self, on_line: Callable[[str], None] | None) -> None:
        self.lines: deque[str] = deque(maxlen=_KEPT_LINES)
        loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[None] = loop.create_future()
        self.closed: asyncio.Future[None] = loop.create_future()
        self.fault: Exception | None = None
        """What taking a line raised."""
        self._on_line, self._pending = on_line, b""

    def pipe_data_received(self, _fd: int, data: bytes) -> None:
        *whole, pending = (self._pending + data).split(b"\n")
        self._pending = pending[-_MAX_LINE:]
        for raw in whole:
            self._keep(raw)

    def pipe_connection_lost(self, _fd: int, _error: Exception | None) -> None:
        if self._pending:
            self._keep(self._pending)
        self.closed.set_result(None)

    def process_exited(self) -> None:
        if not self.ended.done():
            self.ended.set_result(None)

    def _keep(self, raw: bytes) -> None:
        line = raw.decode("utf-8", "replace").rstrip("\r")[:_MAX_LINE]
        self.lines.append(line)
        try:
            if self._on_line and not self.fault:
                self._on_line(line)
        except Exception as error:
            self.fault = error


async def _end(transport: asyncio.SubprocessTransport, output: _Output, *, reaped: bool) -> None:
    """Kill what still runs and read what was written before, but do not wait for a pipe that somebody holds open."""
    if reaped and not output.ended.done():
        transport.terminate()
        await asyncio.wait([output.ended], timeout=_REAPER_SECONDS)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(transport.get_pid(), signal.SIGKILL)
    await asyncio.wait([output.ended])
    await asyncio.wait([output.closed], timeout=_PIPE_SECONDS)
    transport.close()
