"""The pages of a package index (PEP 503 HTML and PEP 691 JSON): which files it has of a project.

uv reads them for everything that has wheels. We ask ourselves for two things only: the sources of a distribution
without wheels, and a file that a mirror keeps under another path than the lock says.
"""

import html
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import urldefrag, urljoin, urlsplit

from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    canonicalize_name,
    parse_sdist_filename,
    parse_wheel_filename,
)

from repack_contract.errors import RepackError
from repack_contract.reasons import Reason
from repack_worker.fetch import Download, Fetcher
from repack_worker.index_access import IndexAccess

_ACCEPT = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"
_LARGEST_PAGE = 256 << 20
_SAFE_FILENAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+!-]{1,250}", re.ASCII)
"""Names become paths: a file of another name is none."""


@dataclass(frozen=True)
class IndexFile:
    """One file that an index has."""

    filename: str
    url: str
    sha256: str
    """Empty where the index does not say."""
    size_bytes: int | None
    requires_python: str
    yanked: bool

    @property
    def version(self) -> str | None:
        """The version of a wheel or source archive; None of anything else."""
        try:
            if self.filename.endswith(".whl"):
                return str(parse_wheel_filename(self.filename)[1])
            return str(parse_sdist_filename(self.filename)[1])
        except (InvalidWheelFilename, InvalidSdistFilename):
            return None

    @property
    def is_source(self) -> bool:
        """Tell whether this is a source archive."""
        return not self.filename.endswith(".whl") and self.version is not None


async def files_of(
    name: str, *, index: str, fetcher: Fetcher, access: IndexAccess, folder: Path
) -> tuple[IndexFile, ...]:
    """Return the files that an index has of a project; none when it does not know the project."""
    url = f"{index.rstrip('/')}/{canonicalize_name(name)}/"
    page = folder / f"{canonicalize_name(name)}.page"
    try:
        await fetcher.download(
            Download(
                url=url, target=page, what=f"The index page of {name}", limit=_LARGEST_PAGE,
                headers={"Accept": _ACCEPT, **access.headers(url)},
            )
        )  # fmt: skip
    except RepackError as error:
        if error.reason is Reason.PLUGIN_NOT_FOUND:
            return ()
        raise
    text = page.read_text("utf-8", "replace")
    page.unlink()
    try:
        read = _from_json(json.loads(text), url) if text.lstrip().startswith("{") else _from_html(text, url)
        return tuple(file for file in read if _SAFE_FILENAME.fullmatch(file.filename))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise RepackError(
            Reason.INDEX_UNREACHABLE, f"The index page of {name} cannot be understood: {error}."
        ) from error


def _from_json(page: dict[str, Any], base: str) -> Iterator[IndexFile]:
    for file in page["files"]:
        yield IndexFile(
            filename=str(file["filename"]),
            url=urljoin(base, str(file["url"])),
            sha256=str((file.get("hashes") or {}).get("sha256", "")),
            size_bytes=file.get("size"),
            requires_python=str(file.get("requires-python") or ""),
            yanked=bool(file.get("yanked")),
        )


def _from_html(text: str, base: str) -> Iterator[IndexFile]:
    parser = _Links()
    parser.feed(text)
    for link in parser.links:
        address, fragment = urldefrag(urljoin(base, link.get("href") or ""))
        match = re.fullmatch(r"sha256=([0-9a-f]{64})", fragment)
        yield IndexFile(
            filename=urlsplit(address).path.rpartition("/")[2],
            url=address,
            sha256=match.group(1) if match else "",
            size_bytes=None,
            requires_python=html.unescape(link.get("data-requires-python") or ""),
            yanked="data-yanked" in link,
        )


class _Links(HTMLParser):
    """Collects the anchors of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[dict[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep an anchor's attributes."""
        if tag == "a":
            self.links.append(dict(attrs))
