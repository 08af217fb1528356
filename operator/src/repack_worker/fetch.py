"""Downloads that are bounded, resumed after a cut, checked, and that end: in the whole file, or in a named error.

`.part` files are renamed only when whole and right, so a file under its final name can be trusted to be complete.
"""

import asyncio
import contextlib
import hashlib
import json
import re
import time
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field, replace
from email.utils import parsedate_to_datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import httpcore
import httpx

from repack_contract.errors import RepackError, without_secrets
from repack_contract.reasons import Reason
from repack_worker.settings import Settings, proxy_for
from repack_worker.transport import DIRECT, Transport, resolved

MAX_REDIRECTS = 5
MAX_ANSWER_BYTES = 4 << 20
"""Longest answer of an API; a release of 1,000 assets has 2 MB."""
_LONGEST_WAIT_SECONDS = 20.0
"""A server that asks for more is believed at once: whoever runs us tries again later."""
_CERTIFICATE_HINT = "Put the certificate authority of the server, or of the proxy between, into SSL_CERT_FILE."
_GONE = {404, 410}
_DENIED = {401, 403}
_CHUNK = 1 << 18


@dataclass(frozen=True)
class Download:
    """One file to fetch."""

    url: str
    target: Path
    what: str
    """What to call it in messages, such as `numpy 2.1.3` or `the plugin`."""
    limit: int
    """More bytes than this are refused."""
    sha256: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    missing: Reason = Reason.PLUGIN_NOT_FOUND
    """The reason when the server has no such file."""
    hint: str | None = None
    """What to do when the server fails; that of the reason when absent."""
    denied_hint: str = "The address needs a permission: download the file yourself and upload it."
    """What to do when the server wants to know who asks."""
    limit_hint: str | None = None
    """What to do when there are more bytes than the limit."""
    own: bool = False
    """The file is at a server of our own, the dashboard: no proxy, no redirect, a private address."""
    on_bytes: Callable[[int], None] = lambda _count: None
    """Called with the number of bytes that came; a negative one when they are thrown away."""
    on_total: Callable[[int], None] = lambda _count: None
    """Called once the whole size is known."""

    @property
    def shown_url(self) -> str:
        """The address without credentials and query."""
        return without_secrets(self.url)


class _CutError(Exception):
    """The transfer ended early; trying again may help. `reason` is what it is when it does not."""

    def __init__(self, reason: Reason, message: str, *, wait_seconds: float | None = None) -> None:
        self.reason, self.message, self.wait_seconds = reason, message, wait_seconds
        super().__init__(message)


@dataclass
class _Part:
    """What is there of a file, and which version of it: a changed file is not continued but begun anew."""

    path: Path
    validator: str | None = None
    """A strong ETag, else Last-Modified (RFC 9110 13.1.5)."""

    @property
    def size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0


