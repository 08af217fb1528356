"""One exchange with a server: a request, and its answer written to disk within our limits.

Apart from `fetch.py` because httpx takes a tenth of a second to import, which a pack with warm caches need not spend.
HTTP/1.1: in pure Python HTTP/2 is bound by the CPU (repackaging.md 7).
"""

import asyncio
import contextlib
import hashlib
import re
import time
from collections.abc import AsyncIterator, Callable
from email.utils import parsedate_to_datetime
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from repack_contract.errors import RepackError
from repack_contract.reasons import Reason
from repack_worker.download import CutError, Download, Part
from repack_worker.settings import Settings, proxy_for
from repack_worker.threads import in_thread
from repack_worker.transport import DIRECT, Transport

MAX_REDIRECTS = 5
_CERTIFICATE_HINT = "Put the certificate authority of the server, or of the proxy between, into SSL_CERT_FILE."
_GONE = {404, 410}
_DENIED = {401, 403}
_CHUNK = 1 << 18
_BATCH = 1 << 20
"""So much is hashed and written at once, in a thread."""


class _Sink:
    """Writes and hashes what comes, in a thread while more is received; the last of a file here.

    What has come is written whatever ends the block, for a further attempt goes on from there.
    """

    def __init__(self, path: Path, *, there: int) -> None:
        self._path, self._there, self._digest = path, there, hashlib.sha256()
        self._waiting: list[bytes] = []
        self._size = 0

    async def __aenter__(self) -> Self:
        self._file = self._path.open("ab" if self._there else "wb", buffering=0)
        if self._there:
            await in_thread(_digest_into, self._path, self._digest)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._file:
            self._write()

    async def add(self, chunk: bytes) -> None:
        """Take a chunk."""
        self._waiting.append(chunk)
        self._size += len(chunk)
        if self._size >= _BATCH:
            await in_thread(self._write)

    def _write(self) -> None:
        batch, self._waiting, self._size = b"".join(self._waiting), [], 0
        self._digest.update(batch)
        rest = memoryview(batch)
        while rest:
            rest = rest[self._file.write(rest) :]

    @property
    def sha256(self) -> str:
        """The sha256 of the whole file, once the block has ended."""
        return self._digest.hexdigest()


class Exchange:
    """An HTTP client with our limits."""

    def __init__(self, settings: Settings, *, clock: Callable[[], float]) -> None:
        self._settings, self._clock = settings, clock
        timeout = httpx.Timeout(settings.stall_seconds, connect=settings.connect_timeout_seconds, pool=None)
        limits = httpx.Limits(max_connections=settings.connections, max_keepalive_connections=settings.connections)
        self._client = httpx.AsyncClient(
            timeout=timeout,
            transport=Transport(settings.addresses, limits=limits, proxy_for=proxy_for),
            follow_redirects=True,
            max_redirects=MAX_REDIRECTS,
            headers={"User-Agent": "dify-repack", "Accept-Encoding": "identity"},
        )

    async def close(self) -> None:
        """Close every connection."""
        await self._client.aclose()

    async def transfer(self, order: Download, part: Part) -> str:
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
            raise CutError(Reason.DOWNLOAD_TIMEOUT, f"the transfer was cut: {error or type(error).__name__}") from error
        except httpx.HTTPError as error:
            if "CERTIFICATE_VERIFY_FAILED" in str(error):
                raise RepackError(
                    Reason.INDEX_UNREACHABLE, f"{order.what}: {error} ({order.shown_url}).", hint=_CERTIFICATE_HINT
                ) from error
            message = f"the server could not be reached: {error or type(error).__name__}"
            raise CutError(Reason.INDEX_UNREACHABLE, message) from error

    def _request(self, order: Download, part: Part) -> httpx.Request:
        resume = {"Range": f"bytes={part.size}-", **({"If-Range": part.validator} if part.validator else {})}
        headers = {**order.headers, **(resume if part.size else {})}
        request = self._client.build_request("GET", order.url, headers=headers)
        request.extensions[DIRECT] = order.own
        return request

    async def _receive(self, response: httpx.Response, order: Download, *, part: Part, there: int) -> str:
        part.validator = _validator(response)
        announced = _announced(response, there)
        if announced is not None:
            _check_limit(announced, order)
            order.on_total(announced)
        done = there
        async with _Sink(part.path, there=there) as sink:
            async for chunk in self._steadily(response):
                done += len(chunk)
                _check_limit(done, order)
                await sink.add(chunk)
                order.on_bytes(len(chunk))
        if announced is not None and done < announced:
            raise CutError(Reason.DOWNLOAD_TIMEOUT, f"the transfer was cut after {done:,} of {announced:,} bytes")
        return sink.sha256

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
                raise CutError(Reason.DOWNLOAD_TIMEOUT, f"only {window_bytes:,} bytes came within {seconds:.0f} s")
            window_start, window_bytes = self._clock(), 0


def _continues(response: httpx.Response, order: Download, part: Part) -> bool:
    """Tell whether the answer goes on where we stopped; a server may answer with the whole file, or with nonsense."""
    if response.status_code != httpx.codes.PARTIAL_CONTENT:
        return False
    found = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    if found and int(found.group(1)) == part.size:
        return True
    _begin_anew(order, part)
    raise CutError(Reason.DOWNLOAD_TIMEOUT, "the server sent another part of the file than was asked for")


def _begin_anew(order: Download, part: Part) -> None:
    order.on_bytes(-part.size)
    part.path.unlink(missing_ok=True)


def _validator(response: httpx.Response) -> str | None:
    etag: str = response.headers.get("ETag", "")
    modified: str | None = response.headers.get("Last-Modified")
    return etag if etag.startswith('"') else modified


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


def _timeout(error: Exception, settings: Settings) -> CutError:
    if isinstance(error, httpx.ConnectTimeout):
        return CutError(Reason.INDEX_UNREACHABLE, f"no connection within {settings.connect_timeout_seconds:.0f} s")
    return CutError(Reason.DOWNLOAD_TIMEOUT, f"nothing came for {settings.stall_seconds:.0f} s")


def _check_status(response: httpx.Response, order: Download, part: Part) -> None:
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
        raise CutError(
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
    raise CutError(Reason.INDEX_UNREACHABLE, f"the server answers {status}")


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
