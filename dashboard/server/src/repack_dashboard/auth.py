"""Who may do what. Users: `auth.mode` none asks nothing. Operator and workers: one bearer token, never a user's."""

import hmac
from collections.abc import Collection
from urllib.parse import urlsplit

from fastapi import Request

from repack_dashboard.problems import ProblemError

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class IngestGuard:
    """A FastAPI dependency: lets operator and workers in by their token, compared in constant time."""

    def __init__(self, token: str) -> None:
        self._token = token.encode()

    async def __call__(self, request: Request) -> None:
        """Raise 401 unless the request shows the token."""
        scheme, _, shown = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(shown.strip().encode(), self._token):
            raise ProblemError(
                401,
                "This is for the operator and the workers, who show the ingest token.",
                hint="Give them the token of REPACK_DASHBOARD_INGEST_TOKEN_FILE.",
                headers={"WWW-Authenticate": 'Bearer realm="dify-repack-ingest"'},
            )


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
