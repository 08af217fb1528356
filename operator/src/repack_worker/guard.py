"""A proxy of our own on a loopback port, by which uv and git get to the network: every connection is checked.

They resolve names and follow redirects themselves, so looking at the first address alone would let a server, a redirect
or a name that changes its address lead them inside. Here each connection that they ask for is resolved once, checked by
the rules of `addresses.py`, and made to a checked address, or by the user's own proxy where one is set (`HTTPS_PROXY`,
`NO_PROXY`). TLS passes through as it is. What was refused is remembered, for they say little of it.
"""

import asyncio
import base64
import contextlib
import secrets
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self
from urllib.parse import SplitResult, unquote, urlsplit

from repack_contract.errors import without_secrets
from repack_worker.addresses import AddressPolicy, RefusedAddressError
from repack_worker.resolving import UnknownHostError, check_for_proxy, resolved

_LONGEST_HEAD = 64 << 10
_CHUNK = 64 << 10
_HEAD_SECONDS = 30.0
_CONNECT_SECONDS = 15.0
_PORTS = {"http": 80, "https": 443}
_GIT = {
    "protocol.allow": "never",
    "protocol.https.allow": "always",
    "protocol.http.allow": "always",
    "protocol.file.allow": "user",
    "core.hooksPath": "/dev/null",
    "http.proxyAuthMethod": "basic",
}
"""Configuration of every git, also one that uv or git itself starts: no other protocol, and nobody's hooks. uv copies
what it fetched by a path, which `user` allows it and denies submodules."""

_Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class _RefusalError(Exception):
    """An answer of ours in place of the server's."""

    def __init__(self, status: str, why: str) -> None:
        self.status, self.why = status, why
        super().__init__(why)


