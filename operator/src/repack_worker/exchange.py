"""One exchange with a server: a request, and its answer written to disk within our limits.

The event loop resolves, checks and connects; TLS, the request and its answer are a thread's, of a pool of our own:
receiving, hashing and writing let go of the interpreter's lock. HTTP/1.1: HTTP/2 in pure Python is bound by the CPU
(repackaging.md 7).
"""

import asyncio
import contextlib
import ssl
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPResponse
from typing import Union

from repack_contract.errors import RepackError
from repack_contract.reasons import Reason
from repack_worker.answers import announced, check_status, continues, redirect_of, validator
from repack_worker.connecting import Connections
from repack_worker.download import CutError, Download, Part
from repack_worker.receiving import Sink
from repack_worker.settings import Settings, proxy_for
from repack_worker.web_url import NoWebUrlError, WebUrl
from repack_worker.wire import Route, StaleError, Wire

MAX_REDIRECTS = 5
_CERTIFICATE_HINT = "Put the certificate authority of the server, or of the proxy between, into SSL_CERT_FILE."
_BUFFER = 1 << 18
_DRAINED = 1 << 16
"""Longest body of a redirect that is read for the sake of the connection."""

_Headers = dict[str, str]
_Outcome = Union[str, "_Redirect"]
"""The sha256 of the whole file, or where to ask for it."""


class _Room(threading.local):
    """The buffer of a thread."""

    def __init__(self) -> None:
        self.view = memoryview(bytearray(_BUFFER))


@dataclass(frozen=True)
class _Redirect:
    """Where an answer sends us."""

    location: str


