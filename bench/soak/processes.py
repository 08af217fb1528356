"""The processes of the soak: the server, and the Node program with all clients; both answer lines with JSON."""

import asyncio
import contextlib
import json
import shutil
import signal
import socket
import sys
from pathlib import Path
from typing import Any

import httpx

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
MODULE = ROOT / "dashboard/server/src/repack_dashboard/static/client/taskws.js"
BUFFER = 2**26


def missing() -> str | None:
    """Return what is missing to run at all."""
    if shutil.which("node") is None:
        return "it needs Node.js 20 or newer"
    if not MODULE.exists():
        return "the client module is not built; run `make setup`"
    return None


def free_port() -> int:
    """Return a port that nobody listens on at this moment."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


class Program:
    """A process that answers each line with a line."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self._turn = asyncio.Lock()

    @classmethod
    async def start(cls, *command: str | Path, **options: Any) -> "Program":
        """Start it."""
        pipe = asyncio.subprocess.PIPE
        return cls(await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, limit=BUFFER, **options))

    async def ask(self, command: str) -> dict[str, Any]:
        """Return its answer to a command."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        async with self._turn, asyncio.timeout(60):
            self.process.stdin.write(f"{command}\n".encode())
            line = await self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{command}: it ended")
        return dict(json.loads(line))

    async def end(self, sign: signal.Signals = signal.SIGKILL) -> float:
        """End it; return how many seconds it took."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(sign)
        await self.process.wait()
        return loop.time() - began


async def start_server(port: int, folder: Path) -> Program:
    """Start a server and wait until it is ready."""
    with (folder / "server.log").open("ab") as log:
        program = await Program.start(sys.executable, HERE / "server.py", str(port), folder, stderr=log)
    async with httpx.AsyncClient(trust_env=False) as http, asyncio.timeout(30):
        while program.process.returncode is None:
            with contextlib.suppress(httpx.HTTPError):
                if (await http.get(f"http://127.0.0.1:{port}/readyz")).status_code in {200, 503}:
                    return program
            await asyncio.sleep(0.05)
    raise RuntimeError(f"the server did not start; see {folder / 'server.log'}")


async def start_clients(port: int, uid: str, **options: object) -> Program:
    """Start the Node program; it has no client yet."""
    return await Program.start(
        "node", HERE / "clients.mjs", MODULE, f"ws://127.0.0.1:{port}", uid, json.dumps(options)
    )  # fmt: skip
