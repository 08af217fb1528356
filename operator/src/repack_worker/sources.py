"""Where plugins come from: each source brings one `.difypkg` into a folder. The next ones join `source_of`."""

import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import quote, unquote, urlsplit

from repack_contract.errors import RepackError, SpecError
from repack_contract.reasons import Reason
from repack_contract.task import Source, SourceType
from repack_worker.archive import sha256_of
from repack_worker.fetch import Download, Fetcher
from repack_worker.ingest import authorization
from repack_worker.report import Journal
from repack_worker.settings import Settings
from repack_worker.threads import in_thread

_HINT = "Check the address and the proxy, or download the package yourself and give the file."
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True)
class Fetched:
    """The plugin as it came."""

    path: Path
    sha256: str
    origin: str
    """Where from, for people: without credentials and query."""


class PluginSource(Protocol):
    """One place a plugin can come from."""

    async def fetch(self, folder: Path, *, fetcher: Fetcher, journal: Journal, limit: int) -> Fetched:
        """Bring the plugin into the folder; at most `limit` bytes."""


@dataclass(frozen=True)
class UrlSource:
    """A package at an address."""

    url: str
    sha256: str | None = None

    async def fetch(self, folder: Path, *, fetcher: Fetcher, journal: Journal, limit: int) -> Fetched:
        """Download the package; resumed after a cut, checked when a sha256 was given."""
        order = Download(
            url=self.url,
            target=folder / _file_name(urlsplit(self.url).path),
            what="The plugin",
            limit=limit,
            sha256=self.sha256,
            hint=_HINT,
            on_bytes=journal.moved,
            on_total=journal.total,
        )
        sha256 = await fetcher.download(order)
        return Fetched(path=order.target, sha256=sha256, origin=order.shown_url)


@dataclass(frozen=True)
class UploadSource:
    """A package that was uploaded to the dashboard."""

    key: str
    ingest_url: str
    token_file: Path | None

    async def fetch(self, folder: Path, *, fetcher: Fetcher, journal: Journal, limit: int) -> Fetched:
        """Download the upload from the dashboard."""
        order = Download(
            url=f"{self.ingest_url.rstrip('/')}/api/v1/uploads/{quote(self.key, safe='')}",
            target=folder / _file_name(self.key),
            what=f"The upload {self.key}",
            limit=limit,
            headers=authorization(self.token_file),
            hint="Check that the dashboard runs and can be reached from the worker, then run the task again.",
            on_bytes=journal.moved,
            on_total=journal.total,
        )
        sha256 = await fetcher.download(order)
        return Fetched(path=order.target, sha256=sha256, origin=f"upload {self.key}")


@dataclass(frozen=True)
class FileSource:
    """A package on this machine; of the command line only, a task cannot name one."""

    path: Path

    async def fetch(self, folder: Path, *, fetcher: Fetcher, journal: Journal, limit: int) -> Fetched:
        """Copy the file, so that nobody changes it while it is worked on."""
        del fetcher
        if not self.path.is_file():
            what = "is a folder" if self.path.is_dir() else "does not exist"
            raise RepackError(Reason.PLUGIN_NOT_FOUND, f"{self.path} {what}.", hint="Name a .difypkg file or its URL.")
        size = self.path.stat().st_size
        if size > limit:
            raise RepackError(
                Reason.PACKAGE_TOO_LARGE, f"{self.path} has {size:,} bytes; at most {limit:,} are allowed."
            )
        journal.total(size)
        copy = folder / _file_name(self.path.name)
        await in_thread(shutil.copyfile, self.path, copy)
        journal.moved(size)
        return Fetched(path=copy, sha256=await in_thread(sha256_of, copy), origin=self.path.name)


def _file_name(path: str) -> str:
    """Return a safe name of our own making for a file that somebody else named."""
    name = _UNSAFE.sub("_", unquote(path.rpartition("/")[2])).strip("._")
    return name[-100:] or "plugin.difypkg"


def source_of(source: Source, settings: Settings) -> PluginSource:
    """Return the source that a spec names; raise `SpecError` for one that this version does not know."""
    match source.type, source.url, source.upload:
        case SourceType.URL, url, _ if url:
            return UrlSource(url=url.url, sha256=url.sha256)
        case SourceType.UPLOAD, _, upload if upload:
            if not settings.ingest_url:
                raise SpecError("spec.source.upload", "there is no dashboard to fetch the upload from")
            return UploadSource(key=upload.key, ingest_url=settings.ingest_url, token_file=settings.ingest_token_file)
        case (SourceType.URL | SourceType.UPLOAD) as kind, _, _:
            raise SpecError(f"spec.source.{kind.value.lower()}", "is missing")
    raise SpecError(
        "spec.source.type",
        f"the source {source.type.value} comes with a later version; URL and Upload work",
        hint="Download the package yourself and upload it, or name its URL.",
    )
