"""Lists: the envelope, and pages of one unchanging snapshot."""

import base64
import binascii
import json
import secrets
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from repack_local.api.kinds import Resource
from repack_local.api.statuses import ApiError, Object, bad_request, expired
from repack_local.api.watching import Entry

_SNAPSHOTS = 32
"""How many unfinished paged lists are remembered; the oldest one's next page is answered with 410."""


@dataclass(frozen=True)
class Page:
    """A part of a list. `rest` is how many objects follow, None where it is not told."""

    entries: Sequence[Entry]
    version: str
    token: str = ""
    rest: int | None = None

    def metadata(self) -> Object:
        """Return the metadata of the list."""
        result: Object = {"resourceVersion": self.version}
        if self.token:
            result["continue"] = self.token
        if self.rest:
            result["remainingItemCount"] = self.rest
        return result


class Pages:
    """Remembers the lists that were given out in part."""

    def __init__(self) -> None:
        self._snapshots: OrderedDict[str, tuple[Sequence[Entry], str, bool]] = OrderedDict()

    def first(self, entries: Sequence[Entry], version: str, *, limit: int, counted: bool) -> Page:
        """Return the first page; `limit` 0 is all, `counted` says whether the rest is told."""
        if not limit or len(entries) <= limit:
            return Page(entries, version)
        snapshot = secrets.token_hex(8)
        self._snapshots[snapshot] = (entries, version, counted)
        if len(self._snapshots) > _SNAPSHOTS:
            self._snapshots.popitem(last=False)
        return self._page(snapshot, 0, limit)

    def next(self, token: str, *, limit: int) -> Page:
        """Return the page that a token stands for.

        Raises:
            ApiError: 400, it is no token; 410, its list is forgotten.
        """
        try:
            place = json.loads(base64.urlsafe_b64decode(token))
            snapshot, start = str(place["list"]), int(place["start"])
        except (binascii.Error, ValueError, TypeError, KeyError):
            raise bad_request("invalid continue token: continue key is not valid") from None
        if snapshot not in self._snapshots:
            raise expired(
                "The provided continue parameter is too old to display a consistent list result. "
                "You can start a new list without the continue parameter."
            )
        return self._page(snapshot, start, limit)

    def _page(self, snapshot: str, start: int, limit: int) -> Page:
        entries, version, counted = self._snapshots[snapshot]
        end = start + limit if limit else len(entries)
        if end >= len(entries):
            return Page(entries[start:], version)
        token = base64.urlsafe_b64encode(json.dumps({"list": snapshot, "start": end}).encode()).decode()
        return Page(entries[start:end], version, token, len(entries) - end if counted else None)


def check_version(wanted: str | None, match: str | None, *, current: int) -> None:
    """Check the version that a list asks for: any that is not in the future will do, except where it is to be exact.

    Raises:
        ApiError: 400, it is no version; 410, exactly that one is gone; 504, it is not there yet.
    """
    if not wanted:
        return
    if not wanted.isdigit():
        raise bad_request(f'resourceVersion: Invalid value: "{wanted}": strconv.ParseUint: invalid syntax')
    if int(wanted) > current:
        details = {
            "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
            "retryAfterSeconds": 1,
        }
        message = f"Timeout: Too large resource version: {wanted}, current: {current}"
        raise ApiError(504, "Timeout", message, details=details)
    if match == "Exact" and int(wanted) != current:
        raise expired(f"The resourceVersion for the provided list is too old: {wanted}")


def envelope(resource: Resource, page: Page) -> bytes:
    """Return the list as JSON, put together from what is stored."""
    head: Object = {"kind": resource.list_name, "apiVersion": resource.api_version, "metadata": page.metadata()}
    items = b",".join(entry.raw for entry in page.entries)
    return json.dumps(head, separators=(",", ":")).encode()[:-1] + b',"items":[' + items + b"]}"
