"""How we get to a server: by a proxy or directly, and only to addresses that the policy permits.

A name is resolved here, its addresses are checked, and the connection is made to a checked one: a name that changes its
address between check and use (DNS rebinding) gains nothing. httpx asks the transport anew for each redirect.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable, Iterable
from typing import Any

import httpcore
import httpx

from repack_worker.addresses import AddressPolicy

DIRECT = "direct"
"""Extension of a request that goes to a server of our own: never by a proxy, and not checked."""


class CheckedBackend(httpcore.AsyncNetworkBackend):
    """Connects to names whose addresses the policy permits."""

    def __init__(self, policy: AddressPolicy) -> None:
        self._policy, self._network = policy, httpcore.AnyIOBackend()

    async def connect_tcp(
        self, host: str, port: int, timeout: float | None = None, local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:  # fmt: skip
        """Connect to the first address that answers; TLS still checks the name, which httpcore knows."""
        addresses = self._policy.permitted(host, port, await resolved(host, port))
        for last, address in enumerate(addresses, start=1 - len(addresses)):
            try:
                return await self._network.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                if last == 0:
                    raise
        raise httpcore.ConnectError(f"{host} has no address")

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)


async def check_for_proxy(policy: AddressPolicy, host: str, port: int) -> None:
    """Refuse a name that leads inside as far as we can see; one that only the proxy knows is the proxy's affair."""
    try:
        addresses = await resolved(host, port)
    except httpcore.ConnectError:
        return
    policy.permitted(host, port, addresses)


async def resolved(host: str, port: int) -> list[str]:
    """Return the addresses of a name, in the order of preference; raise httpcore's `ConnectError` when it has none."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise httpcore.ConnectError(f"{host} is not known: {error}") from error
    return list(dict.fromkeys(str(address[4][0]) for address in found))


class Transport(httpx.AsyncBaseTransport):
    """Chooses for each request: our own server directly, by the proxy of the environment, or checked and direct."""

    def __init__(self, policy: AddressPolicy, *, limits: httpx.Limits, proxy_for: Callable[[str], str | None]) -> None:
        self._policy, self._limits, self._proxy_for = policy, limits, proxy_for
        self._trust = httpx.create_ssl_context(trust_env=True)  # SSL_CERT_FILE and SSL_CERT_DIR
        self._own = httpx.AsyncHTTPTransport(verify=self._trust, limits=limits, trust_env=False)
        self._checked = _checked(policy, limits=limits, trust=self._trust)
        self._proxies: dict[str, httpx.AsyncHTTPTransport] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request on its way."""
        if request.extensions.get(DIRECT):
            return await self._own.handle_async_request(request)
        proxy = self._proxy_for(str(request.url))
        if proxy is None:
            return await self._checked.handle_async_request(request)
        port = request.url.port or {"http": 80, "https": 443}.get(request.url.scheme, 0)
        await check_for_proxy(self._policy, request.url.host, port)
        if proxy not in self._proxies:
            self._proxies[proxy] = httpx.AsyncHTTPTransport(
                verify=self._trust, limits=self._limits, trust_env=False, proxy=proxy
            )
        return await self._proxies[proxy].handle_async_request(request)

    async def aclose(self) -> None:
        """Close every connection."""
        for transport in (self._own, self._checked, *self._proxies.values()):
            await transport.aclose()


def _checked(policy: AddressPolicy, *, limits: httpx.Limits, trust: ssl.SSLContext) -> httpx.AsyncHTTPTransport:
    transport = httpx.AsyncHTTPTransport(verify=trust, limits=limits, trust_env=False)
    # httpx has no argument for the network backend of its pool; the tests of redirects hold this.
    transport._pool = httpcore.AsyncConnectionPool(
        ssl_context=trust,
        max_connections=limits.max_connections,
        max_keepalive_connections=limits.max_keepalive_connections,
        keepalive_expiry=limits.keepalive_expiry,
        network_backend=CheckedBackend(policy),
    )
    return transport