class Fetcher:
    """An HTTP client with our limits. HTTP/1.1: in pure Python HTTP/2 is bound by the CPU (repackaging.md 7)."""

    def __init__(self, settings: Settings, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings, self._clock = settings, clock
        timeout = httpx.Timeout(settings.stall_seconds, connect=settings.connect_timeout_seconds, pool=None)
        limits = httpx.Limits(max_connections=settings.connections, max_keepalive_connections=settings.connections)
        self._addresses = settings.addresses
        self._flights: dict[str, asyncio.Lock] = {}
        self._client = httpx.AsyncClient(
            timeout=timeout,
            transport=Transport(self._addresses, limits=limits, proxy_for=proxy_for),
            follow_redirects=True,
            max_redirects=MAX_REDIRECTS,
            headers={"User-Agent": "dify-repack", "Accept-Encoding": "identity"},
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()

    def flight(self, key: str) -> asyncio.Lock:
        """Return the lock for one content: whoever shares this fetcher fetches nothing twice at the same time."""
        return self._flights.setdefault(key, asyncio.Lock())

    async def download(self, order: Download) -> str:
        """Fetch a file and return its sha256; on failure nothing of it is left. Ends within the attempts allowed."""
        part = _Part(order.target.with_name(f"{order.target.name}.part"))
        try:
            sha256 = await self._with_attempts(order, part)
            if order.sha256 and sha256 != order.sha256:
                raise RepackError(
                    Reason.CHECKSUM_MISMATCH,
                    f"{order.what}: the sha256 of {order.target.name} is {sha256}, expected was {order.sha256} "
                    f"({order.shown_url}).",
                    details={"file": order.target.name, "expected": order.sha256, "actual": sha256},
                )
            part.path.replace(order.target)
        finally:
            part.path.unlink(missing_ok=True)
        return sha256

    async def read_json(self, order: Download) -> Any:
        """Fetch a small answer of an API and read it; `order.target` is a folder for it.

        Raises:
            RepackError: as `download`; `IndexUnreachable` when the answer is something else, such as a sign-in page.
        """
        file = order.target / f"answer-{uuid.uuid4().hex[:8]}.json"
        try:
            await self.download(replace(order, target=file))
            return json.loads(file.read_bytes())
        except (ValueError, RecursionError) as error:
            raise RepackError(
                Reason.INDEX_UNREACHABLE,
                f"{order.what}: the answer of {order.shown_url} is {_what_it_is(file)} and not JSON.",
                hint="Check the base URL in the settings, and whether a proxy or a sign-in page answers in its place.",
            ) from error
        finally:
            file.unlink(missing_ok=True)

    async def check_address(self, url: str) -> None:
        """Raise `AddressRefused` for an address that must not be fetched; for programs that fetch it themselves.

        They resolve the name anew, so this is weaker than what `download` does. A name that is not known passes.
        """
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or {"http": 80, "https": 443}.get(parts.scheme, 0)
        with contextlib.suppress(httpcore.ConnectError):
            self._addresses.permitted(host, port, await resolved(host, port))

    async def _with_attempts(self, order: Download, part: _Part) -> str:
        for attempt in range(1, self._settings.download_attempts + 1):
            try:
                return await self._transfer(order, part)
            except _CutError as cut:
                if attempt == self._settings.download_attempts or (cut.wait_seconds or 0) > _LONGEST_WAIT_SECONDS:
                    raise RepackError(
                        cut.reason, f"{order.what}: {cut.message} ({order.shown_url}).", hint=order.hint
                    ) from cut
                await asyncio.sleep(min(cut.wait_seconds or 0.3 * 2**attempt, _LONGEST_WAIT_SECONDS))
        raise AssertionError("settings allow at least one attempt")

    async def _transfer(self, order: Download, part: _Part) -> str:
        """Ask once, from where the last attempt ended; return the sha256 of the whole file."""
        there = part.size
        try:
            request = self._request(order, part)
            # A server may drip its headers too; the client's own patience begins anew with each byte.
            async with asyncio.timeout(self._settings.stall_seconds * 2):
                response = await self._client.send(request, stream=True, follow_redirects=not order.own)
            async with contextlib.aclosing(response):
                _check_status(response, order, part)
                if there and not _continues(response, order, part):
                    order.on_bytes(-there)
                    there = 0
                return await self._receive(response, order, part=part, there=there)
        except (httpx.TimeoutException, TimeoutError) as error:
            raise _timeout(error, self._settings) from error
        except httpx.TooManyRedirects as error:
            raise RepackError(
                Reason.INDEX_UNREACHABLE, f"{order.what}: more than {MAX_REDIRECTS} redirects from {order.shown_url}."
            ) from error
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            raise RepackError(order.missing, f"{order.what}: {order.shown_url} is no web address.") from error
        except (httpx.RemoteProtocolError, httpx.ReadError) as error:
            raise _CutError(
                Reason.DOWNLOAD_TIMEOUT, f"the transfer was cut: {error or type(error).__name__}"
            ) from error
        except httpx.HTTPError as error:
            if "CERTIFICATE_VERIFY_FAILED" in str(error):
                raise RepackError(
                    Reason.INDEX_UNREACHABLE, f"{order.what}: {error} ({order.shown_url}).", hint=_CERTIFICATE_HINT
                ) from error
            message = f"the server could not be reached: {error or type(error).__name__}"
            raise _CutError(Reason.INDEX_UNREACHABLE, message) from error

    def _request(self, order: Download, part: _Part) -> httpx.Request:
        resume = {"Range": f"bytes={part.size}-", **({"If-Range": part.validator} if part.validator else {})}
        headers = {**order.headers, **(resume if part.size else {})}
        request = self._client.build_request("GET", order.url, headers=headers)
        request.extensions[DIRECT] = order.own
        return request

    async def _receive(self, response: httpx.Response, order: Download, *, part: _Part, there: int) -> str:
        part.validator = _validator(response)
        announced = _announced(response, there)
        if announced is not None:
            _check_limit(announced, order)
            order.on_total(announced)
        digest, done = hashlib.sha256(), there
        with part.path.open("ab" if there else "wb") as file:
            if there:
                await asyncio.to_thread(_digest_into, part.path, digest)
            async for chunk in self._steadily(response):
                done += len(chunk)
                _check_limit(done, order)
                digest.update(chunk)
                file.write(chunk)
                order.on_bytes(len(chunk))
        if announced is not None and done < announced:
            raise _CutError(Reason.DOWNLOAD_TIMEOUT, f"the transfer was cut after {done:,} of {announced:,} bytes")
        return digest.hexdigest()

    async def _steadily(self, response: httpx.Response) -> AsyncIterator[bytes]:
        """Yield what comes; a server that drips is as good as one that is silent."""
        window_start, window_bytes = self._clock(), 0
        async for chunk in response.aiter_raw():
            yield chunk
            window_bytes += len(chunk)
            seconds = self._clock() - window_start
            if seconds < self._settings.stall_seconds:
                continue
            if window_bytes < self._settings.min_bytes_per_second * seconds:
                raise _CutError(Reason.DOWNLOAD_TIMEOUT, f"only {window_bytes:,} bytes came within {seconds:.0f} s")
            window_start, window_bytes = self._clock(), 0


def _continues(response: httpx.Response, order: Download, part: _Part) -> bool:
    """Tell whether the answer goes on where we stopped; a server may answer with the whole file, or with nonsense."""
    if response.status_code != httpx.codes.PARTIAL_CONTENT:
        return False
    found = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    if found and int(found.group(1)) == part.size:
        return True
    _begin_anew(order, part)
    raise _CutError(Reason.DOWNLOAD_TIMEOUT, "the server sent another part of the file than was asked for")


def _begin_anew(order: Download, part: _Part) -> None:
    order.on_bytes(-part.size)
    part.path.unlink(missing_ok=True)


def _validator(response: httpx.Response) -> str | None:
    etag: str = response.headers.get("ETag", "")
    modified: str | None = response.headers.get("Last-Modified")
    return etag if etag.startswith('"') else modified


def _what_it_is(file: Path) -> str:
    head = file.read_bytes()[:512].lstrip() if file.exists() else b""
    return "a web page" if head.startswith(b"<") else "something else"


def _digest_into(path: Path, digest: "hashlib._Hash") -> None:
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)


def _announced(response: httpx.Response, there: int) -> int | None:
    length = response.headers.get("Content-Length", "")
    return there + int(length) if length.isdigit() else None


def _check_limit(size: int, order: Download) -> None:
    if size > order.limit:
        raise RepackError(
            Reason.PACKAGE_TOO_LARGE,
            f"{order.what} has more than the allowed {order.limit:,} bytes ({order.shown_url}).",
            hint=order.limit_hint,
        )


def _timeout(error: Exception, settings: Settings) -> _CutError:
    if isinstance(error, httpx.ConnectTimeout):
        return _CutError(Reason.INDEX_UNREACHABLE, f"no connection within {settings.connect_timeout_seconds:.0f} s")
    return _CutError(Reason.DOWNLOAD_TIMEOUT, f"nothing came for {settings.stall_seconds:.0f} s")


def _check_status(response: httpx.Response, order: Download, part: _Part) -> None:
    status = response.status_code
    if response.is_success:
        return
    if order.own and response.is_redirect:
        raise RepackError(
            Reason.INTERNAL, f"{order.what}: {order.shown_url} redirects, which our own server never does."
        )
    if status in _GONE:
        raise RepackError(order.missing, f"{order.what}: the server answers {status} for {order.shown_url}.")
    if status == httpx.codes.TOO_MANY_REQUESTS or _is_used_up(response):
        wait = _retry_after(response)
        asked = f" and to wait {wait:.0f} s" if wait else ""
        raise _CutError(
            Reason.RATE_LIMITED, f"the server asks to be called less often ({status}){asked}", wait_seconds=wait
        )
    if status in _DENIED:
        raise RepackError(
            order.missing,
            f"{order.what}: the server refuses {order.shown_url} ({status}).",
            hint=order.denied_hint,
        )
    if status == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
        _begin_anew(order, part)
    raise _CutError(Reason.INDEX_UNREACHABLE, f"the server answers {status}")


def _is_used_up(response: httpx.Response) -> bool:
    """Tell whether GitHub says 403 because its hourly rate is used up, and not because it is forbidden."""
    limited = response.headers.get("X-RateLimit-Remaining") == "0" or "Retry-After" in response.headers
    return response.status_code == httpx.codes.FORBIDDEN and limited


def _retry_after(response: httpx.Response) -> float | None:
    """Read `Retry-After` (seconds or a date, RFC 9110 10.2.3), or GitHub's `X-RateLimit-Reset` (a time)."""
    value = response.headers.get("Retry-After", "").strip()
    reset = response.headers.get("X-RateLimit-Reset", "").strip()
    if not value and reset.isdigit():
        return max(0.0, float(reset) - time.time())
    if value.isdigit():
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, TypeError):
        return None
