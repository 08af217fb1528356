"""Asking for the addresses of a name, where our checks and our connections do it alike."""

import asyncio
import socket

from repack_worker.addresses import AddressPolicy


class UnknownHostError(OSError):
    """A name has no address."""


async def resolved(host: str, port: int) -> list[str]:
    """Return the addresses of a name, in the order of preference; raise `UnknownHostError` when it has none."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise UnknownHostError(f"{host} is not known: {error}") from error
    return list(dict.fromkeys(str(address[4][0]) for address in found))


async def check_for_proxy(policy: AddressPolicy, host: str, port: int) -> None:
    """Refuse a name that leads inside as far as we can see; one that only the proxy knows is the proxy's affair."""
    try:
        addresses = await resolved(host, port)
    except UnknownHostError:
        return
    policy.permitted(host, port, addresses)
