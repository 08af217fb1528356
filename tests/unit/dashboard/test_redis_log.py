"""What only the log in Redis does: it is shared, it may be lost or replaced, and a replica may fall behind it."""

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
import redis

from builders import a_task
from fakes.redis_server import RedisServer
from repack_contract.events import Heartbeat
from repack_contract.progress import Progress
from repack_contract.views import TaskView
from repack_dashboard import eventlog_redis
from repack_dashboard.eventlog import LogUnavailableError
from repack_dashboard.eventlog_redis import RedisLog, connect
from repack_dashboard.events import Bounds, Draft
from repack_dashboard.notes import HeartbeatHeard
from running_dashboard import until

NOW = datetime(2026, 11, 23, 6, tzinfo=UTC)


class Replica:
    """A log that is followed, and how often its numbers did not go on."""

    def __init__(self, server: RedisServer, prefix: str, **bounds: Any) -> None:
        self.log = RedisLog(connect(server.url), prefix=prefix, bounds=Bounds(**bounds), clock=time.monotonic)
        self.states: Sequence[Draft] = ()
        self.begins = 0
        self.log.listeners.begins.append(self._begin)

    def _begin(self, states: Sequence[Draft]) -> None:
        self.states = states
        self.begins += 1


@contextlib.asynccontextmanager
async def replica(server: RedisServer, prefix: str, **bounds: Any) -> AsyncIterator[Replica]:
    one = Replica(server, prefix, **bounds)
    following = asyncio.create_task(one.log.run())
    try:
        async with asyncio.timeout(10):
            await one.log.reached()
        yield one
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


def a_prefix() -> str:
    return secrets.token_hex(6)


def state(uid: str, *, sequence: int = 1) -> Draft:
    task = a_task(uid=uid, name=uid, status={"sequence": sequence, "phase": "Running"})
    return Draft(uid, "default", uid, NOW, TaskView.of(task), (sequence, 1, 1))


def ticks(uid: str, *numbers: int) -> list[Draft]:
    return [Draft(uid, "default", uid, NOW, Progress(attempt=1, tick=tick, updated_at=NOW)) for tick in numbers]


async def append(one: Replica, *drafts: Draft) -> None:
    for draft in drafts:
        assert await one.log.append(draft) == "appended"


def put(client: Any, kept: dict[str, bytes], prefix: str) -> None:
    with client.pipeline(transaction=True) as pipe:
        for name, data in kept.items():
            pipe.delete(f"{prefix}:{name}")
            pipe.restore(f"{prefix}:{name}", 0, data)
        pipe.execute()


def take(client: Any, prefix: str) -> dict[str, bytes]:
    return {name: client.dump(f"{prefix}:{name}") for name in ("log", "events")}


async def test_two_replicas_append_at_once_and_no_number_is_given_twice_or_left_out(redis_server: RedisServer) -> None:
    prefix = a_prefix()
    async with replica(redis_server, prefix) as one, replica(redis_server, prefix) as other:
        seen: list[list[tuple[str, int, int]]] = [[], []]
        for each, heard in zip((one, other), seen, strict=True):
            each.log.listeners.entries.append(
                lambda entry, to=heard: to.append((entry.draft.uid, entry.seq, entry.gseq))
            )
        work = [append(each, *ticks(f"{name}-{n}", *range(1, 11))) for name, each in (("a", one), ("b", other))
                for n in range(5)]  # fmt: skip
        await asyncio.gather(*work)
        await until(lambda: len(seen[0]) == len(seen[1]) == 100, "both have heard all")
    assert seen[0] == seen[1]
    assert [gseq for _, _, gseq in seen[0]] == list(range(1, 101))
    for uid in {uid for uid, _, _ in seen[0]}:
        assert [seq for of, seq, _ in seen[0] if of == uid] == list(range(1, 11))


async def test_a_log_that_went_back_is_made_anew(redis_server: RedisServer) -> None:
    prefix = a_prefix()
    async with replica(redis_server, prefix) as one, replica(redis_server, prefix) as other:
        await append(one, *ticks("u", 1, 2))
        epoch = one.log.epoch
        with redis_server.client() as client:
            early = take(client, prefix)
            await append(one, *ticks("u", 3))
            await until(lambda: other.log.head(None) == 3, "both have heard it")
            put(client, early, prefix)
        await until(lambda: one.log.epoch == other.log.epoch != epoch, "both have another epoch")
        assert one.log.since(None, position=3, epoch=epoch).verdict == "epoch"


async def test_a_log_that_went_back_and_was_written_since_is_made_anew(redis_server: RedisServer) -> None:
    """A failover loses writes, and others write before we are back: the numbers fit, the history does not."""
    prefix, elsewhere = a_prefix(), a_prefix()
    async with replica(redis_server, prefix) as one:
        await append(one, *ticks("u", 1, 2))
        epoch = one.log.epoch
        with redis_server.client() as client:
            put(client, take(client, prefix), elsewhere)
            async with replica(redis_server, elsewhere) as other:
                assert other.log.epoch == epoch
                await append(other, *ticks("u", 3, 4))
            await append(one, *ticks("u", 3))
            put(client, take(client, elsewhere), prefix)
        await until(lambda: one.log.epoch != epoch, "the other history is noticed")
    assert one.begins == 2


