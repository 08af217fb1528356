"""How many may be in at one time: in all, from one address, and of one user. Pure counting; no sockets, no clock."""

import ipaddress
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from repack_contract.messages import CloseCode
from repack_dashboard.session import Close

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def client_address(peer: str | None, forwarded_for: str | None, *, trusted: Sequence[Network]) -> str:
    """Return the address that a connection is counted by.

    `X-Forwarded-For` is believed as far as trusted proxies wrote it: from the right, up to the first address that is
    none of theirs. Whoever is no trusted proxy can write there what they like, and it changes nothing.

    Args:
        peer: the other end of the connection; None where it has no address (a Unix socket).
        forwarded_for: the header.
        trusted: networks of our own proxies.
    """
    address = peer or ""
    for step in reversed((forwarded_for or "").split(",")):
        if not _is_in(address, trusted):
            break
        if _parsed(step.strip()) is None:
            break
        address = step.strip()
    parsed = _parsed(address)
    # One customer line has a whole /64 of IPv6 addresses.
    return (
        str(ipaddress.ip_network((parsed, 64), strict=False)) if isinstance(parsed, ipaddress.IPv6Address) else address
    )


@dataclass(frozen=True, slots=True)
class Guest:
    """Who a connection is counted as; an empty part is not counted."""

    address: str
    user: str = ""


class Doors:
    """Counts who is in. A limit of None is none."""

    def __init__(self, *, in_all: int, per_address: int | None, per_user: int | None) -> None:
        self._in_all = in_all
        self._per_address = per_address
        self._per_user = per_user
        self._count = 0
        self._addresses: Counter[str] = Counter()
        self._users: Counter[str] = Counter()

    def refusal(self, guest: Guest) -> Close | None:
        """Return why one more would be too many."""
        if self._count >= self._in_all:
            return Close(CloseCode.SERVER_FULL, "too many connections")
        if self._per_address is not None and self._addresses[guest.address] >= self._per_address:
            return Close(CloseCode.SERVER_FULL, "too many connections of your address")
        if guest.user and self._per_user is not None and self._users[guest.user] >= self._per_user:
            return Close(CloseCode.USER_LIMIT, "too many connections of yours")
        return None

    def enter(self, guest: Guest) -> Close | None:
        """Count one in, or return why not."""
        refusal = self.refusal(guest)
        if refusal is None:
            self._count += 1
            self._addresses[guest.address] += 1
            self._users[guest.user] += 1
        return refusal

    def leave(self, guest: Guest) -> None:
        """Count one out."""
        self._count -= 1
        for counter, key in ((self._addresses, guest.address), (self._users, guest.user)):
            counter[key] -= 1
            if not counter[key]:
                del counter[key]


def _is_in(address: str, networks: Sequence[Network]) -> bool:
    parsed = _parsed(address)
    return parsed is not None and any(parsed in network for network in networks)


def _parsed(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return None
    return getattr(parsed, "ipv4_mapped", None) or parsed
