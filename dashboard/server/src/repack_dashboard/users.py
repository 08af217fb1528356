"""Who the users are and what they may see and do: nobody is asked, one shared token, or the Kubernetes API decides.

A user sees the tasks of a namespace who may `list` repackagetasks there; what is done to a task takes the verb that
kubectl would need. What a user may not see is not there for them: in no list, no count and no frame.
"""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Protocol

import structlog
from fastapi import Depends, Request

from repack_dashboard.problems import ProblemError
from repack_dashboard.remembered import Remembered
from repack_kube.resources import TASKS
from repack_kube.reviews import Creates, Identity, review_access, review_token

log = structlog.get_logger("repack.dashboard")

BEARER_SUBPROTOCOL = "base64url.bearer.taskws."
"""A browser cannot set headers of a WebSocket, so its token comes as a subprotocol, as Kubernetes itself does it."""

Sees = frozenset[str] | None
"""The namespaces that a user sees; None is all of them, those to come included."""


class UnauthenticatedError(Exception):
    """Nobody we know: no token, or one that is not (or no longer) valid."""


class Users(Protocol):
    """Those who may use this dashboard."""

    @property
    def are_watched(self) -> bool:
        """Tell whether a user can lose rights while connected."""
        ...

    async def access(self, token: str | None) -> "Access":
        """Return what the owner of a token may see.

        Raises:
            UnauthenticatedError: it is nobody's.
            KubeError: the API server cannot be asked.
        """
        ...

    async def may(self, access: "Access", verb: str, namespace: str) -> bool:
        """Tell whether a user may do that to tasks of a namespace. Raises `KubeError`."""
        ...

    async def known(self, who: Identity | None) -> "Access":
        """Return what somebody may see now who has proven earlier who they are. Raises as `access` does."""
        ...

    def salt(self) -> bytes:
        """Return what changes when everybody must prove anew who they are."""
        ...


@dataclass(frozen=True)
class Access:
    """One user, and what they see."""

    users: Users
    subject: str = ""
    """Who it is; empty where nobody is asked."""
    sees: Sees = None
    expires_at: float | None = None
    """Unix time at which the token ends; None when it does not say."""
    identity: Identity | None = field(default=None, repr=False)

    def shows(self, namespace: str) -> bool:
        """Tell whether the user sees the tasks of a namespace."""
        return self.sees is None or namespace in self.sees

    async def require(self, verb: str, namespace: str) -> None:
        """Raise the 403 problem unless the user may do that to tasks of a namespace."""
        if not await self.users.may(self, verb, namespace):
            raise ProblemError(
                403,
                f"You may not {verb} tasks in the namespace {namespace}.",
                hint=f"Ask for the verb {verb} on {TASKS} there; `kubectl auth can-i` shows what you may do.",
            )


class Everybody:
    """`auth_mode` none: nobody is asked."""

    are_watched = False

    async def access(self, token: str | None) -> Access:  # noqa: ARG002 - a token is nobody's business here
        """Return access to everything."""
        return Access(self)

    async def may(self, access: Access, verb: str, namespace: str) -> bool:  # noqa: ARG002
        """Say yes."""
        return True

    async def known(self, who: Identity | None) -> Access:  # noqa: ARG002
        """Return access to everything."""
        return Access(self)

    def salt(self) -> bytes:
        """Return nothing: nobody proves anything."""
        return b""


class TokenUsers:
    """`auth_mode` token: whoever knows it may do everything. `read` gives the token as it is now, as it may change."""

    are_watched = True

    def __init__(self, read: Callable[[], str]) -> None:
        self._read = read

    async def access(self, token: str | None) -> Access:
        """Compare in constant time."""
        try:
            right = self._read()
        except ValueError as error:  # its file is gone or empty: nobody gets in, and the log says why
            log.warning("the users' token cannot be read", error=str(error))
            raise UnauthenticatedError from error
        if token is None or not hmac.compare_digest(token.encode(), right.encode()):
            raise UnauthenticatedError
        return Access(self, subject="token")

    async def may(self, access: Access, verb: str, namespace: str) -> bool:  # noqa: ARG002
        """Say yes."""
        return True

    async def known(self, who: Identity | None) -> Access:  # noqa: ARG002
        """Return access to everything; the salt has told that the token is still the same."""
        return Access(self, subject="token")

    def salt(self) -> bytes:
        """Return the token as it is now."""
        try:
            return self._read().encode()
        except ValueError as error:
            raise UnauthenticatedError from error