class Exchange:
    """An HTTP client with our limits."""

    def __init__(self, settings: Settings, *, clock: Callable[[], float]) -> None:
        self._settings, self._clock = settings, clock
        self._connections = Connections(settings, clock=clock, proxy_for=proxy_for)
        self._slots = asyncio.Semaphore(settings.connections)
        self._threads = ThreadPoolExecutor(settings.connections, thread_name_prefix="download")
        self._room = _Room()
        self._busy: set[Wire] = set()

    async def close(self) -> None:
        """Close every connection and end the threads, at once also where one still waits for a server."""
        for wire in self._busy:
            wire.abort()
        self._connections.close()
        self._threads.shutdown()

    async def transfer(self, order: Download, part: Part) -> str:
        """Ask once, from where the last attempt ended; return the sha256 of the whole file."""
        try:
            url = WebUrl.read(order.url)
        except NoWebUrlError as error:
            raise RepackError(order.missing, f"{order.what}: {order.shown_url} is no web address.") from error
        headers = _headers(order, part)
        if url.basic:
            headers["authorization"] = url.basic
        async with self._slots:
            return await self._follow(url, headers, order, part)

    async def _follow(self, url: WebUrl, headers: _Headers, order: Download, part: Part) -> str:
        # One deadline for the heads of all answers, for a server may drip them, too.
        deadline = self._clock() + self._settings.stall_seconds * 2
        for _ in range(MAX_REDIRECTS + 1):
            headers["host"] = url.netloc
            outcome = await self._hop(url, headers, order, part=part, deadline=deadline)
            if not isinstance(outcome, _Redirect):
                return outcome
            url, before = _target(url, outcome, order), url
            headers.pop("cookie", None)
            if not url.may_know_what_is_for(before):
                headers.pop("authorization", None)
        raise RepackError(
            Reason.INDEX_UNREACHABLE, f"{order.what}: more than {MAX_REDIRECTS} redirects from {order.shown_url}."
        )

    async def _hop(self, url: WebUrl, headers: _Headers, order: Download, *, part: Part, deadline: float) -> _Outcome:
        def talk(wire: Wire) -> _Outcome:
            wire.open()
            with wire.ask(url, headers, deadline=deadline) as answer:
                return self._read(wire, answer, order, part)

        try:
            route = await self._connections.route(url, own=order.own)
            wire = self._connections.take(route)
            if wire:
                try:
                    return await self._with(wire, talk)
                except StaleError:
                    pass  # the server had closed it, no byte of an answer came: this is no attempt
            return await self._with(await self._new(route, deadline), talk)
        except ssl.SSLCertVerificationError as error:
            raise RepackError(
                Reason.INDEX_UNREACHABLE, f"{order.what}: {error} ({order.shown_url}).", hint=_CERTIFICATE_HINT
            ) from error

    async def _new(self, route: Route, deadline: float) -> Wire:
        try:
            async with asyncio.timeout(deadline - self._clock()):
                return await self._connections.make(route)
        except TimeoutError as error:
            message = f"nothing came for {self._settings.stall_seconds:.0f} s"
            raise CutError(Reason.DOWNLOAD_TIMEOUT, message) from error

    async def _with(self, wire: Wire, talk: Callable[[Wire], _Outcome]) -> _Outcome:
        """Use a connection in a thread; when this is cancelled, the thread has ended before it is told."""
        self._busy.add(wire)
        running = asyncio.get_running_loop().run_in_executor(self._threads, talk, wire)
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            wire.abort()
            while not running.done():
                with contextlib.suppress(asyncio.CancelledError):
                    await asyncio.wait([running])
            raise
        finally:
            self._busy.discard(wire)
            self._put_away(wire)

    def _put_away(self, wire: Wire) -> None:
        if wire.is_reusable:
            self._connections.give_back(wire)
        else:
            wire.close()

    def _read(self, wire: Wire, answer: HTTPResponse, order: Download, part: Part) -> _Outcome:
        location = None if order.own else redirect_of(answer)
        if location is not None:
            self._drain(wire, answer)
            return _Redirect(location)
        check_status(answer, order, part)
        there = part.size
        if there and not continues(answer, order, part):
            order.on_bytes(-there)
            there = 0
        return self._receive(wire, answer, order, part=part, there=there)

    def _receive(self, wire: Wire, answer: HTTPResponse, order: Download, *, part: Part, there: int) -> str:
        part.validator = validator(answer)
        length = announced(answer)
        whole = None if length is None else there + length
        if whole is not None:
            _check_limit(whole, order)
            order.on_total(whole)
        done = there
        sink = Sink(part.path, self._room.view, there=there, tell=order.on_bytes, check=wire.check)
        with sink:
            while done != whole and (
                count := sink.receive(lambda room: wire.receive_of(answer, room), most=order.limit - done)
            ):
                done += count
                _check_limit(done, order)
        if whole is not None and done < whole:
            raise CutError(Reason.DOWNLOAD_TIMEOUT, f"the transfer was cut after {done:,} of {whole:,} bytes")
        wire.finish(answer)
        return sink.sha256

    def _drain(self, wire: Wire, answer: HTTPResponse) -> None:
        left = announced(answer)
        if left is not None and left <= _DRAINED:
            while left and (count := wire.receive_of(answer, self._room.view)):
                left -= count
            wire.finish(answer)


def _headers(order: Download, part: Part) -> _Headers:
    headers = {"user-agent": "dify-repack", "accept": "*/*", "accept-encoding": "identity", "connection": "keep-alive"}
    headers |= {name.lower(): value for name, value in order.headers.items()}
    if part.size:
        headers |= {"range": f"bytes={part.size}-", **({"if-range": part.validator} if part.validator else {})}
    for name, value in headers.items():
        if not (value.isascii() and value.isprintable()):  # the value may be a secret
            message = f"{order.what}: the header {name} has characters that none can have ({order.shown_url})."
            raise RepackError(Reason.INTERNAL, message, hint="Correct the token or the password in the settings.")
    return headers


def _target(url: WebUrl, redirect: _Redirect, order: Download) -> WebUrl:
    try:
        return url.joined(redirect.location)
    except NoWebUrlError as error:
        message = f"{order.what}: {order.shown_url} redirects to what is no web address."
        raise RepackError(order.missing, message) from error


def _check_limit(size: int, order: Download) -> None:
    if size > order.limit:
        raise RepackError(
            Reason.PACKAGE_TOO_LARGE,
            f"{order.what} has more than the allowed {order.limit:,} bytes ({order.shown_url}).",
            hint=order.limit_hint,
        )
