"""How we get to a server: by a proxy or directly, and only to addresses that the policy permits.

A name is resolved here, its addresses are checked, and the connection is made to a checked one: a name that changes its
address between check and use (DNS rebinding) gains nothing. `exchange.py` asks anew for each redirect.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable
from functools import cached_property

from repack_contract.errors import RepackError, without_secrets
from repack_contract.reasons import Reason
from repack_worker.addresses import AddressPolicy
from repack_worker.download import CutError
from repack_worker.resolving import UnknownHostError, check_for_proxy, resolved
from repack_worker.settings import Settings, passed_on_environment
from repack_worker.web_url import NoWebUrlError, WebUrl
from repack_worker.wire import Route, Wire, unreachable

_IDLE_SECONDS = 5.0
"""A connection that was not used for so long is not used again: servers and what lies between forget them."""


class Connections:
    """Connections that are there and those that can be made; for one event loop, not for threads."""

    def __init__(
        self, settings: Settings, *, clock: Callable[[], float], proxy_for: Callable[[str], str | None]
    ) -> None:
        self._settings, self._clock, self._proxy_for = settings, clock, proxy_for
        self._policy = settings.addresses
        self._proxies: dict[tuple[str, str, int], WebUrl | None] = {}
        self._idle: list[Wire] = []

    async def route(self, url: WebUrl, *, own: bool) -> Route:
        """Decide how a request goes.

        Raises:
            RepackError: `AddressRefused` where a name leads inside, also by a proxy; a proxy that we cannot speak to.
        """
        if not own and url.origin not in self._proxies:  # reading the environment takes as long as a small file
            self._proxies[url.origin] = _proxy(self._proxy_for(str(url)))
        proxy = None if own else self._proxies[url.origin]
        if proxy:
            await check_for_proxy(self._policy, url.host, url.port)
        return Route(*url.origin, own=own, proxy=proxy)

    def take(self, route: Route) -> Wire | None:
        """Return a connection that was used before, whose server may have closed it since; None without one."""
        for wire in reversed(self._idle):
            if wire.route == route:
                self._idle.remove(wire)
                if self._clock() - wire.idle_since < _IDLE_SECONDS:
                    return wire
                wire.close()
                return self.take(route)
        return None

    def give_back(self, wire: Wire) -> None:
        """Keep a connection for a next request; the one that waits for longest goes where there are too many."""
        wire.idle_since, wire.used = self._clock(), True
        self._idle.append(wire)
        if len(self._idle) > self._settings.connections:
            self._idle.pop(0).close()

    async def make(self, route: Route) -> Wire:
        """Connect; TLS and a proxy's tunnel are made when the connection is used.

        Raises:
            RepackError: `AddressRefused`.
            CutError: no address answers in time.
        """
        policy = None if route.own or route.proxy else self._policy
        host, port = (route.proxy.host, route.proxy.port) if route.proxy else (route.host, route.port)
        is_secure = "https" in {route.scheme, route.proxy.scheme if route.proxy else ""}
        authorities = self._authorities if is_secure else None
        seconds = self._settings.connect_timeout_seconds
        try:
            sock = await connected(host, port, policy=policy, seconds=seconds)
        except TimeoutError as error:
            raise CutError(Reason.INDEX_UNREACHABLE, f"no connection within {seconds:.0f} s") from error
        except OSError as error:
            raise unreachable(error) from error
        return Wire(sock, route, self._settings, clock=self._clock, authorities=authorities)

    def close(self) -> None:
        """Close every connection that nobody uses."""
        while self._idle:
            self._idle.pop().close()

    @cached_property
    def _authorities(self) -> ssl.SSLContext:
        """`SSL_CERT_FILE`, `SSL_CERT_DIR` or the usual ones; reading them takes as long as a small download."""
        return trusted(passed_on_environment())


async def connected(host: str, port: int, *, policy: AddressPolicy | None, seconds: float) -> socket.socket:
    """Connect to the first address of a name that answers, of those that the policy permits.

    Raises:
        RefusedAddressError: the policy permits none.
        OSError: none answers; a TimeoutError where it was silent.
    """
    found = await resolved(host, port)
    addresses = found if policy is None else policy.permitted(host, port, found)
    for last, address in enumerate(addresses, start=1 - len(addresses)):
        try:
            async with asyncio.timeout(seconds):
                return await _connected(address, port)
        except OSError:  # a TimeoutError is one
            if last == 0:
                raise
    raise UnknownHostError(f"{host} has no address")


async def _connected(address: str, port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)  # noqa: FBT003 - the standard library's
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.get_running_loop().sock_connect(sock, (address, port))
    except BaseException:
        sock.close()
        raise
    return sock


def trusted(environment: dict[str, str]) -> ssl.SSLContext:
    """Return who is believed: `SSL_CERT_FILE`, else `SSL_CERT_DIR`, else Mozilla's authorities as certifi has them.

    Raises:
        RepackError: what the variable names cannot be read.
    """
    name = next((name for name in ("SSL_CERT_FILE", "SSL_CERT_DIR") if environment.get(name)), None)
    try:
        if name == "SSL_CERT_FILE":
            context = ssl.create_default_context(cafile=environment[name])
        elif name == "SSL_CERT_DIR":
            context = ssl.create_default_context(capath=environment[name])
        else:
            import certifi  # noqa: PLC0415 - needed where nothing was named

            context = ssl.create_default_context(cafile=certifi.where())
    except OSError as error:
        what = f"{name} names {environment[name]}" if name else "The list of authorities"
        message = f"{what}, which cannot be read as certificates: {error}."
        raise RepackError(Reason.INTERNAL, message, hint=f"Correct {name}." if name else None) from error
    context.set_alpn_protocols(["http/1.1"])
    return context


def _proxy(address: str | None) -> WebUrl | None:
    if address is None:
        return None
    try:
        return WebUrl.read(address)
    except NoWebUrlError as error:
        kind = "a proxy of that kind" if address.startswith("socks") else "that as a proxy"
        raise RepackError(
            Reason.INDEX_UNREACHABLE,
            f"HTTP_PROXY, HTTPS_PROXY or ALL_PROXY says {without_secrets(address)}, and {kind} cannot be used.",
            hint="Name a proxy by http:// or https://, or exempt the host by NO_PROXY.",
        ) from error