async def test_an_append_to_a_lost_log_is_not_acknowledged(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(eventlog_redis, "IDLE_SECONDS", 2.0)  # the append comes before it is noticed
    prefix = a_prefix()
    async with replica(redis_server, prefix) as one:
        await append(one, *ticks("u", 1))
        with redis_server.client() as client:
            client.delete(f"{prefix}:events")
        with pytest.raises(LogUnavailableError, match="begins anew"):
            await one.log.append(ticks("u", 2)[0])
        await until(lambda: one.begins == 2, "it is begun anew")
        await append(one, *ticks("u", 2))


async def test_a_lost_log_is_noticed_although_notes_keep_coming(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(eventlog_redis, "IDLE_SECONDS", 0.5)  # no pause between two notes is so long
    prefix = a_prefix()
    async with replica(redis_server, prefix) as one:
        await append(one, *ticks("u", 1))
        beat = Heartbeat(leader=True, queue_depth=0, running=0, slots=4, watch_age_seconds=0.5, ts=NOW)

        async def chatter() -> None:
            while True:
                await asyncio.sleep(0.001)
                with contextlib.suppress(LogUnavailableError):
                    await one.log.tell(HeartbeatHeard(heartbeat=beat, instance="op-1", epoch=0, at=NOW))

        chatting = asyncio.create_task(chatter())
        with redis_server.client() as client:
            client.delete(f"{prefix}:events")
        try:
            await until(lambda: one.begins == 2, "it is begun anew")
        finally:
            chatting.cancel()
            await asyncio.gather(chatting, return_exceptions=True)


async def test_a_replica_that_fell_behind_what_is_kept_begins_with_the_state_of_today(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    prefix = a_prefix()
    async with replica(redis_server, prefix) as slow, replica(redis_server, prefix) as quick:
        await append(quick, state("gone"), state("stays"))
        await until(lambda: slow.log.head(None) == 2, "both have heard it")

        async def cut(*_: object, **__: object) -> None:
            raise redis.ConnectionError("cut")

        with monkeypatch.context() as patch:
            patch.setattr(slow.log._redis, "xread", cut)
            await until(lambda: not slow.log.state.is_live, "the cut is noticed")
            await append(quick, Draft("gone", "default", "gone", NOW, None), *ticks("stays", *range(1, 20)))
            with redis_server.client() as client:
                client.xtrim(f"{prefix}:events", minid="15-0", approximate=False)
        await until(lambda: slow.log.head(None) == 22, "it is there again")
        assert slow.begins == 2
        assert slow.log.epoch == quick.log.epoch
        assert [draft.uid for draft in slow.states] == ["stays"]
        assert slow.log.since(None, position=2, epoch=slow.log.epoch).verdict == "too_old"
        assert slow.log.since(None, position=18, epoch=slow.log.epoch).recovered


async def test_what_redis_keeps_is_bounded_and_nothing_is_left_of_a_task_but_that_it_is_gone(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(eventlog_redis, "TRIM_SECONDS", 0.0)
    prefix = a_prefix()
    async with replica(redis_server, prefix, events=10) as one:
        await append(one, state("u"), *ticks("u", *range(1, 40)), Draft("u", "default", "u", NOW, None))
        with redis_server.client() as client:
            await until(lambda: client.xlen(f"{prefix}:events") <= 10, "the stream is trimmed")
            kept = set(client.hkeys(f"{prefix}:log"))
            keys = set(client.keys(f"{prefix}:*"))
            gone = client.zrange(f"{prefix}:gone", 0, -1)
    assert kept == {b"epoch", b"gseq"}
    assert keys == {f"{prefix}:{name}".encode() for name in ("log", "events", "gone")}
    assert gone == [b"u"]


async def test_a_client_that_is_ahead_of_this_replica_is_waited_for(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    prefix = a_prefix()
    async with replica(redis_server, prefix) as behind, replica(redis_server, prefix) as ahead:
        read = behind.log._redis.xread

        async def late(*places: Any, **options: Any) -> Any:
            found = await read(*places, **options)
            await asyncio.sleep(0.2 if found else 0)
            return found

        monkeypatch.setattr(behind.log._redis, "xread", late)
        await asyncio.sleep(0.05)  # the read that is under way is not a late one
        await append(ahead, *ticks("u", 1, 2))
        assert behind.log.since(None, position=2, epoch=ahead.log.epoch).verdict == "future"
        await behind.log.catch_up(None, position=2, epoch=ahead.log.epoch)
        assert behind.log.since(None, position=2, epoch=ahead.log.epoch).recovered


async def test_an_event_that_cannot_be_read_makes_the_replica_unready_and_kills_nothing(
    redis_server: RedisServer,
) -> None:
    prefix = a_prefix()
    async with replica(redis_server, prefix) as one:
        await append(one, *ticks("u", 1))
        with redis_server.client() as client:
            _, fields = client.xrevrange(f"{prefix}:events", count=1)[0]
            odd = {**fields, b"draft": b"{}", b"after": fields[b"mark"], b"seq": b"2"}
            client.xadd(f"{prefix}:events", odd, id="2-0")
            client.hset(f"{prefix}:log", "gseq", 2)
            await until(lambda: not one.log.state.is_live, "it is not followed")
            with pytest.raises(LogUnavailableError):
                one.log.check()
            client.delete(f"{prefix}:events")
        await until(lambda: one.log.state.is_live, "it is followed again")
