"""What the head of an answer means for a download."""

import re
import time
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from http.client import HTTPResponse

from repack_contract.errors import RepackError
from repack_contract.reasons import Reason
from repack_worker.download import CutError, Download, Part

_GONE = {404, 410}
_DENIED = {401, 403}
_REDIRECTS = {301, 302, 303, 307, 308}


def redirect_of(answer: HTTPResponse) -> str | None:
    """Return where the answer sends us, if it does; servers write UTF-8 there, or Latin-1."""
    location = answer.headers.get("Location")
    if answer.status not in _REDIRECTS or location is None:
        return None
    try:
        return location.encode("latin-1").decode("utf-8")
    except ValueError:
        return str(location)


def check_status(answer: HTTPResponse, order: Download, part: Part) -> None:
    """Raise what the status means, unless it is that the file follows."""
    status = answer.status
    if status // 100 == 2:
        return
    if order.own and status // 100 == 3:
        raise RepackError(
            Reason.INTERNAL, f"{order.what}: {order.shown_url} redirects, which our own server never does."
        )
    if status in _GONE:
        raise RepackError(order.missing, f"{order.what}: the server answers {status} for {order.shown_url}.")
    if status == HTTPStatus.TOO_MANY_REQUESTS or _is_used_up(answer):
        wait = _retry_after(answer)
        asked = f" and to wait {wait:.0f} s" if wait else ""
        raise CutError(
            Reason.RATE_LIMITED, f"the server asks to be called less often ({status}){asked}", wait_seconds=wait
        )
    if status in _DENIED:
        raise RepackError(
            order.missing,
            f"{order.what}: the server refuses {order.shown_url} ({status}).",
            hint=order.denied_hint,
        )
    if status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
        begin_anew(order, part)
    raise CutError(Reason.INDEX_UNREACHABLE, f"the server answers {status}")


def continues(answer: HTTPResponse, order: Download, part: Part) -> bool:
    """Tell whether the answer goes on where we stopped; a server may answer with the whole file, or with nonsense."""
    if answer.status != HTTPStatus.PARTIAL_CONTENT:
        return False
    found = re.match(r"bytes (\d+)-", answer.headers.get("Content-Range", ""))
    if found and int(found.group(1)) == part.size:
        return True
    begin_anew(order, part)
    raise CutError(Reason.DOWNLOAD_TIMEOUT, "the server sent another part of the file than was asked for")


def begin_anew(order: Download, part: Part) -> None:
    """Throw away what is there."""
    order.on_bytes(-part.size)
    part.path.unlink(missing_ok=True)


def validator(answer: HTTPResponse) -> str | None:
    """Return what tells this version of the file from others (RFC 9110 13.1.5)."""
    etag: str = answer.headers.get("ETag", "")
    modified: str | None = answer.headers.get("Last-Modified")
    return etag if etag.startswith('"') else modified


def announced(answer: HTTPResponse) -> int | None:
    """Return how many bytes will follow, where the answer says so.

    Raises:
        CutError: what it says cannot be, so that nobody knows where it ends (RFC 9112 6.3).
    """
    coding = answer.headers.get("Transfer-Encoding")
    lengths = set(answer.headers.get_all("Content-Length", ()))
    if coding is not None and not answer.chunked:
        raise CutError(Reason.DOWNLOAD_TIMEOUT, f"the transfer was cut: its encoding {coding[:50]!r} is unknown")
    if coding is not None or not lengths:
        return None
    length = lengths.pop()
    if lengths or not re.fullmatch(r"[0-9]{1,18}", length):
        raise CutError(Reason.DOWNLOAD_TIMEOUT, "the transfer was cut: the server sent no valid Content-Length")
    return int(length)


def _is_used_up(answer: HTTPResponse) -> bool:
    """Tell whether GitHub says 403 because its hourly rate is used up, and not because it is forbidden."""
    limited = answer.headers.get("X-RateLimit-Remaining") == "0" or "Retry-After" in answer.headers
    return answer.status == HTTPStatus.FORBIDDEN and limited


def _retry_after(answer: HTTPResponse) -> float | None:
    """Read `Retry-After` (seconds or a date, RFC 9110 10.2.3), or GitHub's `X-RateLimit-Reset` (a time)."""
    value = answer.headers.get("Retry-After", "").strip()
    reset = answer.headers.get("X-RateLimit-Reset", "").strip()
    if not value and _is_number(reset):
        return max(0.0, float(reset) - time.time())
    if _is_number(value):
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, TypeError):
        return None


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()
