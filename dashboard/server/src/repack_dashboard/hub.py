"""Who listens to what, and the writing to all of them. The publisher never waits for a client."""

import itertools
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import structlog

from repack_contract.messages import ALL_TASKS, TASK_CHANNEL_PREFIX, CloseCode, Ping
from repack_contract.progress import Progress
from repack_contract.views import TaskView
from repack_dashboard.casts import Bundle, Cast
from repack_dashboard.events import Entry
from repack_dashboard.frames import frame
from repack_dashboard.metrics import Metrics
from repack_dashboard.pump import Later, Pump, on_loop
from repack_dashboard.sinks import Line, Sink

log = structlog.get_logger("repack.dashboard")

PORTION = 256
"""Sends in one go; about 2 ms, after which the event loop gets its turn."""
PINGS = 1000
"""Most pings in one go. They are looked after every second, so that 30 s are enough for 30,000 clients."""


def channel_of(uid: str | None) -> str:
    """Return the name of a task's channel, or (None) that of all tasks."""
    return ALL_TASKS if uid is None else TASK_CHANNEL_PREFIX + uid


def channel_of_namespace(namespace: str) -> str:
    """Return the channel of the tasks of a namespace, for those who may not see all; no client joins it by name."""
    return f"{ALL_TASKS}/{namespace}"


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
    coalesced: int = 0
    """Frames left out for it that were counted already."""


@dataclass(slots=True)
class Channel:
    """Who hears one channel."""

    alike: dict[str, Line] = field(default_factory=dict)
    """Those of v1 who joined it alone: all get the same bytes."""
    others: dict[str, Client] = field(default_factory=dict)
    """The base contract's, and those of several channels: for each it is looked up what is for it."""


