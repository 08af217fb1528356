"""One call to the API server: permit, credentials, time limit, bounded repetition, and the meaning of a refusal.

Only what can be repeated without harm is repeated: reads, and writes whose second execution the API server refuses
(a patch or replace that carries a resourceVersion, a delete). A create is repeated only where the server said, or the
broken connection shows, that it never took place.
"""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Protocol
from urllib.parse import urlencode

import aiohttp
from kubernetes.aio.client.api_client import ApiClient

from repack_kube.access import Access
from repack_kube.errors import FencedError, ForbiddenError, KubeError, UnavailableError, error_from_status
from repack_kube.throttle import Bucket

_BACKOFF_SECONDS = (0.2, 0.5, 1.0, 2.0)
"""Waits between repetitions; after them the caller must decide (a work queue backs off for longer)."""
_MAX_RETRY_AFTER_SECONDS = 10.0
_CONNECT_SECONDS = 5.0
_MAX_STREAM_LINE = 8 * 1024 * 1024
"""Longest message of a watch in bytes; etcd keeps no object above 1.5 MiB."""


@dataclass(frozen=True)
class Request:
    """What is asked of the API server."""

    verb: str
    """get, list, watch, create, replace, patch, delete or log; a label of the metrics."""
    resource: str
    """Plural name of the kind; a label of the metrics."""
    method: str
    path: str
    query: dict[str, str] = field(default_factory=dict)
    body: Any = None
    content_type: str = "application/json"

    @property
    def repeatable(self) -> bool:
        """Tell whether a second execution does no harm."""
        return self.method != "POST"

    @property
    def target(self) -> str:
        """Path and query."""
        return f"{self.path}?{urlencode(self.query)}" if self.query else self.path


@dataclass(frozen=True)
class CallMade:
    """What a metrics hook is told of every call."""

    verb: str
    resource: str
    code: int
    """HTTP status; 0 where there was no answer."""
    seconds: float
    throttled_seconds: float


Observer = Callable[[CallMade], None]


class _Response(Protocol):
    """The part of aiohttp's response that we use."""

    status: int
    headers: Any
    content: aiohttp.StreamReader

    async def read(self) -> bytes: ...

    def close(self) -> None: ...


class Transport:
    """Speaks HTTP with one API server over the official client's connection pool."""

    def __init__(
        self,
        access: Access,
        *,
        bucket: Bucket,
        timeout_seconds: float = 30.0,
        observer: Observer | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._access = access
        self._client = ApiClient(configuration=access.configuration)
        self._bucket = bucket
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds, sock_connect=_CONNECT_SECONDS)
        self._observer = observer
        self.user_agent = "dify-repack"
        self.fence: Callable[[], bool] = lambda: True
        """Tells whether we may write."""
        self._sleep = sleep

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def call(self, request: Request) -> bytes:
        """Return the body of the answer.

        Raises:
            KubeError: the server refused, or could not answer in several tries.
        """
        for pause in _BACKOFF_SECONDS:
            try:
                return await self._once(request)
            except UnavailableError as error:
                if not (request.repeatable or _never_happened(error)):
                    raise
                asked = error.retry_after_seconds
                if asked is not None and asked > _MAX_RETRY_AFTER_SECONDS:
                    raise
                await self._sleep(asked if asked is not None else pause * random.uniform(0.5, 1.5))  # noqa: S311
        return await self._once(request)

    async def _once(self, request: Request) -> bytes:
        async with self._exchange(request, timeout=self._timeout) as response:
            return await response.read()

    def stream(self, request: Request, *, silence_seconds: float) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Open a stream of lines that ends when the server ends it; not repeated.

        Raises:
            UnavailableError: also when nothing came for `silence_seconds`.
        """
        return self._stream(request, silence_seconds=silence_seconds)

    @asynccontextmanager
    async def _stream(self, request: Request, *, silence_seconds: float) -> AsyncIterator[AsyncIterator[bytes]]:
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS, sock_read=silence_seconds)
        async with self._exchange(request, timeout=timeout) as response:
            yield _lines(response.content)

    @asynccontextmanager
    async def _exchange(self, request: Request, *, timeout: aiohttp.ClientTimeout) -> AsyncIterator[_Response]:
        throttled = await self._bucket.take()
        # Asked at the last moment: much may have happened while we waited for the permit, or were stopped.
        if request.method != "GET" and not self.fence():
            raise FencedError(f"{request.verb} {request.resource}: not sent, because this replica does not lead")
        started = monotonic()
        code = 0
        try:
            response = await self._send(request, timeout=timeout)
            code = response.status
            try:
                if code >= 400:
                    raise _refusal(response, await response.read())
                yield response
            finally:
                response.close()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            failure = UnavailableError(f"{request.verb} {request.resource}: no answer from the API server ({error!r})")
            failure.__cause__ = error
            raise failure from error
        finally:
            self._observe(request, code=code, seconds=monotonic() - started, throttled=throttled)

    async def _send(self, request: Request, *, timeout: aiohttp.ClientTimeout) -> _Response:
        headers = {"Accept": "application/json", "Content-Type": request.content_type, "User-Agent": self.user_agent}
        headers |= await self._access.headers()
        answer = await self._client.rest_client.request(
            request.method,
            self._access.server + request.target,
            headers=headers,
            body=request.body,
            _request_timeout=timeout,
        )
        response: _Response = answer.response
        return response

    def _observe(self, request: Request, *, code: int, seconds: float, throttled: float) -> None:
        if self._observer is not None:
            self._observer(CallMade(request.verb, request.resource, code, seconds, throttled))


def _never_happened(error: UnavailableError) -> bool:
    """Tell whether the refused request was certainly not executed: turned away at the door, or never sent."""
    return error.status == 429 or isinstance(error.__cause__, aiohttp.ClientConnectorError)


def _refusal(response: _Response, data: bytes) -> KubeError:
    try:
        body = json.loads(data)
    except ValueError:
        body = {"message": data[:300].decode(errors="replace")}
    error = error_from_status(response.status, body if isinstance(body, dict) else {})
    if isinstance(error, UnavailableError):
        header = response.headers.get("Retry-After", "")
        if header.isdigit():
            error.retry_after_seconds = float(header)
    if isinstance(error, ForbiddenError) and error.status == 401:
        error.message = f"the API server does not accept our credentials: {error.message}"
    return error


async def _lines(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    buffer = bytearray()
    async for chunk in content.iter_any():
        buffer += chunk
        *complete, rest = buffer.split(b"\n")
        buffer = rest
        for line in complete:
            if line.strip():
                yield bytes(line)
        if len(buffer) > _MAX_STREAM_LINE:
            raise UnavailableError("a message of the watch is longer than any object can be")
