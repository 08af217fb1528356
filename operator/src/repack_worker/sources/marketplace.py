"""Plugins of the Dify Marketplace, by its own API (repackaging.md 1.3; langgenius/dify `core/helper/marketplace.py`).

`GET /api/v1/plugins/{author}/{name}` answers `{"code": 0, "data": {"plugin": {"latest_version", …}}}`,
`GET /api/v1/plugins/{author}/{name}/{version}/download` the package. The answer gives a
`latest_package_identifier` too, `author/name:version@<the daemon's checksum>`.
"""

import re
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

from msgspec import Struct
from msgspec.structs import replace

from repack_contract.errors import RepackError
from repack_contract.reasons import Reason
from repack_worker.fetch import MAX_ANSWER_BYTES, Download, Fetcher
from repack_worker.report import Journal
from repack_worker.sources.base import LIMIT_HINT, Fetched, safe_name

_HINT = (
    "Check the proxy and REPACK_MARKETPLACE_URL, or download the package from the Marketplace's page and give the file."
)
_VERSION = re.compile(r"[0-9][A-Za-z0-9.+-]{0,63}")
_HEADERS = {"X-Dify-Version": "1.17.0"}
"""The Marketplace answers by it; the newest Dify that was looked at (repackaging.md 5.1)."""


class MarketplaceSource(Struct, frozen=True):
    """A plugin of the Marketplace; without a version the latest one."""

    base_url: str
    author: str
    name: str
    version: str | None = None

    @property
    def plugin_id(self) -> str:
        """How the Marketplace calls the plugin."""
        return f"{self.author}/{self.name}"

    @property
    def label(self) -> str:
        """The plugin and its version."""
        return f"{self.plugin_id}:{self.version or 'latest'}"

    async def pinned(self, folder: Path, *, fetcher: Fetcher) -> Self:
        """Look up the latest version where none is named; raise `PluginNotFound` when there is no such plugin."""
        if self.version:
            return self
        order = Download(
            url=f"{self._address}",
            target=folder,
            what=f"The plugin {self.plugin_id} on the Marketplace",
            limit=MAX_ANSWER_BYTES,
            headers={**_HEADERS, "Accept": "application/json"},
            hint=_HINT,
        )
        return replace(self, version=self._latest(await fetcher.read_json(order)))

    async def fetch(self, folder: Path, *, fetcher: Fetcher, journal: Journal, limit: int) -> Fetched:
        """Download the version that is named, or the latest."""
        if self.version is None:
            found = await self.pinned(folder, fetcher=fetcher)
            journal.say(f"The latest version of {self.plugin_id} is {found.version}")
            return await found.fetch(folder, fetcher=fetcher, journal=journal, limit=limit)
        order = Download(
            url=f"{self._address}/{quote(self.version, safe='')}/download",
            target=folder / safe_name(f"{self.author}-{self.name}_{self.version}.difypkg"),
            what=f"{self.label} on the Marketplace",
            limit=limit,
            limit_hint=LIMIT_HINT,
            headers=_HEADERS,
            hint=_HINT,
            on_bytes=journal.moved,
            on_total=journal.total,
        )
        return Fetched(path=order.target, sha256=await fetcher.download(order), origin=f"Marketplace {self.label}")

    @property
    def _address(self) -> str:
        author, name = quote(self.author, safe=""), quote(self.name, safe="")
        return f"{self.base_url.rstrip('/')}/api/v1/plugins/{author}/{name}"

    def _latest(self, answer: Any) -> str:
        """Read the latest version from an answer; whatever else it says, it must be one."""
        data = answer.get("data") if isinstance(answer, dict) else None
        plugin = data.get("plugin") if isinstance(data, dict) else None
        version = plugin.get("latest_version") if isinstance(plugin, dict) else None
        if isinstance(version, str) and _VERSION.fullmatch(version):
            return version
        said = answer.get("message") or answer.get("msg") if isinstance(answer, dict) else None
        raise RepackError(
            Reason.PLUGIN_NOT_FOUND,
            f"The Marketplace names no version of {self.plugin_id}" + (f": {str(said)[:200]}." if said else "."),
            hint=f"Check the spelling, name a version ({self.plugin_id}:1.2.3), or upload the file.",
        )
