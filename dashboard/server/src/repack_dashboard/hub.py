"""Who listens to what, and the writing to all of them. The publisher never waits for a client."""

import itertools
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import structlog

from repack_contract.messages import ALL_TASKS, TASK_CHANNEL_PREFIX, CloseCode, Ping
from repack_contract.progress import Progress
from repack_contract.views import TaskView
from repack_dashboard.eventlog import Entry
from repack_dashboard.frames import frame
from repack_dashboard.metrics import Metrics
from repack_dashboard.sinks import Sink

log = structlog.get_logger("repack.dashboard")


def channel_of(uid: str | None) -> str:
    """Return the name of a task's channel, or (None) that of all tasks."""
    return ALL_TASKS if uid is None else TASK_CHANNEL_PREFIX + uid


@dataclass(eq=False, slots=True)
class Client:
    """One connected client."""

    id: str
    sink: Sink
    is_v1: bool
    kind: str
    """`task` or `tasks`: of the path by which it came."""
    opened_at: float
    channels: set[str] = field(default_factory=set)
    pinged_at: float = 0.0
    close_code: int | None = None
    """Set when we closed it."""


class Hub:
    """All connected clients and the channels that they joined."""

    def __init__(
        self,
        *,
        metrics: Metrics,
        clock: Callable[[], float],
        rng: random.Random | None = None,
    ) -> None:
        self._metrics = metrics
        self._clock = clock
        self._rng = rng or random.Random()  # noqa: S311 - spreads load, hides nothing
        self._clients: dict[str, Client] = {}
        self._channels: dict[str, dict[str, Client]] = {}
        self._numbers = itertools.count(1)
        self._pings: dict[int, float] = {}
        self._ping_numbers = itertools.count(1)

    def __len__(self) -> int:
        return len(self._clients)

    @property
    def clients(self) -> Iterable[Client]:
        """All clients, as they are now."""
        return list(self._clients.values())

    def connect(self, sink: Sink, *, is_v1: bool, kind: str) -> Client:
        """Take in a client; it hears nothing before it joins a channel."""
        now = self._clock()
        client = Client(f"c-{next(self._numbers)}", sink, is_v1, kind, opened_at=now, pinged_at=now)
        self._clients[client.id] = client
        self._metrics.connections.labels(kind).inc()
        self._metrics.connections_total.inc()
        return client

    def drop(self, client: Client, *, code: int) -> None:
        """Forget a client whose connection ended with `code`."""
        if self._clients.pop(client.id, None) is None:
            return
        for channel in list(client.channels):
            self.leave(client, channel)
        self._metrics.connections.labels(client.kind).dec()
        # A connection closes itself when nothing is heard: that code is ours too.
        is_ours = client.close_code is not None or code == CloseCode.SILENT
        initiator = "server" if is_ours else "client"
        # uvicorn says 1005 of a connection that was lost without a close frame, where the standard says 1006.
        shown = client.close_code or (1006 if code == 1005 else code)
        self._metrics.disconnects.labels(_bounded(shown), initiator).inc()
        self._metrics.coalesced.inc(client.sink.coalesced)

    def join(self, client: Client, channel: str) -> None:
        """Let a client hear a channel from now on."""
        client.channels.add(channel)
        self._channels.setdefault(channel, {})[client.id] = client

    def leave(self, client: Client, channel: str) -> None:
        """Let a client no longer hear a channel."""
        client.channels.discard(channel)
        members = self._channels.get(channel, {})
        members.pop(client.id, None)
        if not members:
            self._channels.pop(channel, None)

    def close(self, client: Client, code: int, reason: str = "") -> None:
        """Close a client's connection."""
        client.close_code = client.close_code or code
        client.sink.close(code, reason)

    def publish(self, entry: Entry) -> None:
        """Write an event to everybody who hears its task or all tasks, to each once."""
        began = self._clock()
        draft = entry.draft
        own = channel_of(draft.uid)
        is_status = isinstance(draft.body, TaskView)
        # Latest wins only where a frame carries a whole state that the next one of the task replaces.
        key = draft.uid if isinstance(draft.body, Progress) else None
        sent = 0
        for client in list(self._channels.get(own, {}).values()):
            if client.is_v1 or is_status:
                sent += self._write(client, entry.frame)
        for client in list(self._channels.get(ALL_TASKS, {}).values()):
            if own not in client.channels and (client.is_v1 or is_status):
                sent += self._write(client, entry.frame, key=key)
        self._count(_type_of(entry), sent, entry.frame)
        ended = self._clock()
        self._metrics.broadcast_seconds.observe(ended - began)
        self._metrics.publish_seconds.observe(max(0.0, ended - entry.at))

    def tell(self, channel: str, finished: bytes, *, kind: str) -> None:
        """Write a frame that is no event of the log (log lines, the operator's health) to a channel's v1 clients."""
        members = list(self._channels.get(channel, {}).values())
        self._count(kind, sum(self._write(client, finished) for client in members if client.is_v1), finished)

    def send(self, client: Client, frames: list[bytes], *, kind: str) -> None:
        """Write frames to one client; beyond the bounds, because they were asked for."""
        client.sink.burst(frames)
        self._count(kind, len(frames), b"")
        self._metrics.bytes_sent.inc(sum(map(len, frames)))

    def reply(self, client: Client, finished: bytes, *, kind: str) -> None:
        """Write one answer to one client, within the bounds."""
        self._count(kind, self._write(client, finished), finished)

    def ping(self, *, interval: float) -> None:
        """Ping every client whose last ping is older than the interval. All get the same frame."""
        now = self._clock()
        due = [client for client in self._clients.values() if now - client.pinged_at >= interval]
        if not due:
            return
        number = next(self._ping_numbers)
        self._pings[number] = now
        for old in [number for number, at in self._pings.items() if now - at > 2 * interval]:
            del self._pings[old]
        finished = frame(Ping(id=number, ts=round(now, 3)))
        for client in due:
            client.pinged_at = now
            self._write(client, finished)
        self._count("ping", len(due), finished)

    def ponged(self, number: int | None) -> None:
        """Take a client's answer to a ping."""
        if number is not None and (at := self._pings.get(number)) is not None:
            self._metrics.ping_rtt.observe(self._clock() - at)

    def sweep(self, *, silence: float) -> int:
        """Close the clients of which nothing was heard for so long; a safety net below the ping of each connection."""
        horizon = self._clock() - silence
        silent = [c for c in self.clients if c.sink.heard_at is not None and c.sink.heard_at < horizon]
        for client in silent:
            self.close(client, CloseCode.SILENT, "nothing heard")
        return len(silent)

    def measure(self) -> None:
        """Set the gauges that would cost too much to keep with every write."""
        self._metrics.backlog_frames.set(max((client.sink.waiting for client in self.clients), default=0))

    def spread(self, window: float) -> list[tuple[float, Client]]:
        """Return each client with a random moment within the window, in order: who is to be closed when."""
        moments = [(self._rng.uniform(0, window), client) for client in self.clients]
        return sorted(moments, key=lambda pair: pair[0])

    def _write(self, client: Client, finished: bytes, *, key: str | None = None) -> int:
        if client.sink.offer(finished, key=key):
            return 1
        self._metrics.slow_consumers.labels("closed").inc()
        log.info("a client does not keep up and is closed", client=client.id, waiting=client.sink.waiting)
        self.close(client, CloseCode.SLOW_CONSUMER, "too slow, come back and resume")
        return 0

    def _count(self, kind: str, sent: int, finished: bytes) -> None:
        if sent:
            self._metrics.messages_sent.labels(kind).inc(sent)
            self._metrics.bytes_sent.inc(sent * len(finished))


def _type_of(entry: Entry) -> str:
    match entry.draft.body:
        case TaskView():
            return "task.status"
        case Progress():
            return "task.progress"
        case None:
            return "task.deleted"


def _bounded(code: int) -> str:
    """Return a code as a label: a client may send any number, a label may not have any value."""
    known = {value for name, value in vars(CloseCode).items() if name.isupper()} | {1005, 1006}
    return str(code) if code in known else "other"