class Hub:
    """All connected clients and the channels that they joined."""

    def __init__(
        self,
        *,
        metrics: Metrics,
        clock: Callable[[], float],
        tick: float = 0.0,
        later: Later = on_loop,
        rng: random.Random | None = None,
    ) -> None:
        """Make a hub that joins what is published within `tick` seconds after a first event; 0 joins nothing."""
        self._metrics = metrics
        self._clock = clock
        self._rng = rng or random.Random()  # noqa: S311 - spreads load, hides nothing
        self._clients: dict[str, Client] = {}
        self._owners: dict[Line, Client] = {}
        self._channels: dict[str, Channel] = {}
        self._pump = Pump(self._deliver, tick=tick, later=later)
        self._numbers = itertools.count(1)
        self._pings: dict[int, float] = {}
        self._ping_numbers = itertools.count(1)

    def __len__(self) -> int:
        return len(self._clients)

    @property
    def clients(self) -> list[Client]:
        """All clients, as they are now."""
        return list(self._clients.values())

    def connect(self, sink: Sink, *, is_v1: bool, kind: str) -> Client:
        """Take in a client; it hears nothing before it joins a channel."""
        now = self._clock()
        client = Client(f"c-{next(self._numbers)}", sink, is_v1, kind, opened_at=now, pinged_at=now)
        self._clients[client.id] = client
        self._owners[sink.line] = client
        self._metrics.connections.labels(kind).inc()
        self._metrics.connections_total.inc()
        return client

    def drop(self, client: Client, *, code: int) -> None:
        """Forget a client whose connection ended with `code`."""
        if self._clients.pop(client.id, None) is None:
            return
        del self._owners[client.sink.line]
        for channel in client.channels:
            self._forget(client, channel)
        client.channels.clear()
        self._metrics.connections.labels(client.kind).dec()
        # A connection closes itself when nothing is heard: that code is ours too.
        is_ours = client.close_code is not None or code == CloseCode.SILENT
        initiator = "server" if is_ours else "client"
        # uvicorn says 1005 of a connection that was lost without a close frame, where the standard says 1006.
        shown = client.close_code or (1006 if code == 1005 else code)
        self._metrics.disconnects.labels(_bounded(shown), initiator).inc()
        self._count_coalesced(client)

    def join(self, client: Client, channel: str) -> None:
        """Let a client hear a channel from now on, and nothing of before."""
        self._pump.settle()
        client.channels.add(channel)
        self._place(client)

    def leave(self, client: Client, channel: str) -> None:
        """Let a client no longer hear a channel."""
        self._pump.settle()
        client.channels.discard(channel)
        self._forget(client, channel)
        self._place(client)

    def close(self, client: Client, code: int, reason: str = "") -> None:
        """Close a client's connection."""
        client.close_code = client.close_code or code
        client.sink.close(code, reason)

    def silence(self) -> list[Client]:
        """Let nobody hear anything any more, and return who is connected: they are to be closed."""
        self._pump.settle()
        self._channels.clear()
        for client in self._clients.values():
            client.channels.clear()
        return self.clients

    def publish(self, entry: Entry) -> None:
        """Write an event to everybody who hears its task or all tasks, to each once; now or with the next tick."""
        draft = entry.draft
        self._pump.put(
            Cast(
                entry.frame,
                _type_of(entry),
                (channel_of(draft.uid), ALL_TASKS, channel_of_namespace(draft.namespace)),
                # Latest wins only where a frame carries a whole state that the next one of the task replaces.
                key=draft.uid if isinstance(draft.body, Progress) else None,
                is_base=isinstance(draft.body, TaskView),
                at=entry.at,
            )
        )

    def tell(self, channel: str, finished: bytes, *, kind: str) -> None:
        """Write a frame that is no event of the log (log lines, the operator's health) to a channel's v1 clients."""
        self._pump.put(Cast(finished, kind, (channel,)))

    def send(self, client: Client, frames: list[bytes], *, kind: str) -> None:
        """Write frames to one client, after all that is on its way; beyond the bounds, because they were asked for."""
        self._pump.settle()
        client.sink.burst(frames)
        self._count(kind, len(frames), b"")
        self._metrics.bytes_sent.inc(sum(map(len, frames)))

    def reply(self, client: Client, finished: bytes, *, kind: str) -> None:
        """Write one answer to one client, within the bounds."""
        self._count(kind, self._write(client, finished), finished)

    def ping(self, *, interval: float) -> None:
        """Ping the clients whose last ping is older than the interval, not all at once. They get the same frame."""
        now = self._clock()
        waited = (client for client in self._clients.values() if now - client.pinged_at >= interval)
        due = list(itertools.islice(waited, PINGS))
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
        """Bring up to date what would cost too much to keep with every write."""
        for client in self.clients:
            self._count_coalesced(client)
        self._metrics.backlog_frames.set(max((client.sink.waiting for client in self.clients), default=0))

    def spread(self, clients: Iterable[Client], *, window: float) -> list[tuple[float, Client]]:
        """Return each client with a random moment within the window, in order: who is to be closed when."""
        moments = [(self._rng.uniform(0, window), client) for client in clients]
        return sorted(moments, key=lambda pair: pair[0])

    def _deliver(self, casts: list[Cast]) -> Iterator[None]:
        """Write a batch, portion by portion. This loop is what a fan-out costs; `make bench-realtime` measures it."""
        began = self._clock()
        room = PORTION
        for lines, bundle in self._address(casts):
            start = 0
            while start < len(lines):
                if not room:
                    yield
                    room = PORTION
                part = lines[start : start + room]
                self._write_to(part, bundle)
                start += len(part)
                room -= len(part)
        ended = self._clock()
        self._metrics.broadcast_seconds.observe(ended - began)
        for cast in casts:
            if cast.at is not None:
                self._metrics.publish_seconds.observe(max(0.0, ended - cast.at))

    def _write_to(self, lines: list[Line], bundle: Bundle) -> None:
        plain = bundle.plain
        for line in lines:
            write = line.write
            if write is not None:
                write(plain)
            elif line.write_packed is not None:
                line.write_packed(bundle.packed)
            else:
                self._queue(line, bundle)

    def _address(self, casts: list[Cast]) -> list[tuple[list[Line], Bundle]]:
        """Say who gets what."""
        parcels: list[tuple[list[Line], Bundle]] = []
        others: dict[Client, None] = {}
        for name, heard in _by_channel(casts).items():
            channel = self._channels.get(name)
            if channel is None:
                continue
            if channel.alike:
                bundle = Bundle(tuple((cast.frame, cast.key_on({name})) for cast in heard))
                parcels.append((list(channel.alike.values()), bundle))
                self._count_casts(heard, len(channel.alike))
            others.update(dict.fromkeys(channel.others.values()))
        shared: dict[tuple[tuple[bytes, str | None], ...], list[Line]] = {}
        for client in others:
            mine = [cast for cast in casts if self._is_for(client, cast)]
            if mine:
                frames = tuple((cast.frame, cast.key_on(client.channels)) for cast in mine)
                shared.setdefault(frames, []).append(client.sink.line)
                self._count_casts(mine, 1)
        parcels.extend((lines, Bundle(frames)) for frames, lines in shared.items())
        return parcels

    def _is_for(self, client: Client, cast: Cast) -> bool:
        return (client.is_v1 or cast.is_base) and cast.is_heard_on(client.channels)

    def _place(self, client: Client) -> None:
        """Put a client among those who get the same as their neighbours, or among the others."""
        is_alike = client.is_v1 and len(client.channels) == 1
        for name in client.channels:
            channel = self._channels.setdefault(name, Channel())
            if is_alike:
                channel.others.pop(client.id, None)
                channel.alike[client.id] = client.sink.line
            else:
                channel.alike.pop(client.id, None)
                channel.others[client.id] = client

    def _forget(self, client: Client, name: str) -> None:
        channel = self._channels.get(name)
        if channel is None:
            return
        channel.alike.pop(client.id, None)
        channel.others.pop(client.id, None)
        if not channel.alike and not channel.others:
            del self._channels[name]

    def _queue(self, line: Line, bundle: Bundle) -> None:
        """Give a client that does not keep up, or one behind another server, its frames one by one."""
        client = self._owners.get(line)
        if client is None:
            return  # it went away meanwhile
        for finished, key in bundle.frames:
            if not self._write(client, finished, key=key):
                return

    def _write(self, client: Client, finished: bytes, *, key: str | None = None) -> int:
        if client.sink.offer(finished, key=key):
            return 1
        self._metrics.slow_consumers.labels("closed").inc()
        log.info("a client does not keep up and is closed", client=client.id, waiting=client.sink.waiting)
        self.close(client, CloseCode.SLOW_CONSUMER, "too slow, come back and resume")
        return 0

    def _count_casts(self, casts: list[Cast], clients: int) -> None:
        for kind, number in Counter(cast.kind for cast in casts).items():
            self._metrics.messages_sent.labels(kind).inc(number * clients)
        self._metrics.bytes_sent.inc(clients * sum(len(cast.frame) for cast in casts))

    def _count_coalesced(self, client: Client) -> None:
        left_out = client.sink.coalesced
        self._metrics.coalesced.inc(left_out - client.coalesced)
        client.coalesced = left_out

    def _count(self, kind: str, sent: int, finished: bytes) -> None:
        if sent:
            self._metrics.messages_sent.labels(kind).inc(sent)
            self._metrics.bytes_sent.inc(sent * len(finished))


def _by_channel(casts: list[Cast]) -> dict[str, list[Cast]]:
    heard: dict[str, list[Cast]] = {}
    for cast in casts:
        for name in cast.channels:
            heard.setdefault(name, []).append(cast)
    return heard


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
