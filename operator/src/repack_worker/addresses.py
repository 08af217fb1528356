"""Which network addresses may be connected to. Pure; `connecting.py` asks for every connection, redirects too.

Whoever writes a task names addresses, and so do a plugin's lock and the redirect of a server: none of them must lead
to the inside of the cluster, to the node's metadata service or to this Pod itself. What the operator of an installation
or the user of the command line named is allowed.
"""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Self
from urllib.parse import urlsplit

from msgspec import Struct
from msgspec.structs import replace

from repack_contract.errors import RepackError
from repack_contract.reasons import Reason

Address = IPv4Address | IPv6Address
_PORTS = {"http": 80, "https": 443}
_NAT64 = ip_network("64:ff9b::/96")
_EXAMPLES = tuple(map(ip_network, ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32")))
"""Networks for documentation (RFC 5737, RFC 3849): nobody's inside, and what sandboxes answer with for the outside."""
_HINT = (
    "Use a public address or upload the file. Whoever runs dify-repack can allow a host by "
    "REPACK_ALLOWED_PRIVATE_HOSTS, or all of them by REPACK_ALLOW_PRIVATE_ADDRESSES=true."
)


class Entry(Struct, frozen=True):
    """One entry of an allow-list: a network, or a host (name or address) with or without a port."""

    host: str = ""
    port: int | None = None
    network: IPv4Network | IPv6Network | None = None

    @classmethod
    def read(cls, text: str) -> Self:
        """Read `10.0.0.0/8`, `10.1.2.3`, `[fd00::1]:80`, `nexus.example.com` or `nexus.example.com:8081`.

        Raises:
            ValueError: it is none of these.
        """
        try:
            return cls(network=ip_network(text))
        except ValueError:
            parts = urlsplit(f"//{text}")
            if not parts.hostname or parts.path or parts.query or parts.username is not None:
                raise ValueError(f"{text!r} is no host, address or network") from None
            return cls(host=parts.hostname.rstrip("."), port=parts.port)

    @classmethod
    def of_url(cls, url: str) -> Self:
        """Return the entry for one server: the host and port of an address."""
        parts = urlsplit(url)
        return cls(host=(parts.hostname or "").rstrip("."), port=parts.port or _PORTS.get(parts.scheme))

    def allows(self, host: str, port: int, address: Address) -> bool:
        """Tell whether a connection to the address, asked for by that name, is meant."""
        if self.network is not None:
            return address in self.network
        return host.lower().rstrip(".") == self.host and self.port in {None, port}


class AddressPolicy(Struct, frozen=True):
    """What may be connected to: everything public, and the private that was allowed."""

    allow_private: bool = False
    allowed: tuple[Entry, ...] = ()

    def with_urls(self, *urls: str | None) -> "AddressPolicy":
        """Return a policy that allows the servers of these addresses too."""
        return replace(self, allowed=(*self.allowed, *(Entry.of_url(url) for url in urls if url)))

    def permits(self, host: str, port: int, address: Address) -> bool:
        """Tell whether a connection may be made."""
        return (
            self.allow_private or is_public(address) or any(entry.allows(host, port, address) for entry in self.allowed)
        )

    def permitted(self, host: str, port: int, addresses: Iterable[str]) -> list[str]:
        """Return the addresses of a name that may be connected to; raise `RefusedAddressError` when there is none."""
        found = [(text, ip_address(text.partition("%")[0])) for text in addresses]
        allowed = [text for text, address in found if self.permits(host, port, address)]
        if found and not allowed:
            raise RefusedAddressError(host, port, found[0][1])
        return allowed


class RefusedAddressError(RepackError):
    """A name leads to an address that must not be connected to."""

    def __init__(self, host: str, port: int, address: Address) -> None:
        named = "" if host == str(address) else f", which is {address}"
        super().__init__(
            Reason.ADDRESS_REFUSED, f"{host}:{port}{named}, is {_kind(address)} and was not fetched.", hint=_HINT
        )


def is_public(address: Address) -> bool:
    """Tell whether an address is of the public network, also where an IPv6 address carries an IPv4 one inside."""
    if any(address in network for network in _EXAMPLES):
        return True
    if isinstance(address, IPv6Address):
        if inner := _inner(address):
            return is_public(inner)
        return address.is_global and not address.is_multicast and not address.is_site_local
    return address.is_global and not address.is_multicast


def _inner(address: IPv6Address) -> IPv4Address | None:
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)


def _kind(address: Address) -> str:
    kinds = (("is_loopback", "an address of this machine"), ("is_link_local", "a link-local address"))
    return next((text for test, text in kinds if getattr(address, test)), "a private address")
