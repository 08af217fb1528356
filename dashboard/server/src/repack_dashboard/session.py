"""The protocol of one client, pure: what it sends goes in, what is to be done comes out. No socket, no clock."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from pydantic import TypeAdapter, ValidationError

from repack_contract.messages import (
    ALL_TASKS,
    PROTOCOL_VERSION,
    SUBPROTOCOL,
    TASK_CHANNEL_PREFIX,
    Authenticate,
    ClientMessage,
    CloseCode,
    ErrorMessage,
    Ping,
    Pong,
    Subscribe,
    Unsubscribe,
    Unsubscribed,
)

MAX_CHANNELS = 128
_MESSAGES: TypeAdapter[Ping | Pong | Subscribe | Unsubscribe | Authenticate] = TypeAdapter(ClientMessage)


@dataclass(frozen=True, slots=True)
class Reply:
    """Send this message."""

    message: Pong | ErrorMessage | Unsubscribed


@dataclass(frozen=True, slots=True)
class Join:
    """Let the client hear a channel: what it missed, or a snapshot, then everything."""

    channel: str
    since: int | None
    epoch: str | None
    id: int | None


@dataclass(frozen=True, slots=True)
class Leave:
    """Let the client no longer hear a channel."""

    channel: str


@dataclass(frozen=True, slots=True)
class Ponged:
    """The client answered our ping."""

    id: int | None


@dataclass(frozen=True, slots=True)
class Close:
    """End the connection."""

    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class Renew:
    """The client has a new token."""

    token: str = field(repr=False)


Action = Reply | Join | Leave | Ponged | Renew | Close


_KINDS: dict[type, str] = {Ponged: "pong", Join: "subscribe", Leave: "unsubscribe", Renew: "auth", Close: "too_many"}


def kind_of(actions: Sequence[Action]) -> str:
    """Return what kind of message asked for these actions, as a label without surprises."""
    first = actions[0] if actions else None
    if isinstance(first, Reply) and isinstance(first.message, Pong):
        return "ping"
    return _KINDS.get(type(first), "refused")


@dataclass(frozen=True, slots=True)
class Opening:
    """What a client asked for when it connected."""

    is_v1: bool
    since: int | None = None
    epoch: str | None = None
    subprotocol: str | None = None
    """What to answer in the handshake."""
    refusal: Close | None = None


def open_session(*, version: str | None, since: str | None, epoch: str | None, subprotocols: list[str]) -> Opening:
    """Read the query (`?v=1&since=&epoch=`) and the subprotocols of a new connection.

    Without `v=1` and without our subprotocol it is a client of the base contract, which gets nothing new.
    """
    subprotocol = SUBPROTOCOL if SUBPROTOCOL in subprotocols else None
    if version not in {None, str(PROTOCOL_VERSION)}:
        refusal = Close(CloseCode.VERSION_UNSUPPORTED, f"this server speaks version {PROTOCOL_VERSION}")
        return Opening(is_v1=False, subprotocol=subprotocol, refusal=refusal)
    is_v1 = version is not None or subprotocol is not None
    position = int(since) if since is not None and since.isdecimal() and len(since) <= 18 else None
    return Opening(is_v1=is_v1, since=position, epoch=epoch, subprotocol=subprotocol)


def as_base_contract(refusal: Close) -> Close:
    """Return a refusal as a client of the base contract knows it: it gives up on 1008 `Task not found` alone."""
    if refusal.code == CloseCode.UNKNOWN_TASK:
        return Close(CloseCode.POLICY, "Task not found")
    return refusal


@dataclass(slots=True)
class Bucket:
    """A token bucket: so many messages per second, twice as many at once."""

    per_second: float
    level: float = field(init=False)
    at: float | None = None

    def __post_init__(self) -> None:
        self.level = 2 * self.per_second

    def take(self, now: float) -> bool:
        """Take one token; False when there is none."""
        if self.at is not None:
            self.level = min(2 * self.per_second, self.level + (now - self.at) * self.per_second)
        self.at = now
        if self.level < 1:
            return False
        self.level -= 1
        return True


class Session:
    """One client's protocol state: its version, what it has joined, how fast it talks."""

    def __init__(self, *, is_v1: bool, own_channel: str, messages_per_second: float) -> None:
        self.is_v1 = is_v1
        self.channels = {own_channel}
        self._bucket = Bucket(messages_per_second)

    def receive(self, text: str | bytes, *, now: float) -> list[Action]:
        """Say what a message of the client asks for."""
        if not self._bucket.take(now):
            return [Close(CloseCode.RATE_LIMITED, "too many messages")]
        try:
            message = _MESSAGES.validate_json(text)
        except (ValidationError, RecursionError) as error:
            return [self._complain(error)] if self.is_v1 else []
        match message:
            case Ping(id=number):
                return [Reply(Pong(id=number))]
            case Pong(id=number):
                return [Ponged(number)]
            case _:
                return self._obey(message) if self.is_v1 else []

    def _obey(self, message: Subscribe | Unsubscribe | Authenticate) -> list[Action]:
        match message:
            case Subscribe():
                return self._subscribe(message)
            case Unsubscribe():
                return self._unsubscribe(message)
            case Authenticate(token=token):
                return [Renew(token)]

    def _subscribe(self, wish: Subscribe) -> list[Action]:
        if wish.channel != ALL_TASKS and not wish.channel.startswith(TASK_CHANNEL_PREFIX):
            return [_error("unknown_channel", f"There is no channel {wish.channel}.", wish.id)]
        if wish.channel not in self.channels and len(self.channels) >= MAX_CHANNELS:
            return [_error("too_many_channels", f"One connection may join {MAX_CHANNELS} channels.", wish.id)]
        self.channels.add(wish.channel)
        return [Join(wish.channel, wish.since, wish.epoch, wish.id)]

    def _unsubscribe(self, wish: Unsubscribe) -> list[Action]:
        self.channels.discard(wish.channel)
        return [Leave(wish.channel), Reply(Unsubscribed(id=wish.id, channel=wish.channel))]

    def refuse(self, channel: str, *, number: int | None) -> Reply:
        """Take back a subscription to a task that nobody knows."""
        self.channels.discard(channel)
        return _error("unknown_task", "There is no such task; it may have been deleted.", number)

    def _complain(self, error: ValidationError | RecursionError) -> Reply:
        first = error.errors()[0]["msg"] if isinstance(error, ValidationError) else "nested too deeply"
        return _error("bad_message", f"This message is not understood: {first}", None)


def _error(code: str, message: str, number: int | None) -> Reply:
    return Reply(ErrorMessage(code=code, message=message, id=number))
