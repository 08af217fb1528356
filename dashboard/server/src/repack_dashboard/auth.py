"""Which pages and which names of this server a browser may use it by."""

from collections.abc import Collection
from urllib.parse import urlsplit

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def is_own_page(origin: str | None, *, host: str | None, allowed: Collection[str]) -> bool:
    """Tell whether a request comes from a page of ours: of the same host, or of an origin that is allowed.

    Without an Origin it comes from no page at all (curl, a worker), which is not what this is to stop.
    """
    if origin is None:
        return True
    if origin in allowed:
        return True
    parts = urlsplit(origin)
    return bool(parts.netloc) and parts.netloc.lower() == (host or "").lower()


def is_known_host(host: str | None, *, allowed: Collection[str]) -> bool:
    """Tell whether we answer to the name by which a client called us; to any where none are listed."""
    if not allowed:
        return True
    name = urlsplit(f"//{host or ''}").hostname or ""
    return name in {item.lower() for item in allowed}
