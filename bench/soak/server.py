"""The server of the soak, in a process of its own: a dashboard over tasks in memory, which says on demand how it is.

Usage: python server.py <port> <folder>. Each line of standard input is answered by one line of JSON; SIGTERM ends it.
"""

import asyncio
import contextlib
import json
import os
import socket
import sys
from pathlib import Path

import structlog
import uvloop

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

from builders import a_task_object
from fakes.task_api import FakeTaskApi
from repack_dashboard.app import make_app, make_services
from repack_dashboard.background import drain
from repack_dashboard.server import make_server
from repack_dashboard.services import Services
from repack_dashboard.settings import Settings

TOKEN = "the-token-of-the-soak"  # noqa: S105 - opens nothing
FIXED = [f"fixed-{number}" for number in range(20)]


async def main(port: str, folder: str) -> None:
    api = FakeTaskApi()
    for uid in FIXED:
        api.put(a_task_object(uid=uid, name=uid))
    settings = Settings.model_validate({
        "port": int(port), "data_dir": Path(folder) / "data", "static_dir": Path(folder) / "static",
        "relist_seconds": 3600.0, "ingest_token": TOKEN, "heartbeat_interval": 5.0, "heartbeat_timeout": 5.0,
        "cleanup_interval": 20.0, "max_connections": 100_000, "backlog_frames": 64,
        # What is kept is full after a minute, so that what grows after that is a leak.
        "ring_events": 2000, "ring_seconds": 60.0,
    })  # fmt: skip
    services = make_services(settings, api)
    app = make_app(services, ingest_token=TOKEN)
    server = make_server(app, settings, drain=lambda: drain(services), owns_process=True)
    answering = asyncio.create_task(answer(services))
    with socket.create_server(("127.0.0.1", settings.port), backlog=4096) as listener:
        # Each connection has little room in the kernel, so that a client that stalls for seconds is one too slow.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16384)
        await server.serve(sockets=[listener])
    answering.cancel()
    await asyncio.gather(answering, return_exceptions=True)


async def answer(services: Services) -> None:
    """Say how the server is, for every line that comes in."""
    reader, loop = asyncio.StreamReader(), asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while await reader.readline():
        views = [view.wire() for view in services.board.store]
        truth = {
            view["uid"]: [view["status"].get("sequence"), (view.get("progress") or {}).get("tick")] for view in views
        }
        told = {"truth": truth, "clients": len(services.hub), "tasks": len(asyncio.all_tasks()), **resources()}
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()


def resources() -> dict[str, int]:
    """Return open file descriptors and bytes of memory of this process."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return {"fds": sum(1 for _ in Path("/proc/self/fd").iterdir()), "rss": pages * os.sysconf("SC_PAGE_SIZE")}


if __name__ == "__main__":
    structlog.configure(logger_factory=structlog.WriteLoggerFactory(file=sys.stderr))
    with contextlib.suppress(KeyboardInterrupt):
        uvloop.run(main(*sys.argv[1:]))
