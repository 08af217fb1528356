"""What every source is, and what they share."""

import re
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote

from msgspec import Struct

from repack_worker.fetch import Fetcher
from repack_worker.report import Journal

LIMIT_HINT = "If you trust it, raise REPACK_MAX_PLUGIN_BYTES."
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


class Fetched(Struct, frozen=True):
    """The plugin as it came."""

    path: Path
    sha256: str
    origin: str
    """Where from, for people: without credentials and query."""


class PluginSource(Protocol):
    """One place a plugin can come from."""

    async def fetch(self, folder: Path, *, fetcher: Fetcher, journal: Journal, limit: int) -> Fetched:
        """Bring the plugin into the folder; at most `limit` bytes."""

    async def pinned(self, folder: Path, *, fetcher: Fetcher) -> "PluginSource":
        """Return the source that names exactly one version: what was left open (the latest) is looked up.

        Args:
            folder: an existing folder for what is passing.
            fetcher: by which it is looked up.
        """

    @property
    def label(self) -> str:
        """The source in a few words, without secrets."""


def safe_name(path: str) -> str:
    """Return a safe name of our own making for a file that somebody else named."""
    name = _UNSAFE.sub("_", unquote(path.rpartition("/")[2])).strip("._")
    return name[-100:] or "plugin.difypkg"