@dataclass
class NetworkGuard:
    """The proxy; `async with` ends it. It listens from the first time that somebody asks for its environment."""

    policy: AddressPolicy
    proxy_for: Callable[[str], str | None]
    """Returns the user's own proxy for an address; None to go directly."""
    refusal: RefusedAddressError | None = None
    """The last connection that was refused."""
    fault: str = ""
    """What hindered the last connection that could not be made."""
    _server: asyncio.Server | None = None
    _token: str = field(default_factory=lambda: secrets.token_urlsafe(16), repr=False)
    """Other accounts of this machine reach the port too, and are none of its users."""
    _starting: asyncio.Lock = field(default_factory=asyncio.Lock)
    _connections: set["asyncio.Task[None]"] = field(default_factory=set)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is None:
            return
        self._server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    @property
    def port(self) -> int:
        """The port that it listens on."""
        assert self._server is not None  # noqa: S101 - after `environment`
        return int(self._server.sockets[0].getsockname()[1])

    async def environment(self) -> dict[str, str]:
        """Return the variables by which uv and git use it, and nothing else."""
        async with self._starting:  # several programs may be started at once
            self._server = self._server or await asyncio.start_server(self._accept, "127.0.0.1", 0, limit=_LONGEST_HEAD)
        address = f"http://guard:{self._token}@127.0.0.1:{self.port}"
        settings = list(_GIT.items())
        return {
            **{name: address for proxy in ("http_proxy", "https_proxy") for name in (proxy, proxy.upper())},
            "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_CONFIG_COUNT": str(len(settings)),
            **{f"GIT_CONFIG_KEY_{at}": name for at, (name, _) in enumerate(settings)},
            **{f"GIT_CONFIG_VALUE_{at}": value for at, (_, value) in enumerate(settings)},
        }  # fmt: skip

    def raise_refusal(self) -> None:
        """Raise the refusal of a connection, once: it is why the program failed that asked for it."""
        refusal, self.refusal = self.refusal, None
        if refusal:
            raise refusal

    @property
    def explanation(self) -> str:
        """What to add to a program's own words of a failure; empty when nothing is known."""
        return f" ({self.fault})" if self.fault else ""

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine that runs
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)
        try:
            await self._serve(reader, writer)
        except _RefusalError as refusal:
            self.fault = refusal.why or self.fault
            with contextlib.suppress(OSError):
                writer.write(f"HTTP/1.1 {refusal.status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n".encode())
                await writer.drain()
        except (OSError, EOFError, ValueError, asyncio.LimitOverrunError, TimeoutError, ssl.SSLError):
            pass  # either side went away, or what came is no request
        except asyncio.CancelledError:
            pass  # by our own end; Python 3.11 logs a server's cancelled connection as a fault
        finally:
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with asyncio.timeout(_HEAD_SECONDS):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.removesuffix("\r\n\r\n").split("\r\n")
        method, target, version = first.split(" ")
        self._check_user(lines)
        tunnel = method == "CONNECT"
        url = urlsplit(f"https://{target}" if tunnel else target)
        if not url.hostname or url.scheme not in _PORTS:
            raise _RefusalError("400 Bad Request", "")
        proxy = self.proxy_for(f"{url.scheme}://{url.netloc.rpartition('@')[2]}")
        there = await (self._by_proxy(url, proxy, tunnel=tunnel) if proxy else self._directly(url))
        try:
            if tunnel:
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                kept = [line for line in lines if not line.lower().startswith(("proxy-", "connection:", "keep-alive:"))]
                path = target if proxy else (url._replace(scheme="", netloc="").geturl() or "/")
                kept += [f"Proxy-Authorization: {_basic(proxy)}"] if proxy and _basic(proxy) else []
                there[1].write(
                    "\r\n".join([f"{method} {path} {version}", *kept, "Connection: close", "", ""]).encode("latin-1")
                )
            await _relay((reader, writer), there)
        finally:
            there[1].close()

    def _check_user(self, lines: list[str]) -> None:
        expected = f"basic {base64.b64encode(f'guard:{self._token}'.encode()).decode()}".lower()
        given = [line.partition(":")[2].strip() for line in lines if line.lower().startswith("proxy-authorization:")]
        if not any(secrets.compare_digest(one.lower().encode(), expected.encode()) for one in given):
            raise _RefusalError('407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm="guard"', "")

    async def _directly(self, url: SplitResult) -> _Streams:
        """Connect to the first permitted address of the name that answers."""
        host, port = url.hostname or "", url.port or _PORTS[url.scheme]
        try:
            addresses = self.policy.permitted(host, port, await resolved(host, port))
        except RefusedAddressError as refusal:
            self.refusal = refusal
            raise _RefusalError("403 Forbidden", refusal.message) from refusal
        except UnknownHostError as error:
            raise _RefusalError("502 Bad Gateway", str(error)) from error
        fault: Exception = OSError("no address")
        for address in addresses:
            try:
                async with asyncio.timeout(_CONNECT_SECONDS):
                    return await asyncio.open_connection(address, port)
            except (OSError, TimeoutError) as error:
                fault = error
        raise _RefusalError("502 Bad Gateway", f"{host}:{port} does not answer: {fault or 'it took too long'}")

    async def _by_proxy(self, url: SplitResult, proxy: str, *, tunnel: bool) -> _Streams:
        """Connect to the user's proxy, and through it where the program wants a tunnel."""
        host, port = url.hostname or "", url.port or _PORTS[url.scheme]
        try:
            await check_for_proxy(self.policy, host, port)
        except RefusedAddressError as refusal:
            self.refusal = refusal
            raise _RefusalError("403 Forbidden", refusal.message) from refusal
        parts = urlsplit(proxy)
        if parts.scheme not in _PORTS or not parts.hostname:
            raise _RefusalError("502 Bad Gateway", f"a proxy by {parts.scheme}:// cannot be used, only http and https")
        trust = ssl.create_default_context() if parts.scheme == "https" else None
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                reader, writer = await asyncio.open_connection(
                    parts.hostname, parts.port or _PORTS[parts.scheme], ssl=trust, limit=_LONGEST_HEAD
                )
        except (OSError, TimeoutError) as error:
            why = f"the proxy {without_secrets(proxy)} does not answer: {error or 'it took too long'}"
            raise _RefusalError("502 Bad Gateway", why) from error
        if tunnel:
            await _open_tunnel(reader, writer, f"{url.hostname}:{port}", proxy)
        return reader, writer


async def _open_tunnel(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, server: str, proxy: str) -> None:
    lines = [f"CONNECT {server} HTTP/1.1", f"Host: {server}"]
    lines += [f"Proxy-Authorization: {known}"] if (known := _basic(proxy)) else []
    try:
        writer.write("\r\n".join([*lines, "", ""]).encode("latin-1"))
        async with asyncio.timeout(_CONNECT_SECONDS):
            answer = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except (OSError, EOFError, TimeoutError, asyncio.LimitOverrunError) as error:
        writer.close()
        raise _RefusalError("502 Bad Gateway", f"the proxy {without_secrets(proxy)} gives no answer") from error
    status = answer.partition("\r\n")[0].partition(" ")[2]
    if not status.startswith("2"):
        writer.close()
        raise _RefusalError("502 Bad Gateway", f"the proxy {without_secrets(proxy)} says {status[:100]}")


def _basic(proxy: str | None) -> str | None:
    """Return the credentials in the address of the user's proxy as a header has them."""
    parts = urlsplit(proxy or "")
    if parts.username is None:
        return None
    known = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return f"Basic {base64.b64encode(known.encode()).decode()}"


async def _relay(here: _Streams, there: _Streams) -> None:
    """Pass bytes both ways until both have ended, or one of them broke."""

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(_CHUNK):
            writer.write(chunk)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()

    with contextlib.suppress(ExceptionGroup):  # of OSError: what broke on one side ends the other
        async with asyncio.TaskGroup() as group:
            group.create_task(pump(here[0], there[1]))
            group.create_task(pump(there[0], here[1]))
