"""What is to be downloaded, and how a transfer ends early."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from msgspec import Struct, field

from repack_contract.errors import without_secrets
from repack_contract.reasons import Reason


class Download(Struct, frozen=True):
    """One file to fetch."""

    url: str
    target: Path
    what: str
    """What to call it in messages, such as `numpy 2.1.3` or `the plugin`."""
    limit: int
    """More bytes than this are refused."""
    sha256: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    missing: Reason = Reason.PLUGIN_NOT_FOUND
    """The reason when the server has no such file."""
    hint: str | None = None
    """What to do when the server fails; that of the reason when absent."""
    denied_hint: str = "The address needs a permission: download the file yourself and upload it."
    """What to do when the server wants to know who asks."""
    limit_hint: str | None = None
    """What to do when there are more bytes than the limit."""
    own: bool = False
    """The file is at a server of our own, the dashboard: no proxy, no redirect, a private address."""
    on_bytes: Callable[[int], None] = lambda _count: None
    """Called with the number of bytes that came; a negative one when they are thrown away."""
    on_total: Callable[[int], None] = lambda _count: None
    """Called once the whole size is known."""

    @property
    def shown_url(self) -> str:
        """The address without credentials and query."""
        return without_secrets(self.url)


class CutError(Exception):
    """The transfer ended early; trying again may help. `reason` is what it is when it does not."""

    def __init__(self, reason: Reason, message: str, *, wait_seconds: float | None = None) -> None:
        self.reason, self.message, self.wait_seconds = reason, message, wait_seconds
        super().__init__(message)


@dataclass
class Part:
    """What is there of a file, and which version of it: a changed file is not continued but begun anew."""

    path: Path
    validator: str | None = None
    """A strong ETag, else Last-Modified (RFC 9110 13.1.5)."""

    @property
    def size(self) -> int:
        """Bytes that are there."""
        return self.path.stat().st_size if self.path.exists() else 0