class KubernetesUsers:
    """`auth_mode` kubernetes: TokenReview says who, SubjectAccessReview what. Answers are kept for `seconds`.

    Args:
        api: where to ask.
        namespaces: returns the namespaces whose tasks could be shown; nobody can ask for `all that I may see`.
        clock: seconds that only grow.
        seconds: so long an answer may be used.
    """

    are_watched = True

    def __init__(
        self,
        api: Creates,
        *,
        namespaces: Callable[[], Collection[str]],
        clock: Callable[[], float],
        seconds: float = 30.0,
    ) -> None:
        self._api = api
        self._namespaces = namespaces
        self._identities: Remembered[_Token, Identity | None] = Remembered(self._review, seconds=seconds, clock=clock)
        self._rights: Remembered[tuple[Identity, str, str | None], bool] = Remembered(
            self._ask, seconds=seconds, clock=clock
        )

    async def access(self, token: str | None) -> Access:
        """Ask who it is, then whether they see everything, then which of the namespaces that we know."""
        who = None if not token else await self._identities.get(_Token(token))
        expires_at = expiry_of(token or "")
        if who is None:
            raise UnauthenticatedError
        return Access(self, who.username, await self._sees(who), expires_at, who)

    async def may(self, access: Access, verb: str, namespace: str) -> bool:
        """Ask whether it is allowed."""
        return access.identity is not None and await self._rights.get((access.identity, verb, namespace))

    async def known(self, who: Identity | None) -> Access:
        """Ask what they see; who it is was asked before."""
        if who is None:
            raise UnauthenticatedError
        return Access(self, who.username, await self._sees(who), None, who)

    def salt(self) -> bytes:
        """Return nothing: rights are asked for one by one."""
        return b""

    async def _sees(self, who: Identity) -> Sees:
        if await self._rights.get((who, "list", None)):
            return None
        return frozenset([name for name in self._namespaces() if await self._rights.get((who, "list", name))])

    async def _review(self, token: "_Token") -> Identity | None:
        return await review_token(self._api, token.text)

    async def _ask(self, question: tuple[Identity, str, str | None]) -> bool:
        who, verb, namespace = question
        return await review_access(self._api, who, verb=verb, resource=TASKS, namespace=namespace)


class _Token:
    """A token as a key: compared by its hash, and shown nowhere."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._digest = hashlib.sha256(text.encode()).digest()

    def __hash__(self) -> int:
        return hash(self._digest)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Token) and self._digest == other._digest


def bearer_of(headers: Mapping[str, str], subprotocols: Collection[str] = ()) -> str | None:
    """Return the token of a request or of a WebSocket's handshake; None without one, or with one that is garbled."""
    scheme, _, shown = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and shown.strip():
        return shown.strip()
    for offered in subprotocols:
        if offered.startswith(BEARER_SUBPROTOCOL):
            return _decoded(offered.removeprefix(BEARER_SUBPROTOCOL))
    return None


def expiry_of(token: str) -> float | None:
    """Return when a JWT ends (Unix time); None of anything else. Nothing is trusted here: somebody else verified it."""
    try:
        claims = json.loads(_decoded(token.split(".")[1]) or "")
        return float(claims["exp"])
    except (IndexError, KeyError, TypeError, ValueError):
        return None


async def access_of(request: Request) -> Access:
    """Return what the sender of a request may see; a FastAPI dependency. Raises the 401 problem for strangers."""
    users: Users = request.app.state.users
    try:
        return await users.access(bearer_of(request.headers))
    except UnauthenticatedError:
        raise ProblemError(
            401,
            "This dashboard wants to know who you are, and the token is missing or not valid.",
            hint="Send it as `Authorization: Bearer <token>`.",
            headers={"WWW-Authenticate": 'Bearer realm="dify-repack"'},
        ) from None


UserAccess = Annotated[Access, Depends(access_of)]
"""A parameter of every route for users."""


def _decoded(text: str) -> str | None:
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode() or None
    except (binascii.Error, UnicodeError, ValueError):
        return None
