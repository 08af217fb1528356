"""Downloads that are bounded, resumed after a cut, checked, and that end: in the whole file, or in a named error.

`.part` files are renamed only when whole and right, so a file under its final name can be trusted to be complete.
"""

import asyncio
import contextlib
import json
import time
import uuid
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from msgspec.structs import replace

from repack_contract.errors import RepackError
from repack_contract.reasons import Reason
from repack_worker.download import CutError, Download, Part
from repack_worker.resolving import UnknownHostError, resolved
from repack_worker.settings import Settings

if TYPE_CHECKING:
    from repack_worker.exchange import Exchange

__all__ = ["MAX_ANSWER_BYTES", "Download", "Fetcher"]

MAX_ANSWER_BYTES = 4 << 20
"""Longest answer of an API; a release of 1,000 assets has 2 MB."""
_LONGEST_WAIT_SECONDS = 20.0
"""A server that asks for more is believed at once: whoever runs us tries again later."""


class Fetcher:
    """Brings files, over connections that all who share it use."""

    def __init__(self, settings: Settings, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings, self._clock = settings, clock
        self._addresses = settings.addresses
        self._flights: dict[str, asyncio.Lock] = {}

    @cached_property
    def _exchange(self) -> "Exchange":
        """Made when the first byte is asked for: the caches may hold everything."""
        from repack_worker.exchange import Exchange  # noqa: PLC0415 - what is in the caches needs none of it

        return Exchange(self._settings, clock=self._clock)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if "_exchange" in self.__dict__:
            await self._exchange.close()

    def flight(self, key: str) -> asyncio.Lock:
        """Return the lock for one content: whoever shares this fetcher fetches nothing twice at the same time."""
        return self._flights.setdefault(key, asyncio.Lock())

    async def download(self, order: Download) -> str:
        """Fetch a file and return its sha256; on failure nothing of it is left. Ends within the attempts allowed."""
        part = Part(order.target.with_name(f"{order.target.name}.part"))
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
        except BaseException:
            part.path.unlink(missing_ok=True)
            raise
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
        with contextlib.suppress(UnknownHostError):
            self._addresses.permitted(host, port, await resolved(host, port))

    async def _with_attempts(self, order: Download, part: Part) -> str:
        for attempt in range(1, self._settings.download_attempts + 1):
            try:
                return await self._exchange.transfer(order, part)
            except CutError as cut:
                if attempt == self._settings.download_attempts or (cut.wait_seconds or 0) > _LONGEST_WAIT_SECONDS:
                    raise RepackError(
                        cut.reason, f"{order.what}: {cut.message} ({order.shown_url}).", hint=order.hint
                    ) from cut
                await asyncio.sleep(min(cut.wait_seconds or 0.3 * 2**attempt, _LONGEST_WAIT_SECONDS))
        raise AssertionError("settings allow at least one attempt")


def _what_it_is(file: Path) -> str:
    head = file.read_bytes()[:512].lstrip() if file.exists() else b""
    return "a web page" if head.startswith(b"<") else "something else"
