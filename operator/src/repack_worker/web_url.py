"""Addresses of the web as a request needs them: checked, and encoded for its line, its `Host` and the resolver."""

import base64
import re
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address
from typing import Self
from urllib.parse import quote, unquote, urljoin, urlsplit

PORTS = {"http": 80, "https": 443}
_LONGEST = 1 << 16
_NUMBERS = re.compile(r"\d+\.\d+\.\d+\.\d+")
_NAME = re.compile(r"[a-z0-9._~-]+")
_QUERY_SAFE = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in '"#<>')
_PATH_SAFE = "".join(character for character in _QUERY_SAFE if character not in "?`{}")
"""What stays as it is (WHATWG URL, percent-encode sets); a `%` does, for what is encoded already stays encoded."""


class NoWebUrlError(ValueError):
    """A text is no address of the web; its message holds nothing of the text, which may have credentials."""


@dataclass(frozen=True)
class WebUrl:
    """An `http` or `https` address without its fragment."""

    scheme: str
    host: str
    """A name in ASCII (IDNA), or a number without brackets."""
    port: int
    target: str
    """Path and query, percent-encoded."""
    basic: str | None = field(default=None, repr=False)
    """The user and the password in the address, as `Authorization` has them."""

    @classmethod
    def read(cls, text: str) -> Self:
        """Read an address.

        Raises:
            NoWebUrlError: it is none, or has control characters, a host that cannot be one, or another scheme.
        """
        if len(text) > _LONGEST or any(letter.isascii() and not letter.isprintable() for letter in text):
            raise NoWebUrlError("too long or with control characters")
        try:
            # `urlsplit` takes leading spaces off, and who sees the address as it is takes it for another one.
            parts = urlsplit(text) if text[:1] != " " else urlsplit("")
            usual = PORTS[parts.scheme]
            port = usual if parts.port is None else parts.port
            path, query = quote(parts.path or "/", safe=_PATH_SAFE), quote(parts.query, safe=_QUERY_SAFE)
            host = _encoded(parts.hostname or "", numbers="[" in parts.netloc)
        except (ValueError, KeyError) as error:  # an error of encoding is a ValueError too
            raise NoWebUrlError("no address of the web") from error
        basic = basic_authorization(parts.username, parts.password)
        return cls(parts.scheme, host, port, f"{path}?{query}" if query else path, basic)

    def joined(self, location: str) -> "WebUrl":
        """Return where a redirect leads; raise `NoWebUrlError` when that is nowhere."""
        if any(letter.isascii() and not letter.isprintable() for letter in location):
            raise NoWebUrlError("with control characters")
        try:
            return WebUrl.read(urljoin(str(self), location))
        except ValueError as error:
            raise NoWebUrlError("no address of the web") from error

    @property
    def netloc(self) -> str:
        """Host and port as the `Host` header has them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def origin(self) -> tuple[str, str, int]:
        """Who answers: scheme, host and port."""
        return self.scheme, self.host, self.port

    def may_know_what_is_for(self, other: "WebUrl") -> bool:
        """Tell whether credentials for the other address may be sent here: the same server, or its upgrade to TLS."""
        upgraded = other.origin == ("http", self.host, 80) and self.origin == ("https", self.host, 443)
        return self.origin == other.origin or upgraded

    def __str__(self) -> str:
        """Return the address without its credentials."""
        return f"{self.scheme}://{self.netloc}{self.target}"


def _encoded(host: str, *, numbers: bool) -> str:
    if numbers:
        return str(host) if IPv6Address(host) else host
    if _NUMBERS.fullmatch(host):
        return str(IPv4Address(host))
    if not host.isascii():
        import idna  # noqa: PLC0415 - seldom needed

        host = idna.encode(host.lower()).decode("ascii")
    if not _NAME.fullmatch(host):
        raise NoWebUrlError("no host")
    return host


def basic_authorization(user: str | None, password: str | None) -> str | None:
    """Return the header's value for what an address says, percent-encoded; None where it says nothing."""
    if not user and not password:
        return None
    known = f"{unquote(user or '')}:{unquote(password or '')}"
    return f"Basic {base64.b64encode(known.encode()).decode()}"
