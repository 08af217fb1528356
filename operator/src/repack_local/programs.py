"""The operator and the dashboard as child processes: started, started again when they die, and stopped together."""

import asyncio
import contextlib
import ctypes
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

log = structlog.get_logger()

RESTART_DELAYS = (0.2, 0.5, 1.0, 2.0, 5.0)
"""Seconds before each next start of a program that died; the last one repeats. A good minute starts the row anew."""

GOOD_RUN_SECONDS = 60.0

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)


def end_with_parent() -> None:
    """Ask the kernel to end this process when its parent dies, however it dies (prctl(2), PR_SET_PDEATHSIG).

    For use between fork and exec: without it a killed embedded mode would leave its programs behind.
    """
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


@dataclass(frozen=True)
class Program:
    """One of our programs, as it is run in a container too."""

    name: str
    module: str
    environment: Mapping[str, str]
    log_file: Path

    @property
    def command(self) -> Sequence[str]:
        """The command line."""
        return (sys.executable, "-m", self.module)


class Supervisor:
    """Keeps a program running until it is stopped. Its output goes to its log file."""

    def __init__(self, program: Program, *, stop_seconds: float, on_start: Callable[[int], None] | None = None) -> None:
        self.program = program
        self._on_start = on_start
        self._stop_seconds = stop_seconds
        self._process: asyncio.subprocess.Process | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """Process id of the running program, None between two runs."""
        running = self._process is not None and self._process.returncode is None
        return self._process.pid if self._process and running else None

    def start(self) -> None:
        """Start the program and keep it running."""
        self._task = asyncio.create_task(self._keep_running(), name=f"supervise-{self.program.name}")

    async def stop(self) -> None:
        """End the program: asked first, killed when it does not end in time."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        process = self._process
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(self._stop_seconds):
                await process.wait()
        except TimeoutError:
            log.warning("killed, it did not end in time", program=self.program.name)
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def _keep_running(self) -> None:
        failures = 0
        loop = asyncio.get_running_loop()
        while True:  # ends by cancellation in stop()
            started = loop.time()
            code = await self._run_once()
            if loop.time() - started >= GOOD_RUN_SECONDS:
                failures = 0
            delay = RESTART_DELAYS[min(failures, len(RESTART_DELAYS) - 1)]
            failures += 1
            log.warning(
                "a program ended and is started again",
                program=self.program.name,
                exit_code=code,
                after_seconds=delay,
                log=str(self.program.log_file),
            )
            await asyncio.sleep(delay)

    async def _run_once(self) -> int:
        program = self.program
        program.log_file.parent.mkdir(parents=True, exist_ok=True)
        with program.log_file.open("ab") as output:
            self._process = await asyncio.create_subprocess_exec(
                *program.command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=dict(program.environment),
                # Ctrl-C in the terminal reaches us alone; we end the programs in order.
                start_new_session=True,
                preexec_fn=end_with_parent,
            )
        if self._on_start is not None:
            self._on_start(self._process.pid)
        return await self._process.wait()
