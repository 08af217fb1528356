"""A client of the Dify Marketplace's own API, for looking around; what a worker downloads, it downloads by itself.

Shapes (repackaging.md 1.3; langgenius/dify `core/helper/marketplace.py` and its web client):
`POST /api/v1/plugins/search/advanced`, `GET /api/v1/collections`, `POST /api/v1/collections/{name}/plugins`,
`GET /api/v1/plugins/{author}/{name}`, `…/versions`, `…/icon` (a redirect). All answer `{"code": 0, "data": {…}}`.
"""

import asyncio
import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx

from repack_contract.catalog import MarketplacePage, MarketplacePlugin, MarketplaceVersions
from repack_dashboard.problems import ProblemError, not_found
from repack_dashboard.remembered import Remembered

MAX_JSON_BYTES = 8 * 1024**2
MAX_ICON_BYTES = 512 * 1024
ICON_TYPES = frozenset({"image/png", "image/jpeg", "image/svg+xml", "image/webp", "image/gif", "image/x-icon"})
PAGE_LIMIT = 100
"""Most plugins that the Marketplace gives on one page."""

_VERSION = re.compile(r"[0-9][A-Za-z0-9.+-]{0,63}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")
_HEADERS = {"X-Dify-Version": "1.17.0", "Accept": "application/json"}
_HINT = (
    "Write author/name@version, or paste a link: that needs no list. "
    "The address that is asked is REPACK_DASHBOARD_MARKETPLACE_URL."
)


@dataclass(frozen=True)
class Query:
    """What is searched for."""

    text: str = ""
    category: str = ""
    author: str = ""
    page: int = 1
    per_page: int = 20


@dataclass(frozen=True)
class _Question:
    """One call, as a key: answers are kept for a while."""

    method: str
    path: str
    body: str = ""


