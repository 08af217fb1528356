"""Assets of GitHub releases (docs.github.com, REST API, "Releases"; GitHub Enterprise speaks the same).

`GET /repos/{repo}/releases/latest` and `…/releases/tags/{tag}` answer `{"tag_name", "assets": [{"name", "url",
"browser_download_url", "digest"}]}`. An asset that is named with its tag needs no look-up and no share of the 60 an
hour that GitHub grants the nameless; with a token it is fetched by the API, the only way into a private repository.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

from repack_contract.errors import RepackError
from repack_contract.reasons import Reason
from repack_worker.fetch import MAX_ANSWER_BYTES, Download, Fetcher
from repack_worker.report import Journal
from repack_worker.sources.base import LIMIT_HINT, Fetched, safe_name

_HINT = "Check the proxy and REPACK_GITHUB_API_URL, or download the package from the release's page and give the file."
_DENIED = "For a private repository, or after too many look-ups, set a token (REPACK_GITHUB_TOKEN_FILE)."
_SHOWN_ASSETS = 20


@dataclass(frozen=True)
class GitHubSource:
    """An asset of a release: of the latest one without a tag, its only .difypkg without a name."""

    base_url: str
    api_url: str
    repo: str
    tag: str | None = None
    asset: str | None = None
    token: str | None = field(default=None, repr=False)
    asset_url: str | None = None
    """Address of the asset in the API, once looked up."""
    sha256: str | None = None
    """What GitHub says of the asset, once looked up."""

    @property
    def label(self) -> str:
        """Repository, tag and asset."""
        return f"github:{self.repo}@{self.tag or 'latest'}" + (f"#{self.asset}" if self.asset else "")

    async def pinned(self, folder: Path, *, fetcher: Fetcher) -> Self:
        """Look up tag and asset where they are left open; raise `PluginNotFound` naming what there is instead."""
        if self.tag and self.asset and (self.asset_url or not self.token):
            return self
        which = f"tags/{quote(self.tag, safe='')}" if self.tag else "latest"
        order = Download(
            url=f"{self.api_url.rstrip('/')}/repos/{self.repo}/releases/{which}",
            target=folder,
            what=f"The {f'release {self.tag}' if self.tag else 'latest release'} of {self.repo} on GitHub",
            limit=MAX_ANSWER_BYTES,
            headers=self._headers("application/vnd.github+json"),
            hint=_HINT,
            denied_hint=_DENIED,
        )
        return self._chosen(await fetcher.read_json(order))

    async def fetch(self, folder: Path, *, fetcher: Fetcher, journal: Journal, limit: int) -> Fetched:
        """Download the asset; one that GitHub gives a digest for is checked by it."""
        found = await self.pinned(folder, fetcher=fetcher)
        if found.label != self.label:
            journal.say(f"{self.label} is {found.label}")
        by_api = bool(found.token and found.asset_url)
        order = Download(
            url=str(found.asset_url) if by_api else found.page_url,
            target=folder / safe_name(str(found.asset)),
            what=f"The asset {found.asset} of {found.repo} {found.tag}",
            limit=limit,
            limit_hint=LIMIT_HINT,
            sha256=found.sha256,
            headers=found._headers("application/octet-stream") if by_api else {},
            hint=_HINT,
            denied_hint=_DENIED,
            on_bytes=journal.moved,
            on_total=journal.total,
        )
        sha256 = await fetcher.download(order)
        return Fetched(path=order.target, sha256=sha256, origin=found.label)

    @property
    def page_url(self) -> str:
        """Address of the asset for everybody."""
        tag, asset = quote(str(self.tag), safe="/"), quote(str(self.asset), safe="")
        return f"{self.base_url.rstrip('/')}/{self.repo}/releases/download/{tag}/{asset}"

    def _headers(self, accept: str) -> dict[str, str]:
        # The token is taken off when GitHub redirects to another host, where its files lie.
        return {
            "Accept": accept,
            "X-GitHub-Api-Version": "2022-11-28",
            **({"Authorization": f"Bearer {self.token}"} if self.token else {}),
        }

    def _chosen(self, release: Any) -> Self:
        """Choose the asset from what GitHub says of a release."""
        tag, assets = _read(release)
        if tag is None:
            raise RepackError(Reason.PLUGIN_NOT_FOUND, f"GitHub says nothing of a release of {self.repo}.", hint=_HINT)
        packages = {name: asset for name, asset in assets.items() if name.endswith(".difypkg")}
        name = self.asset or (next(iter(packages)) if len(packages) == 1 else None)
        if name is None or name not in assets:
            raise self._no_asset(tag, sorted(packages), among=len(assets))
        url, digest = assets[name].get("url"), str(assets[name].get("digest") or "")
        return replace(
            self,
            tag=tag,
            asset=name,
            asset_url=url if isinstance(url, str) and url.startswith(f"{self.api_url.rstrip('/')}/") else None,
            sha256=digest.removeprefix("sha256:") if digest.startswith("sha256:") else None,
        )

    def _no_asset(self, tag: str, packages: list[str], *, among: int) -> RepackError:
        shown = ", ".join(packages[:_SHOWN_ASSETS]) + (", …" if len(packages) > _SHOWN_ASSETS else "")
        there = f"it has {shown}" if packages else f"none of its {among} assets is a .difypkg"
        missing = f"has no asset {self.asset}" if self.asset else "does not have exactly one .difypkg"
        hint = f"Name the asset, such as github:{self.repo}@{tag}#{packages[0]}." if packages else (
            "Choose another release, or give the address of the package."
        )  # fmt: skip
        return RepackError(
            Reason.PLUGIN_NOT_FOUND, f"The release {tag} of {self.repo} {missing}: {there}.", hint=hint,
            details={"assets": packages},
        )  # fmt: skip


def _read(release: Any) -> tuple[str | None, dict[str, dict[str, Any]]]:
    """Return the tag of a release and its assets by name."""
    if not isinstance(release, dict) or not isinstance(release.get("tag_name"), str):
        return None, {}
    assets = release.get("assets")
    named = {
        asset["name"]: asset
        for asset in (assets if isinstance(assets, list) else [])
        if isinstance(asset, dict) and isinstance(asset.get("name"), str)
    }
    return release["tag_name"], named
