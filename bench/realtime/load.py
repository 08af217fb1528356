"""The load: many WebSocket clients, and the C loop they are compared with; both are compiled when they are needed."""

import asyncio
import ctypes
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Tools:
    """What was compiled."""

    clients: Path
    """The program of the clients."""
    send_loop: ctypes.CDLL
    """The loop over `send()`."""


def compile_tools(folder: Path) -> Tools | None:
    """Compile the C parts into a folder; None where there is no compiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        return None
    clients, library = folder / "load", folder / "send_loop.so"
    subprocess.run([compiler, "-O2", "-o", clients, HERE / "load.c"], check=True)
    subprocess.run([compiler, "-O2", "-shared", "-fPIC", "-o", library, HERE / "send_loop.c"], check=True)
    return Tools(clients, ctypes.CDLL(str(library)))


class SendLoop:
    """The C loop over a fixed set of sockets."""

    def __init__(self, tools: Tools, sockets: Sequence[int]) -> None:
        self._send = tools.send_loop.send_loop
        self._send.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_size_t]
        self._sockets = (ctypes.c_int * len(sockets))(*sockets)

    def __call__(self, frame: bytes) -> None:
        """Write the frame to every socket."""
        taken = self._send(self._sockets, len(self._sockets), frame, len(frame))
        if taken != len(self._sockets):
            raise RuntimeError(f"only {taken} of {len(self._sockets)} sockets took the frame")


@dataclass(frozen=True)
class Stats:
    """What the clients counted since they were told to."""

    open: int
    lost: int
    frames: int
    pings: int
    samples: int
    p50_us: int
    p99_us: int
    max_us: int


class Load:
    """The program of the clients, in its own process and, where there are two, on its own core."""

    def __init__(self, tools: Tools, *, core: int | None) -> None:
        self._command = [str(tools.clients)]
        if core is not None and shutil.which("taskset"):
            self._command = ["taskset", "-c", str(core), *self._command]
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        pipe = asyncio.subprocess.PIPE
        self._process = await asyncio.create_subprocess_exec(*self._command, stdin=pipe, stdout=pipe)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.kill()
            await self._process.wait()

    async def open(self, port: int, path: str, count: int) -> None:
        """Connect clients."""
        opened, failed = await self._ask(f"open {port} {path} {count}")
        if (opened, failed) != (count, 0):
            raise RuntimeError(f"{opened} of {count} clients are connected, {failed} were refused")

    async def expect(self, frames: int) -> None:
        """Say how many frames are to come; `done` waits for them."""
        await self._ask(f"expect {frames}")

    async def done(self, *, seconds: float = 30.0) -> int:
        """Return when the last of the expected frames was there, in nanoseconds of the monotonic clock."""
        async with asyncio.timeout(seconds):
            (at,) = await self._answer("done")
        return at

    async def measure_latency(self) -> None:
        """Begin to measure `sent@<nanoseconds>`."""
        await self._ask("latency")

    async def stats(self) -> Stats:
        """Return the counts."""
        return Stats(*await self._ask("stats"))

    async def _ask(self, command: str) -> list[int]:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(f"{command}\n".encode())
        name = {"open": "opened", "expect": "expecting"}.get(command.split(maxsplit=1)[0], command.split(maxsplit=1)[0])
        return await self._answer(name)

    async def _answer(self, name: str) -> list[int]:
        assert self._process is not None
        assert self._process.stdout is not None
        line = (await self._process.stdout.readline()).decode().split()
        if not line or line[0] != name:
            raise RuntimeError(f"the clients were to answer {name} and said {line}")
        return [int(word) for word in line[1:]]
