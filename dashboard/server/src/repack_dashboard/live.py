"""Users who are connected: are they still who they were, do they still see what they saw?

Each is looked at again every `seconds`, and at once when a namespace appears of which nobody has asked yet. While the
Kubernetes API cannot be asked, nobody loses anything: the next look decides.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from repack_contract.messages import CloseCode, ErrorMessage
from repack_dashboard.frames import frame
from repack_dashboard.hub import Client, Hub
from repack_dashboard.users import Access, UnauthenticatedError, Users
from repack_dashboard.welcome import Welcome
from repack_kube.errors import KubeError

log = structlog.get_logger("repack.dashboard")

GRACE_SECONDS = 25.0
"""So long before its token ends a client is asked for a new one."""


@dataclass(eq=False, slots=True)
class Seat:
    """One connected user."""

    client: Client
    token: str | None = field(repr=False)
    access: Access
    looked_at: float
    namespaces: frozenset[str]
    """Those that were known when its rights were last looked at."""
    is_warned: bool = False
    rtt: float | None = None
    """Seconds from our last ping to the client's pong."""
    refresh: asyncio.Task[None] | None = None


class Seats:
    """All connected users.

    Args:
        users: who is asked.
        hub: closes connections.
        welcome: lets users hear less or more.
        namespaces: returns the namespaces whose tasks could be shown.
        clock: seconds that only grow.
        unix: Unix time, by which tokens end.
        seconds: between two looks at one user.
    """

    def __init__(
        self,
        users: Users,
        *,
        hub: Hub,
        welcome: Welcome,
        namespaces: Callable[[], frozenset[str]],
        clocks: tuple[Callable[[], float], Callable[[], float]],
        seconds: float = 60.0,
    ) -> None:
        self._users = users
        self._hub = hub
        self._welcome = welcome
        self._namespaces = namespaces
        self._clock, self._unix = clocks
        self._seconds = seconds
        self._seats: dict[Client, Seat] = {}

    def take(self, client: Client, token: str | None, access: Access) -> None:
        """Keep an eye on a new client."""
        self._seats[client] = Seat(client, token, access, self._clock(), self._namespaces())

    def leave(self, client: Client) -> None:
        """Forget a client."""
        seat = self._seats.pop(client, None)
        if seat is not None and seat.refresh is not None:
            seat.refresh.cancel()

    def access(self, client: Client) -> Access:
        """Return what a client may see now."""
        return self._seats[client].access

    def ponged(self, client: Client) -> None:
        """Take a client's answer to the last ping."""
        if client.pinged_at > client.opened_at:
            self._seats[client].rtt = self._clock() - client.pinged_at

    def rtt(self, client: Client) -> float | None:
        """Return how long a client's last pong took, in seconds."""
        seat = self._seats.get(client)
        return None if seat is None else seat.rtt

    def refresh(self, client: Client, token: str) -> None:
        """Take a new token of a client, without waiting for what it is worth."""
        seat = self._seats[client]
        if seat.refresh is not None:
            seat.refresh.cancel()
        seat.refresh = asyncio.create_task(self._take_token(seat, token))

    async def look(self) -> None:
        """Look at all whose time has come."""
        if not self._users.are_watched:
            return
        now, namespaces = self._clock(), self._namespaces()
        due: list[Seat] = []
        for seat in list(self._seats.values()):
            self._watch_expiry(seat)
            if now - seat.looked_at >= self._seconds or seat.namespaces != namespaces:
                seat.looked_at, seat.namespaces = now, namespaces
                due.append(seat)
        # All at once, as one slow answer must not keep the others waiting; what users share is asked once.
        answers = await asyncio.gather(*[self._look_at(seat) for seat in due], return_exceptions=True)
        for seat, answer in zip(due, answers, strict=True):
            if isinstance(answer, BaseException):  # a mistake of ours must not leave anybody with rights that are gone
                log.error("a user's rights could not be judged", client=seat.client.id, exc_info=answer)
                self._hub.close(seat.client, CloseCode.INTERNAL, "your rights cannot be judged")

    def _watch_expiry(self, seat: Seat) -> None:
        left = None if seat.access.expires_at is None else seat.access.expires_at - self._unix()
        if left is None or left > GRACE_SECONDS:
            return
        if left <= 0:
            self._hub.close(seat.client, CloseCode.UNAUTHENTICATED, "the token has ended")
        elif not seat.is_warned:
            seat.is_warned = True
            self._complain(seat, "token_expiring", "The token ends soon; send a new one.")

    async def _look_at(self, seat: Seat) -> None:
        await self._judge(seat, seat.token, lambda _access: True)

    async def _take_token(self, seat: Seat, token: str) -> None:
        await self._judge(seat, token, lambda access: access.subject == seat.access.subject)

    async def _judge(self, seat: Seat, token: str | None, is_right: Callable[[Access], bool]) -> None:
        before = seat.token
        try:
            access = await self._users.access(token)
            if not is_right(access):
                raise UnauthenticatedError
        except UnauthenticatedError:
            if seat.token is before:
                self._hub.close(seat.client, CloseCode.UNAUTHENTICATED, "the token is not valid")
        except KubeError as error:
            log.warning("a user's rights cannot be asked for", client=seat.client.id, error=error.message)
            self._complain(seat, "unavailable", "Your rights cannot be asked for now.")
        else:
            if seat.token is before:  # else a newer token came meanwhile, and what is known of it counts
                seat.is_warned = seat.is_warned and token is before
                seat.token = token
                self._apply(seat, access)

    def _apply(self, seat: Seat, access: Access) -> None:
        before, seat.access = seat.access, access
        if (
            before.sees != access.sees
            and seat.client in self._seats
            and not self._welcome.change(seat.client, access.sees)
        ):
            log.info("a user lost the right to see what they saw", client=seat.client.id)
            self._hub.close(seat.client, CloseCode.FORBIDDEN, "you may no longer see this")

    def _complain(self, seat: Seat, code: str, sentence: str) -> None:
        if seat.client.is_v1:
            self._hub.reply(seat.client, frame(ErrorMessage(code=code, message=sentence)), kind="error")
