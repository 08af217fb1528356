"""How we get to a server: by a proxy or directly, and only to addresses that the policy permits.

A name is resolved here, its addresses are checked, and the connection is made to a checked one: a name that changes its
address between check and use (DNS rebinding) gains nothing. httpx asks the transport anew for each redirect.
"""

import asyncio
import ssl
from collections.abc import Callable, Iterable
from functools import cached_property
from typing import Any

import httpcore
import httpx

from repack_worker.addresses import AddressPolicy
from repack_worker.resolving import UnknownHostError, check_for_proxy, resolved

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
        try:
            found = await resolved(host, port)
        except UnknownHostError as error:
            raise httpcore.ConnectError(str(error)) from error
        addresses = self._policy.permitted(host, port, found)
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


class Transport(httpx.AsyncBaseTransport):
    """Chooses for each request: our own server directly, by the proxy of the environment, or checked and direct."""

    def __init__(self, policy: AddressPolicy, *, limits: httpx.Limits, proxy_for: Callable[[str], str | None]) -> None:
        self._policy, self._limits, self._proxy_for = policy, limits, proxy_for
        self._ways: dict[tuple[str, str], httpx.AsyncHTTPTransport] = {}

    @cached_property
    def _authorities(self) -> ssl.SSLContext:
        """`SSL_CERT_FILE`, `SSL_CERT_DIR` or the usual ones; reading them takes as long as a small download."""
        return httpx.create_ssl_context(trust_env=True)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request on its way."""
        direct = request.extensions.get(DIRECT)
        proxy = None if direct else self._proxy_for(str(request.url))
        if proxy:
            port = request.url.port or {"http": 80, "https": 443}.get(request.url.scheme, 0)
            await check_for_proxy(self._policy, request.url.host, port)
        way = "direct" if direct else proxy or "checked"
        # One for each scheme: a plain one needs no authorities, unless its proxy is reached by TLS.
        key = (way, request.url.scheme)
        if key not in self._ways:
            self._ways[key] = self._way(way, plain=request.url.scheme == "http" and not way.startswith("https:"))
        return await self._ways[key].handle_async_request(request)

    def _way(self, way: str, *, plain: bool) -> httpx.AsyncHTTPTransport:
        trust = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if plain else self._authorities
        if way == "checked":
            return _checked(self._policy, limits=self._limits, trust=trust)
        proxy = None if way == "direct" else way
        return httpx.AsyncHTTPTransport(verify=trust, limits=self._limits, trust_env=False, proxy=proxy)

    async def aclose(self) -> None:
        """Close every connection."""
        for transport in self._ways.values():
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
