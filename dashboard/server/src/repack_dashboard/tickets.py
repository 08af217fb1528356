"""Tickets for downloads: a signed-in user's browser fetches a file by a plain link and goes on where it was cut.

A link carries no Authorization header, and a token belongs into no address. So the page asks for a ticket, which comes
as a cookie that scripts cannot read, that is sent with this one address only and from nobody else's page, and that is
not the token. It names the file, who may have it and until when, and is signed; nothing is kept here, so any replica
that shares the volume knows it. Rights are asked for anew with each use: who lost them gets nothing by an old ticket.
"""

import asyncio
import base64
import binascii
import hashlib
import hmac
import json
import os
import re
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from pydantic import Field

from repack_contract.wire import StrictModel
from repack_dashboard.problems import ProblemError
from repack_dashboard.users import Access, UnauthenticatedError, UserAccess, Users, access_of, bearer_of
from repack_kube.reviews import Identity

KEY_FILE = "tickets.key"
_COOKIE = "repack-download-"
# What is in it ends in a header, so it is spelled as our own links spell it and in no other way.
_PART, _QUERY = r"[A-Za-z0-9._+@-]+", r"\?[A-Za-z0-9._=&-]+"
_FILES = re.compile(
    rf"/api/v1/(?:artifacts/{_PART}/{_PART}(?:/{_PART})?|archive{_QUERY}|tasks/{_PART}/log\.txt(?:{_QUERY})?)"
)
MAX_COOKIE = 3900
"""Browsers keep no cookie above 4,096 bytes; a user of very many groups does without a ticket."""


class DownloadWish(StrictModel):
    """The address of one file, as a link would have it."""

    path: str = Field(max_length=20_000)


@dataclass(frozen=True)
class Tickets:
    """Issues tickets and reads them.

    Args:
        users: whose rights count.
        key_file: 32 random bytes, made when they are first needed; all replicas share them.
        seconds: how long a ticket lets a download go on.
        clock: Unix time.
    """

    users: Users
    key_file: Path
    seconds: float
    clock: Callable[[], float]

    def issue(self, target: str, access: Access) -> tuple[str, int] | None:
        """Return a ticket and the seconds for which it is good; None where it would be too large for a cookie."""
        ends = self.clock() + self.seconds
        if access.expires_at is not None:
            ends = min(ends, access.expires_at)
        who = None if access.identity is None else asdict(access.identity)
        claims = json.dumps({"t": digest_of(target), "e": int(ends), "w": who}, separators=(",", ":")).encode()
        ticket = f"{_text(claims)}.{_text(self._seal(claims))}"
        return (ticket, max(1, round(ends - self.clock()))) if len(ticket) <= MAX_COOKIE else None

    async def access(self, target: str, ticket: str) -> Access:
        """Return what the ticket's owner may see now.

        Raises:
            UnauthenticatedError: it is no ticket of ours for this file, or it is over.
            KubeError: the API server cannot be asked.
        """
        claims, _, seal = ticket.partition(".")
        body = _bytes(claims)
        if not hmac.compare_digest(_bytes(seal), self._seal(body)):
            raise UnauthenticatedError
        told: dict[str, Any] = json.loads(body)
        if told["t"] != digest_of(target) or told["e"] <= self.clock():
            raise UnauthenticatedError
        return await self.users.known(_identity(told["w"]))

    def _seal(self, claims: bytes) -> bytes:
        # What users prove themselves by is part of the key: a shared token that was replaced ends all its tickets.
        return hmac.digest(self._key() + self.users.salt(), claims, "sha256")

    def _key(self) -> bytes:
        try:
            return self.key_file.read_bytes()
        except FileNotFoundError:
            self.key_file.parent.mkdir(parents=True, exist_ok=True)
        made = self.key_file.with_name(f".{KEY_FILE}.{secrets.token_hex(4)}")
        made.touch(mode=0o600)
        made.write_bytes(secrets.token_bytes(32))
        try:  # the first of several replicas wins; a link appears whole or not at all
            os.link(made, self.key_file)
        except FileExistsError:
            pass
        finally:
            made.unlink()
        return self.key_file.read_bytes()


async def share_key(file: Path, agree: Callable[[str, bytes], Awaitable[bytes]]) -> None:
    """Take the key that all replicas have, where they share an object store and no volume.

    Args:
        file: where the key is on our own disk.
        agree: returns the entry of a name that all have, ours where there was none.
    """
    ours = await asyncio.to_thread(_read, file) or secrets.token_bytes(32)
    shared = await agree(file.name, ours)
    await asyncio.to_thread(_replace, file, shared)


def _read(file: Path) -> bytes | None:
    return file.read_bytes() if file.exists() else None


def _replace(file: Path, key: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    made = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    made.touch(mode=0o600)
    made.write_bytes(key)
    made.replace(file)


def digest_of(target: str) -> str:
    """Return what stands for a file in a ticket."""
    return hashlib.sha256(target.encode()).hexdigest()


def cookie_of(target: str) -> str:
    """Return the name of the cookie that carries the ticket of a file."""
    return f"{_COOKIE}{digest_of(target)[:16]}"


def is_file(target: str) -> bool:
    """Tell whether this is the address of a file for users: path and query."""
    return _FILES.fullmatch(target) is not None


def routes() -> APIRouter:
    """Return the route that gives tickets."""
    router = APIRouter(tags=["packages"])

    @router.post("/downloads", status_code=204)
    async def allow_download(access: UserAccess, request: Request, wish: DownloadWish) -> Response:
        """Let this browser download one file by a plain link, so that a cut download can go on (`Range`).

        The permission comes as a cookie for this address alone. None is set where nobody is asked who they are.
        """
        target = wish.path
        if not is_file(target):
            raise ProblemError(422, "This is not the address of a file.", hint="Name it as a link does: /api/v1/…")
        answer = Response(status_code=204)
        tickets: Tickets = request.app.state.tickets
        if bearer_of(request.headers) is not None:
            issued = tickets.issue(target, access)
            if issued is None:
                raise ProblemError(413, "You are in too many groups for a ticket.", hint="Send the token in a header.")
            answer.set_cookie(
                cookie_of(target),
                issued[0],
                max_age=issued[1],
                path=target.partition("?")[0],
                secure=request.headers.get("origin", "").startswith("https://"),
                httponly=True,
                samesite="strict",
            )
        return answer

    return router


async def download_access_of(request: Request) -> Access:
    """Return what the sender of a request for a file may see: by their token, or by a ticket for it."""
    if bearer_of(request.headers) is None:
        target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        ticket = request.cookies.get(cookie_of(target))
        if ticket:
            tickets: Tickets = request.app.state.tickets
            try:
                return await tickets.access(target, ticket)
            except (UnauthenticatedError, KeyError, TypeError, ValueError):
                pass  # as without one: the answer says how to sign in
    return await access_of(request)


DownloadAccess = Annotated[Access, Depends(download_access_of)]
"""A parameter of every route that gives users a file."""


def _identity(told: dict[str, Any] | None) -> Identity | None:
    if told is None:
        return None
    extra = tuple((key, tuple(values)) for key, values in told["extra"])
    return Identity(told["username"], told["uid"], tuple(told["groups"]), extra)


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _bytes(text: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        return b""