class Marketplace:
    """One Marketplace. All methods raise `ProblemError`: 404 for a plugin it does not know, 502 where it fails.

    Args:
        base_url: such as `https://marketplace.dify.ai`.
        seconds: longest time for one answer, redirects included.
        keep_seconds: so long an answer is used again.
    """

    def __init__(
        self, base_url: str, *, seconds: float, keep_seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._base = base_url.rstrip("/")
        self._seconds = seconds
        self._http: httpx.AsyncClient | None = None
        self._answers: Remembered[_Question, dict[str, Any]] = Remembered(
            self._ask, seconds=keep_seconds, clock=clock, bound=500
        )
        self._icons: Remembered[str, tuple[str, bytes]] = Remembered(
            self._ask_icon, seconds=keep_seconds, clock=clock, bound=200
        )

    async def close(self) -> None:
        """Close the connections."""
        if self._http is not None:
            await self._http.aclose()

    async def search(self, query: Query) -> MarketplacePage:
        """Return a page of plugins, the most installed first."""
        if query.author:
            return await self._by_author(query)
        found, total = await self._search(query.text, query.category, page=query.page, size=query.per_page)
        return MarketplacePage(items=found, total=total, page=query.page)

    async def featured(self, limit: int) -> MarketplacePage:
        """Return the plugins of the Marketplace's first collection that has some, else the most installed ones."""
        answer = await self._answers.get(_Question("GET", "/api/v1/collections?page=1&page_size=20"))
        for collection in _list(answer, "collections")[:3]:
            name = str(collection.get("name", ""))
            if not _NAME.fullmatch(name):
                continue
            path = f"/api/v1/collections/{quote(name, safe='')}/plugins"
            held = await self._answers.get(_Question("POST", path, json.dumps({"type": "plugin"})))
            if plugins := _plugins(held)[:limit]:
                return MarketplacePage(items=plugins, total=len(plugins), page=1)
        return await self.search(Query(per_page=limit))

    async def versions(self, author: str, name: str) -> MarketplaceVersions:
        """Return a plugin and all its versions, newest first."""
        path = f"/api/v1/plugins/{quote(author, safe='')}/{quote(name, safe='')}"
        answer, listed = await asyncio.gather(
            self._answers.get(_Question("GET", path)),
            self._answers.get(_Question("GET", f"{path}/versions?page=1&page_size=100")),
        )
        plugin = _plugin((answer.get("data") or {}).get("plugin"))
        if plugin is None:
            raise not_found(f"plugin {author}/{name} on the Marketplace")
        found = [str(each.get("version", "")) for each in _list(listed, "versions")]
        if plugin.latest_version:
            found.append(plugin.latest_version)
        good = {version for version in found if _VERSION.fullmatch(version)}
        return MarketplaceVersions(plugin=plugin, versions=sorted(good, key=_newest, reverse=True))

    async def authors(self) -> list[str]:
        """Return the authors of the plugins that are installed most."""
        found, _ = await self._search("", "", page=1, size=PAGE_LIMIT)
        return sorted({plugin.author for plugin in found}, key=str.casefold)

    async def icon(self, author: str, name: str) -> tuple[str, bytes]:
        """Return the media type and the bytes of a plugin's icon."""
        return await self._icons.get(f"/api/v1/plugins/{quote(author, safe='')}/{quote(name, safe='')}/icon")

    async def _by_author(self, query: Query) -> MarketplacePage:
        """The Marketplace knows no filter by author: its name is searched for, and the rest left out."""
        found, _ = await self._search(query.author, query.category, page=1, size=PAGE_LIMIT)
        words = query.text.casefold()
        mine = [each for each in found if each.author == query.author and (not words or words in _words(each))]
        first = (query.page - 1) * query.per_page
        return MarketplacePage(items=mine[first : first + query.per_page], total=len(mine), page=query.page)

    async def _search(self, text: str, category: str, *, page: int, size: int) -> tuple[list[MarketplacePlugin], int]:
        wish = {
            "page": page, "page_size": size, "query": text, "sort_by": "install_count", "sort_order": "DESC",
            "category": category, "tags": [], "type": "plugin",
        }  # fmt: skip
        answer = await self._answers.get(_Question("POST", "/api/v1/plugins/search/advanced", json.dumps(wish)))
        found = _plugins(answer)
        total = (answer.get("data") or {}).get("total")
        return found, total if isinstance(total, int) else len(found)

    async def _ask(self, question: _Question) -> dict[str, Any]:
        body = question.body.encode() if question.body else None
        kind, data = await self._call(question.method, question.path, body=body, limit=MAX_JSON_BYTES)
        try:
            answer = json.loads(data)
        except ValueError:
            raise _failed(f"it answered with {kind or 'something'} in place of JSON") from None
        if not isinstance(answer, dict) or not isinstance(answer.get("data"), dict | None):
            raise _failed("its answer has another shape than its API promises")
        return answer

    async def _ask_icon(self, path: str) -> tuple[str, bytes]:
        kind, data = await self._call("GET", path, body=None, limit=MAX_ICON_BYTES)
        if kind not in ICON_TYPES:
            raise not_found("icon of this plugin")
        return kind, data

    async def _call(self, method: str, path: str, *, body: bytes | None, limit: int) -> tuple[str, bytes]:
        headers = _HEADERS if body is None else {**_HEADERS, "Content-Type": "application/json"}
        if self._http is None:  # made with the first call: it reads the certificates, which takes a moment
            self._http = httpx.AsyncClient(follow_redirects=True, max_redirects=3, timeout=self._seconds)
        try:
            async with (
                asyncio.timeout(self._seconds),
                self._http.stream(method, self._base + path, content=body, headers=headers) as answer,
            ):
                if answer.status_code == 404:
                    raise not_found("such thing on the Marketplace")
                if answer.status_code >= 400:
                    raise _failed(f"it answered with HTTP {answer.status_code}")
                data = b""
                async for chunk in answer.aiter_bytes():
                    data += chunk
                    if len(data) > limit:
                        raise _failed(f"its answer is longer than {limit} bytes")
        except TimeoutError:
            raise _failed(f"it did not answer within {self._seconds:g} s") from None
        except httpx.HTTPError as error:
            raise _failed(f"{type(error).__name__}: {error}") from None
        return answer.headers.get("content-type", "").partition(";")[0].strip().lower(), data


def _failed(why: str) -> ProblemError:
    return ProblemError(502, f"The Marketplace cannot be searched: {why}.", reason="Unavailable", hint=_HINT)


def _list(answer: dict[str, Any], key: str) -> list[dict[str, Any]]:
    found = (answer.get("data") or {}).get(key)
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _plugins(answer: dict[str, Any]) -> list[MarketplacePlugin]:
    return [plugin for each in _list(answer, "plugins") if (plugin := _plugin(each)) is not None]


def _plugin(found: Any) -> MarketplacePlugin | None:
    """Read a plugin; what cannot be named in a task is left out, whatever else is odd falls back to nothing."""
    if not isinstance(found, dict):
        return None
    author, name, version = (str(found.get(key) or "") for key in ("org", "name", "latest_version"))
    if not _NAME.fullmatch(author) or not _NAME.fullmatch(name):
        return None
    installs = found.get("install_count")
    return MarketplacePlugin(
        author=author,
        name=name,
        label=_texts(found.get("label"), 120),
        brief=_texts(found.get("brief"), 400),
        category=str(found.get("category") or "")[:40],
        latest_version=version if _VERSION.fullmatch(version) else None,
        installs=installs if isinstance(installs, int) else 0,
        verified=found.get("verified") is True,
    )


def _texts(found: Any, limit: int) -> dict[str, str]:
    if not isinstance(found, dict):
        return {}
    return {str(key): str(text)[:limit] for key, text in list(found.items())[:20] if isinstance(text, str)}


def _words(plugin: MarketplacePlugin) -> str:
    return " ".join([plugin.name, *plugin.label.values(), *plugin.brief.values()]).casefold()


def _newest(version: str) -> tuple[tuple[int, ...], bool, str]:
    numbers = tuple(int(part) for part in re.findall(r"\d+", version.partition("-")[0])[:6])
    return numbers, "-" not in version, version
