"""The event log that several replicas share, on Redis Streams. docs/replicas.md tells what each fault does.

Redis keeps the events (a stream whose ids are the `gseq`s) and, beside it in one hash, the epoch, the counters and the
state of every task: all that follows from the events. `append.lua` changes both in one step, so no number is given
twice, none is left out, and what any replica has told already is recognised on every other.

Each replica follows the stream: it loads what Redis keeps when it begins, then takes one event after the other into a
ring in memory and calls its listeners. Joining a channel therefore reads memory alone and never waits. Each event names
the mark of the one before it, so a history that another one has replaced (a failover that lost the last writes) is
seen for certain. Whenever the log is not the one that was followed, `begins` is called, and nothing goes on silently.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import structlog
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from repack_dashboard.eventlog import Listeners, LogState, LogUnavailableError
from repack_dashboard.events import Bounds, Draft, Entry, Outcome, numbered
from repack_dashboard.notes import Note, read_note
from repack_dashboard.redis_wire import EventId, Fields, Incoming, Kept, Outgoing, event_id
from repack_dashboard.ring import Ring

log = structlog.get_logger("repack.dashboard")

ANSWER_SECONDS = 5.0
"""Longest time that Redis may take to answer."""
IDLE_SECONDS = 1.0
"""After so long without an event it is looked whether the log is still the one that we follow."""
CATCH_UP_SECONDS = 2.0
NOTE_SECONDS = 30
"""So long a note is kept for a replica that has to connect again."""
GONE_SECONDS = 86_400
"""So long a deleted task is remembered: nothing is in flight for longer."""
TRIM_SECONDS = 30.0
PORTION = 100
"""Events taken in one go; about 10 ms, after which the event loop gets its turn."""
FAULTS = (RedisError, OSError, TimeoutError)
Answer = TypeVar("Answer")
Streams = list[tuple[bytes, list[tuple[EventId, Fields]]]]
"""What XREAD answers: the name of each stream with what is new in it."""


class _OtherLogError(Exception):
    """The log is not the one that was followed so far."""


def connect(url: str) -> Redis:
    """Return a client that connects when it is used, tries once, and does not wait for ever.

    Raises:
        ValueError: that is no URL of a Redis; the sentence does not repeat it, as it may hold a password.
    """
    try:
        pool = BlockingConnectionPool.from_url(
            url,
            protocol=2,
            max_connections=16,
            timeout=ANSWER_SECONDS,
            socket_timeout=None,  # `_answer` bounds it: the client's own way loses cancellations before Python 3.12
            socket_connect_timeout=2.0,
            retry=Retry(NoBackoff(), 0),  # a connection that broke may lead to another Redis now: we look first
        )
    except ValueError:
        raise ValueError("it is redis[s]://[user:password@]host[:port][/database] or unix://path") from None
    return Redis.from_pool(pool)


class RedisLog:
    """The log of all replicas with the same Redis and the same prefix.

    Args:
        redis: a client of `connect`.
        prefix: what the names of all keys begin with.
        bounds: how much is kept, here and in Redis.
        clock: seconds that only grow.
    """

    def __init__(self, redis: Redis, *, prefix: str, bounds: Bounds, clock: Callable[[], float]) -> None:
        self.listeners = Listeners()
        self._redis = redis
        self._bounds = bounds
        self._clock = clock
        names = ("log", "events", "gone", "notes")
        self._log_key, self._events_key, self._gone_key, self._notes_key = (f"{prefix}:{name}" for name in names)
        self._attach_script = redis.register_script(_script("attach"))
        self._append_script = redis.register_script(_script("append"))
        self._tell_script = redis.register_script(_script("tell"))
        self._ring = Ring(epoch="", bounds=bounds, clock=clock)
        self._mark = b""
        """Of the last event that was taken."""
        self._notes_at: bytes = b"0-0"
        self._trimmed_at = 0.0
        self._state = LogState("redis", is_live=False, detail="it has not been reached yet")
        self._live = asyncio.Event()
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []
        self.head = self._ring.head
        self.since = self._ring.since

    @property
    def epoch(self) -> str:
        """Of the log in Redis, the same for all replicas; empty before it was reached for the first time."""
        return self._ring.epoch

    @property
    def state(self) -> LogState:
        """Live while the stream is followed."""
        return self._state

    def check(self) -> None:
        """Raise `LogUnavailableError` while the stream is not followed."""
        if not self._state.is_live:
            raise LogUnavailableError(self._state.detail)

    async def append(self, draft: Draft) -> Outcome:
        """Let Redis judge, number and keep an event; return when it was heard of here. Raises `LogUnavailableError`."""
        self.check()
        out = Outgoing.of(draft)
        arguments: list[str | int] = [
            self.epoch, self._ring.gseq, out.kind, out.uid, out.rank, out.shown, out.draft, out.progress,
            out.progress_rank, secrets.token_hex(8), self._bounds.events, GONE_SECONDS,
        ]  # fmt: skip
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                keys = [self._log_key, self._events_key, self._gone_key]
                answer, gseq = await self._append_script(keys=keys, args=arguments)
                if answer == b"lost":
                    raise LogUnavailableError("it was lost and begins anew")
                await self._heard(gseq)
        except FAULTS as error:
            raise LogUnavailableError(_sentence(error)) from error
        return _outcome(answer)

    async def tell(self, note: Note) -> None:
        """Write a note for all replicas, this one too. Raises `LogUnavailableError`."""
        self.check()
        arguments: list[str | int] = [note.model_dump_json(exclude_none=True), NOTE_SECONDS]
        try:
            await _answer(self._tell_script(keys=[self._notes_key], args=arguments))
        except FAULTS as error:
            raise LogUnavailableError(_sentence(error)) from error

    async def catch_up(self, uid: str | None, *, position: int | None, epoch: str | None) -> None:
        """Where a client has seen more than we have, wait for what the log itself has; it may be ahead of that too."""
        if position is None or epoch != self.epoch or position <= self.head(uid):
            return
        try:
            async with asyncio.timeout(CATCH_UP_SECONDS):
                await self._heard(int(await self._redis.hget(self._log_key, "gseq") or 0))
        except (*FAULTS, LogUnavailableError):
            log.info("a client is ahead of the log that can be reached", epoch=epoch, position=position)

    def expire(self) -> None:
        """Forget old events; those in Redis go with them (`_trim`)."""
        self._ring.expire()

    async def reached(self) -> None:
        """Wait until the stream is followed."""
        await self._live.wait()

    async def run(self) -> None:
        """Follow the log, whatever happens to Redis, until it is cancelled."""
        failures = 0
        try:
            while True:
                try:
                    await self._attach()
                    failures = 0
                    await self._follow()
                except _OtherLogError:
                    self._go_down("it is not the one that was followed, and is loaded anew")
                except Exception as error:
                    failures += 1
                    self._go_down(_sentence(error))
                    if failures in {1, 10}:
                        bug = None if isinstance(error, FAULTS) else error
                        log.warning("the event log cannot be followed", error=_sentence(error), exc_info=bug)
                    await asyncio.sleep(min(0.1 * 2**failures, 2.0))
        finally:
            self._go_down("this replica is ending")
            await self._redis.aclose(close_connection_pool=True)

    async def _attach(self) -> None:
        """Find the log in Redis; where it is another one than before, or we fell behind too far, begin with it."""
        epoch, gseq = await self._find()
        if epoch != self.epoch or not await self._goes_on(gseq):
            await self._begin(epoch)
        self._state = LogState("redis", is_live=True)
        self._live.set()
        log.info("the event log is followed", epoch=self.epoch, gseq=self._ring.gseq)

    async def _find(self) -> tuple[str, int]:
        arguments: list[str | int | bytes] = [secrets.token_hex(6), self.epoch, self._ring.gseq, self._mark]
        keys = [self._log_key, self._events_key, self._gone_key, self._notes_key]
        epoch, gseq = await _answer(self._attach_script(keys=keys, args=arguments))
        return epoch.decode(), int(gseq)

    async def _goes_on(self, gseq: int) -> bool:
        """Tell whether the stream still holds what follows the last event that we took."""
        if gseq == self._ring.gseq:
            return True
        following = event_id(self._ring.gseq + 1)
        answer = await _answer(self._redis.xrange(self._events_key, following, following))
        found = cast("list[tuple[EventId, Fields]]", answer)
        return bool(found) and found[0][1][b"after"] == self._mark

    async def _begin(self, epoch: str) -> None:
        """Load everything that Redis keeps, and tell the listeners that what they knew is void."""
        async with self._redis.pipeline(transaction=True) as pipe:  # one moment for all of it
            pipe.hgetall(self._log_key)
            pipe.xrevrange(self._events_key, count=self._bounds.events)
            pipe.xrevrange(self._notes_key, count=1)
            pipe.time()
            hash_, newest_first, notes, (seconds, micros) = await _answer(pipe.execute())
        kept, events = Kept.of(hash_), list(reversed(newest_first))
        if kept.epoch != epoch:
            raise _OtherLogError
        entries, offset = [], self._clock() - (seconds + micros / 1e6)
        for start in range(0, len(events), PORTION):
            entries += [self._entry(Incoming.of(*event), epoch, offset) for event in events[start : start + PORTION]]
            await asyncio.sleep(0)
        self._fail_waiting("it began anew")
        self._ring.begin(epoch=epoch, gseq=kept.gseq, seqs=kept.seqs)
        for entry in entries:
            self._ring.add(entry)
        self._ring.expire()
        self._mark = events[-1][1][b"mark"] if events else b""
        self._notes_at = notes[0][0] if notes else b"0-0"
        for listener in self.listeners.begins:
            listener(kept.states)

    async def _follow(self) -> None:
        """Take what comes, until something breaks."""
        now = asyncio.get_running_loop().time
        sure_at = now()  # when the log was last known to be the one that we follow
        while True:
            places: dict[Any, Any] = {
                self._events_key: event_id(self._ring.gseq),
                self._notes_key: self._notes_at,
            }
            answer = await _answer(self._redis.xread(places, count=PORTION, block=int(IDLE_SECONDS * 1000)))
            found = dict(cast("Streams", answer))
            events = found.get(self._events_key.encode(), [])
            self._take_events(events)
            self._take_notes(found.get(self._notes_key.encode(), []))
            if events:
                sure_at = now()
            elif now() - sure_at >= IDLE_SECONDS:
                if (await self._find())[0] != self.epoch:
                    raise _OtherLogError  # it was lost without a word, as no connection broke
                sure_at = now()
            await self._trim()

    def _take_events(self, items: list[tuple[EventId, Fields]]) -> None:
        for event, fields in items:
            incoming = Incoming.of(event, fields)
            if incoming.gseq != self._ring.gseq + 1 or incoming.after != self._mark:
                raise _OtherLogError
            entry = self._entry(incoming, self.epoch, None)
            self._ring.add(entry)
            self._mark = incoming.mark
            for listener in self.listeners.entries:
                listener(entry)
        self._wake_waiting()

    def _take_notes(self, items: list[tuple[EventId, Fields]]) -> None:
        for place, fields in items:
            self._notes_at = place
            note = read_note(fields[b"note"])
            for listener in self.listeners.notes:
                listener(note)

    def _entry(self, incoming: Incoming, epoch: str, offset: float | None) -> Entry:
        at = self._clock() if offset is None else incoming.at + offset
        return numbered(incoming.draft, seq=incoming.seq, gseq=incoming.gseq, epoch=epoch, at=at)

    async def _trim(self) -> None:
        """Let Redis forget what this ring has forgotten. The last event stays, which shows that the stream is whole."""
        now = self._clock()
        if now - self._trimmed_at < TRIM_SECONDS:
            return
        self._trimmed_at = now
        self._ring.expire()
        oldest = event_id(self._ring.oldest)
        await _answer(self._redis.xtrim(self._events_key, minid=oldest, approximate=False))

    async def _heard(self, gseq: int) -> None:
        """Wait until the event with this number was taken here. Raises `LogUnavailableError` where that fails."""
        if gseq <= self._ring.gseq:
            return
        heard = asyncio.get_running_loop().create_future()
        self._waiting.append((gseq, heard))
        await heard

    def _wake_waiting(self) -> None:
        head, still = self._ring.gseq, []
        for gseq, heard in self._waiting:
            if gseq > head:
                still.append((gseq, heard))
            elif not heard.done():
                heard.set_result(None)
        self._waiting = [(gseq, heard) for gseq, heard in still if not heard.done()]

    def _fail_waiting(self, detail: str) -> None:
        for _, heard in self._waiting:
            if not heard.done():
                heard.set_exception(LogUnavailableError(detail))
        self._waiting.clear()

    def _go_down(self, detail: str) -> None:
        self._state = LogState("redis", is_live=False, detail=detail)
        self._live.clear()
        self._fail_waiting(detail)


async def _answer(asked: Awaitable[Answer]) -> Answer:
    """Return the answer of Redis. Raises `TimeoutError` where it does not come."""
    async with asyncio.timeout(ANSWER_SECONDS):
        return await asked


def _script(name: str) -> str:
    return (Path(__file__).parent / "lua" / f"{name}.lua").read_text(encoding="utf-8")


def _outcome(answer: bytes) -> Outcome:
    match answer:
        case b"appended":
            return "appended"
        case b"same":
            return "same"
        case _:
            return "known"


def _sentence(error: Exception) -> str:
    """Return what went wrong; errors of the client name the address and never the password."""
    return "Redis did not answer in time" if isinstance(error, TimeoutError) else f"Redis: {error}"
