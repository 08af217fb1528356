"""A real S3 server on a port of 127.0.0.1, and a network before it that can fail.

moto's, from `make servers`. `S3_SERVER=/path/to/versitygw` runs the same tests against one that checks signatures.
"""

import asyncio
import contextlib
import http.client
import os
import secrets
import socket
import ssl
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import obstore
from obstore.store import S3Store

from repack_objects.location import Location
from requirements import require

ROOT = Path(__file__).resolve().parents[2]
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "the-access-key-of-tests",
    "AWS_SECRET_ACCESS_KEY": "the-secret-key-of-all-tests",
    "AWS_REGION": "us-east-1",
}


@dataclass
class S3Server:
    """The server, and buckets for tests."""

    port: int
    buckets: list[str] = field(default_factory=list)

    def make_bucket(self) -> str:
        """Make a bucket of its own for a test and return its name."""
        name = f"test-{secrets.token_hex(8)}"
        target = obstore.sign(self.store(name), "PUT", "", timedelta(seconds=60)).partition(f":{self.port}")[2]
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        connection.request("PUT", target)
        assert connection.getresponse().status == 200
        connection.close()
        self.buckets.append(name)
        return name

    def store(self, bucket: str) -> S3Store:
        """Return a client of a bucket; its credentials are those of the environment."""
        return S3Store(bucket, endpoint=f"http://127.0.0.1:{self.port}", client_options={"allow_http": True})

    def location(self, bucket: str, *, port: int | None = None, **parts: Any) -> Location:
        """Return a place in a bucket, reached by another port where one is given."""
        endpoint = f"http://127.0.0.1:{port or self.port}"
        return Location(url=f"s3://{bucket}/some/prefix", endpoint=endpoint, allow_http=True, **parts)

    def setting(self, bucket: str, *, port: int | None = None) -> dict[str, Any]:
        """Return the settings of a dashboard that keeps its files there."""
        place = self.location(bucket, port=port)
        return {"store_url": place.url, "store_endpoint": place.endpoint, "store_allow_http": True}


@contextlib.contextmanager
def an_s3_server() -> Iterator[S3Server]:
    """Run a server until the block ends."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="s3-") as folder:
        process = subprocess.Popen(
            _command(port, folder), env=_environment(folder), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            _wait(port, process)
            yield S3Server(port)
        finally:
            process.kill()
            process.wait()


def _command(port: int, folder: str) -> list[str]:
    if other := os.environ.get("S3_SERVER"):
        return [other, "--port", f"127.0.0.1:{port}", "posix", folder]
    python = ROOT / ".servers/bin/python"
    require(python.exists(), "the S3 server of the tests is missing; install it with: make servers")
    return [str(python), "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]


def _environment(folder: str) -> dict[str, str]:
    keys = {
        "ROOT_ACCESS_KEY": CREDENTIALS["AWS_ACCESS_KEY_ID"],
        "ROOT_SECRET_KEY": CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
    }
    return {"PATH": os.environ["PATH"], "HOME": folder, "TMPDIR": folder, **keys}


def _wait(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 30
    while True:
        assert process.poll() is None, "the S3 server ended"
        assert time.monotonic() < deadline, "the S3 server does not answer"
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return


@dataclass
class FaultyNetwork:
    """A relay before the server: it passes everything on until a test says what goes wrong."""

    target: int
    port: int = 0
    answer: bytes | None = None
    """What every request gets in place of the server's answer."""
    cut_after: int | None = None
    """Bytes of an answer after which the line breaks."""
    is_down: bool = False
    pause: float = 0.0
    """Seconds before each piece of an answer."""
    requests: int = 0
    _open: set[asyncio.StreamWriter] = field(default_factory=set)

    def cut(self) -> None:
        """Break every connection and take no new one."""
        self.is_down = True
        for writer in self._open:
            writer.transport.abort()

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.is_down:
            writer.transport.abort()
            return
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self.target)
        self._open |= {writer, there_writer}
        try:
            await asyncio.gather(self._forth(reader, there_writer, writer), self._back(there_reader, writer))
        finally:
            self._open -= {writer, there_writer}
            writer.transport.abort()
            there_writer.transport.abort()

    async def _forth(
        self, reader: asyncio.StreamReader, there: asyncio.StreamWriter, here: asyncio.StreamWriter
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                self.requests += 1
                if self.answer is not None:
                    here.write(self.answer)
                    await here.drain()
                    here.close()
                    break
                there.write(data)
                await there.drain()
        there.close()

    async def _back(self, there: asyncio.StreamReader, here: asyncio.StreamWriter) -> None:
        sent = 0
        with contextlib.suppress(OSError):
            while data := await there.read(65536):
                await asyncio.sleep(self.pause)
                if self.cut_after is not None and sent + len(data) > self.cut_after:
                    here.write(data[: self.cut_after - sent])
                    await here.drain()
                    here.transport.abort()
                    return
                sent += len(data)
                here.write(data)
                await here.drain()
        here.close()


_REFUSAL = (
    b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message>"
    b"<AWSAccessKeyId>the-access-key-of-tests</AWSAccessKeyId></Error>"
)
FORBIDDEN = (
    b"HTTP/1.1 403 Forbidden\r\nContent-Type: application/xml\r\nConnection: close\r\n"
    b"Content-Length: %d\r\n\r\n%s" % (len(_REFUSAL), _REFUSAL)
)


@contextlib.asynccontextmanager
async def a_network_to(server: S3Server, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[FaultyNetwork]:
    """Relay a port of 127.0.0.1 to the server until the block ends; encrypted with a certificate."""
    network = FaultyNetwork(server.port)
    relay = await asyncio.start_server(network.handle, "127.0.0.1", 0, ssl=tls)
    network.port = relay.sockets[0].getsockname()[1]
    try:
        yield network
    finally:
        relay.close()
        network.cut()
        await asyncio.sleep(0.05)
