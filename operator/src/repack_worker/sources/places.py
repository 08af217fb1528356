"""Plugins at a plain place: a web address, an upload to the dashboard, a file of this machine."""

import shutil
from pathlib import Path
from typing import Self
from urllib.parse import quote, urlsplit

from msgspec import Struct

from repack_contract.errors import RepackError, without_secrets
from repack_contract.reasons import Reason
from repack_worker.archive import sha256_of
from repack_worker.authorization import authorization
from repack_worker.fetch import Download, Fetcher
from repack_worker.report import Journal
from repack_worker.sources.base import LIMIT_HINT, Fetched, safe_name
from repack_worker.threads import in_thread

_HINT = "Check the address and the proxy, or download the package yourself and give the file."


class UrlSource(Struct, frozen=True):
    """A package at an address."""

    url: str
    sha256: str | None = None

    @property
    def label(self) -> str:
        """The address without credentials and query, and the checksum where one is given."""
        return without_secrets(self.url) + (f" sha256:{self.sha256}" if self.sha256 else "")

    async def pinned(self, folder: Path, *, fetcher: Fetcher) -> Self:
        """Return itself: an address is as exact as it can be."""
        del folder, fetcher
        return self

    async def fetch(self, folder: Path, *, fetcher: Fetcher, journal: Journal, limit: int) -> Fetched:
        """Download the package; resumed after a cut, checked when a sha256 was given."""
        order = Download(
            url=self.url,
            target=folder / safe_name(urlsplit(self.url).path),
            what="The plugin",
            limit=limit,
            limit_hint=LIMIT_HINT,
            sha256=self.sha256,
            hint=_HINT,
            on_bytes=journal.moved,
            on_total=journal.total,
        )
        sha256 = await fetcher.download(order)
        return Fetched(path=order.target, sha256=sha256, origin=order.shown_url)


class UploadSource(Struct, frozen=True):
    """A package that was uploaded to the dashboard."""

    key: str
    ingest_url: str
    token_file: Path | None

    @property
    def label(self) -> str:
        """The key of the upload."""
        return f"upload {self.key}"

    async def pinned(self, folder: Path, *, fetcher: Fetcher) -> Self:
        """Return itself: an upload never changes."""
        del folder, fetcher
        return self

    async def fetch(self, folder: Path, *, fetcher: Fetcher, journal: Journal, limit: int) -> Fetched:
        """Download the upload from the dashboard."""
        order = Download(
            url=f"{self.ingest_url.rstrip('/')}/api/v1/uploads/{quote(self.key, safe='')}",
            target=folder / safe_name(self.key),
            what=f"The upload {self.key}",
            limit=limit,
            limit_hint=LIMIT_HINT,
            headers=authorization(self.token_file),
            own=True,
            hint="Check that the dashboard runs and can be reached from the worker, then run the task again.",
            on_bytes=journal.moved,
            on_total=journal.total,
        )
        sha256 = await fetcher.download(order)
        return Fetched(path=order.target, sha256=sha256, origin=self.label)


class FileSource(Struct, frozen=True):
    """A package on this machine; of the command line only, a task cannot name one."""

    path: Path

    @property
    def label(self) -> str:
        """The name of the file."""
        return self.path.name

    async def pinned(self, folder: Path, *, fetcher: Fetcher) -> Self:
        """Return itself."""
        del folder, fetcher
        return self

    async def fetch(self, folder: Path, *, fetcher: Fetcher, journal: Journal, limit: int) -> Fetched:
        """Copy the file, so that nobody changes it while it is worked on."""
        del fetcher
        if not self.path.is_file():
            what = "is a folder" if self.path.is_dir() else "does not exist"
            raise RepackError(Reason.PLUGIN_NOT_FOUND, f"{self.path} {what}.", hint="Name a .difypkg file or its URL.")
        size = self.path.stat().st_size
        if size > limit:
            raise RepackError(
                Reason.PACKAGE_TOO_LARGE,
                f"{self.path} has {size:,} bytes; at most {limit:,} are allowed.",
                hint=LIMIT_HINT,
            )
        journal.total(size)
        copy = folder / safe_name(self.path.name)
        await in_thread(shutil.copyfile, self.path, copy)
        journal.moved(size)
        return Fetched(path=copy, sha256=await in_thread(sha256_of, copy), origin=self.path.name)
