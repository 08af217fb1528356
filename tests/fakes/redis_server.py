"""A real redis-server on a socket in a folder: it can be killed, started again, and lose what it had."""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import redis

from requirements import require_command


class RedisServer:
    """One redis-server. What it acknowledged survives a kill, unless the data are removed."""

    def __init__(self, folder: Path, *, password: str = "") -> None:
        self._folder = folder
        self._program = require_command("redis-server", install="apt-get install redis-server")
        self._password = password
        self._process: subprocess.Popen[bytes] | None = None
        self.socket = folder / "redis.sock"
        self.url = f"unix://{f':{password}@' if password else ''}{self.socket}"

    def start(self) -> None:
        """Start it and wait until it answers."""
        options = {
            "port": "0", "unixsocket": str(self.socket), "dir": str(self._folder), "save": "", "appendonly": "yes",
            "appendfsync": "always", "loglevel": "warning", "requirepass": self._password,
        }  # fmt: skip
        command = [self._program, *(part for name, value in options.items() for part in (f"--{name}", value))]
        self._process = subprocess.Popen(command, env={"PATH": os.environ["PATH"]}, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 20
        with self.client() as client:
            while True:
                try:
                    client.ping()
                except redis.RedisError:
                    assert time.monotonic() < deadline, "redis-server does not answer"
                    time.sleep(0.02)
                else:
                    return

    def kill(self, *, with_data: bool = False) -> None:
        """Kill it, as a crash would; `with_data` loses the disk too."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        if with_data:
            shutil.rmtree(self._folder / "appendonlydir", ignore_errors=True)

    def hang(self) -> None:
        """Let it stop answering, with all its connections open."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it answer again."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    @contextlib.contextmanager
    def client(self) -> Iterator[Any]:
        """A blocking client, for what a test does to it."""
        client = redis.Redis.from_url(self.url)
        try:
            yield client
        finally:
            client.close()


@contextlib.contextmanager
def a_redis(*, password: str = "") -> Iterator[RedisServer]:
    """Run a redis-server until the block ends."""
    with tempfile.TemporaryDirectory(prefix="redis-") as folder:  # short: the path of a socket has 107 bytes at most
        server = RedisServer(Path(folder), password=password)
        server.start()
        try:
            yield server
        finally:
            server.kill()
