"""A Marketplace and a GitHub of our own: the answers that the real ones give (repackaging.md 1.3), over real HTTP."""

import hashlib
import json
from typing import Any

from fakes.index import FakeIndex


class FakeSites(FakeIndex):
    """`base` is the Marketplace, GitHub and its API at once; the faults of FakeIndex work on every path."""

    def __init__(self) -> None:
        super().__init__()
        self.pages: dict[str, tuple[str, bytes]] = {}

    def add_page(self, path: str, body: bytes | str | dict[str, Any], kind: str = "application/json") -> None:
        """Answer a path."""
        content = json.dumps(body).encode() if isinstance(body, dict) else body
        self.pages[path] = kind, content.encode() if isinstance(content, str) else content

    def publish(self, author: str, name: str, *versions: str, package: bytes = b"") -> None:
        """Put a plugin on the Marketplace; the last version is the latest."""
        latest = versions[-1]
        identifier = f"{author}/{name}:{latest}@{hashlib.sha256(package).hexdigest()}"
        plugin = {"type": "plugin", "org": author, "name": name, "plugin_id": f"{author}/{name}",
                  "latest_version": latest, "latest_package_identifier": identifier, "status": "active"}  # fmt: skip
        answer = {"code": 0, "msg": "success", "data": {"plugin": plugin}}
        self.add_page(f"/api/v1/plugins/{author}/{name}", answer)
        for version in versions:
            self.add_page(f"/api/v1/plugins/{author}/{name}/{version}/download", package, "application/octet-stream")

    def release(
        self, repo: str, tag: str, assets: dict[str, bytes], *, latest: bool = True, digest: bool = True
    ) -> None:
        """Publish a release; its assets lie at their page and in the API, as at GitHub."""
        listed = []
        for number, (name, content) in enumerate(assets.items(), start=1):
            page, api = f"/{repo}/releases/download/{tag}/{name}", f"/repos/{repo}/releases/assets/{number}"
            self.add_page(page, content, "application/octet-stream")
            self.add_page(api, content, "application/octet-stream")
            listed.append(
                {"name": name, "size": len(content), "url": self.base + api, "browser_download_url": self.base + page,
                 "digest": f"sha256:{hashlib.sha256(content).hexdigest()}" if digest else None}
            )  # fmt: skip
        answer = {"tag_name": tag, "assets": listed}
        self.add_page(f"/repos/{repo}/releases/tags/{tag.replace('/', '%2F')}", answer)
        if latest:
            self.add_page(f"/repos/{repo}/releases/latest", answer)

    def answer(self, path: str) -> tuple[str, bytes] | None:
        """Answer pages too; a request that came as to a proxy has the whole address as its path."""
        if path.startswith("http://"):
            path = "/" + path.split("/", 3)[3]
        return self.pages.get(path) or super().answer(path)
