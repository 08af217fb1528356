"""Several replicas over a real Redis: what one is told all show, and what happens to Redis nobody misses silently."""

import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from builders import a_task_object
from fakes.redis_server import RedisServer, a_redis
from fakes.reviews import Known, ReviewingApi
from fakes.task_api import FakeTaskApi
from repack_dashboard import eventlog_redis
from running_dashboard import (
    SENDER,
    Dashboard,
    a_dashboard,
    close_code,
    eventually,
    from_operator,
    from_worker,
    heartbeat,
    logged,
    messages,
    next_message,
    observed,
    progressed,
    until,
)

PASSWORD = "the-password-of-the-redis"
INGEST = "/api/v1/ingest/events"


@pytest.fixture
def redis_server() -> Iterator[RedisServer]:
    with a_redis(password=PASSWORD) as server:
        yield server


@contextlib.asynccontextmanager
async def two(folder: Path, server: RedisServer, api: FakeTaskApi, **settings: Any) -> AsyncIterator[list[Dashboard]]:
    """Two replicas with the same volume, Redis and cluster."""
    async with (
        a_dashboard(folder, api=api, redis_url=server.url, **settings) as one,
        a_dashboard(folder, api=api, redis_url=server.url, **settings) as other,
    ):
        yield [one, other]


async def is_ready(dashboard: Dashboard) -> bool:
    return (await dashboard.http.get("/readyz")).status_code == 200


async def reasons(dashboard: Dashboard) -> list[str]:
    found: list[str] = (await dashboard.http.get("/readyz")).json()["reasons"]
    return found


def running(sequence: int) -> dict[str, Any]:
    return observed(a_task_object(status={"sequence": sequence, "phase": "Running"}))


async def test_what_one_replica_is_told_shows_on_the_other_live_and_later(
    tmp_path: Path, api: FakeTaskApi, redis_server: RedisServer
) -> None:
    async with two(tmp_path, redis_server, api) as (one, other):
        async with other.socket("/ws/tasks/uid-1?v=1") as task, other.socket("/ws/tasks?v=1") as everything:
            await messages(task, 2)
            hello, _ = await messages(everything, 2)
            await one.ingest(from_operator(running(1), heartbeat()))
            await one.ingest(from_worker("uid-1", progressed(1), logged(1, 2)))
            told = await messages(task, 3)
            seen = await messages(everything, 3)
        view = (await other.http.get("/api/v1/tasks/uid-1")).json()
        page = (await other.http.get("/api/v1/tasks/uid-1/log")).json()
        health = (await other.http.get("/api/v1/operator")).json()
    assert sorted(message["type"] for message in told) == ["task.log", "task.progress", "task.status"]
    numbers = [message["gseq"] for message in seen if message["type"] != "operator.health"]
    assert numbers == [hello["seq"] + 1, hello["seq"] + 2]
    assert "operator.health" in {message["type"] for message in seen}
    assert (view["status"]["phase"], view["progress"]["tick"]) == ("Running", 1)
    assert [line["n"] for line in page["items"]] == [1, 2]
    assert health["state"] == "Healthy"


async def test_a_batch_that_two_replicas_take_is_taken_once(
    tmp_path: Path, api: FakeTaskApi, redis_server: RedisServer
) -> None:
    async with two(tmp_path, redis_server, api) as (one, other):
        batch = from_worker("uid-1", progressed(1), logged(1, 2))
        first, again = await one.ingest(batch), await other.ingest(batch)
        more = await other.ingest(from_worker("uid-1", logged(2, 3), batch=2))
        late = await one.ingest(from_worker("uid-1", logged(3, 4), batch=3))
        pages = [(await each.http.get("/api/v1/tasks/uid-1/log")).json() for each in (one, other)]
    assert (first["accepted"], again["accepted"], more["accepted"], late["accepted"]) == (2, 0, 1, 1)
    assert [[line["n"] for line in page["items"]] for page in pages] == [[1, 2, 3, 4]] * 2
    assert first["instance"] == again["instance"]  # else the operator would send everything with every change


async def test_a_client_resumes_on_the_other_replica(
    tmp_path: Path, api: FakeTaskApi, redis_server: RedisServer
) -> None:
    async with two(tmp_path, redis_server, api) as (one, other):
        async with one.socket("/ws/tasks?v=1") as socket:
            hello, _ = await messages(socket, 2)
        for tick in range(1, 4):
            await (one, other)[tick % 2].ingest(from_worker("uid-1", progressed(tick), batch=tick))
        where = f"since={hello['seq']}&epoch={hello['epoch']}"
        async with other.socket(f"/ws/tasks?v=1&{where}") as socket:
            again, *replayed = await messages(socket, 4)
        async with one.socket("/ws/tasks/uid-1?v=1") as socket:
            await messages(socket, 2)
    assert (again["recovered"], again["replayed"], again["epoch"]) == (True, 3, hello["epoch"])
    assert [event["data"]["tick"] for event in replayed] == [1, 2, 3]


async def test_a_replica_that_starts_later_replays_what_was_before_it(
    tmp_path: Path, api: FakeTaskApi, redis_server: RedisServer
) -> None:
    async with a_dashboard(tmp_path, api=api, redis_url=redis_server.url) as one:
        async with one.socket("/ws/tasks?v=1") as socket:
            hello, _ = await messages(socket, 2)
        await one.ingest(from_worker("uid-1", progressed(1), progressed(2)))
    where = f"since={hello['seq']}&epoch={hello['epoch']}"
    async with (
        a_dashboard(tmp_path, api=api, redis_url=redis_server.url) as later,
        later.socket(f"/ws/tasks?v=1&{where}") as socket,
    ):
        again, *replayed = await messages(socket, 3)
    assert (again["recovered"], [event["gseq"] for event in replayed]) == (True, [hello["seq"] + 1, hello["seq"] + 2])


async def test_redis_that_comes_back_with_its_data_is_no_event_for_browsers(
    tmp_path: Path, api: FakeTaskApi, redis_server: RedisServer
) -> None:
    async with two(tmp_path, redis_server, api) as (one, other), other.socket("/ws/tasks?v=1") as socket:
        hello, _ = await messages(socket, 2)
        redis_server.kill()
        await until(lambda: not one.services.log.state.is_live, "the loss is noticed")
        batch = from_worker("uid-1", progressed(1), logged(1))
        refused = await one.http.post(INGEST, json=batch, headers=SENDER)
        down = await reasons(one)
        stats = (await one.http.get("/stats")).text
        redis_server.start()
        await eventually(lambda: is_ready(one), "it is followed again")
        taken = await one.ingest(batch)
        event = await next_message(socket)
        up = await one.metric("repack_dashboard_event_log_up")
    assert (refused.status_code, refused.headers["retry-after"], refused.json()["reason"]) == (503, "1", "Unavailable")
    assert down == ["event-log-unreachable"]
    assert "event log: redis, epoch " in stats
    assert "not live: Redis:" in stats
    assert PASSWORD not in stats + refused.text
    assert taken["accepted"] == 2
    assert (event["gseq"], event["epoch"]) == (hello["seq"] + 1, hello["epoch"])
    assert up == 1


async def test_redis_that_hangs_is_noticed_and_nobody_waits_for_it_for_ever(
    tmp_path: Path, api: FakeTaskApi, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(eventlog_redis, "ANSWER_SECONDS", 1.5)
    async with a_dashboard(tmp_path, api=api, redis_url=redis_server.url) as dashboard:
        epoch = dashboard.services.log.epoch
        batch = from_worker("uid-1", progressed(1))
        redis_server.hang()
        refused = await dashboard.http.post(INGEST, json=batch, headers=SENDER)
        await until(lambda: not dashboard.services.log.state.is_live, "it is noticed")
        redis_server.go_on()
        await eventually(lambda: is_ready(dashboard), "it is followed again")
        await dashboard.ingest(batch)  # whether the first one got there or not
        async with dashboard.socket("/ws/tasks/uid-1?v=1") as socket:
            _, snapshot = await messages(socket, 2)
    assert refused.status_code == 503
    assert (snapshot["data"]["progress"]["tick"], snapshot["epoch"], snapshot["seq"]) == (1, epoch, 2)


@pytest.mark.parametrize("loss", ["data", "stream", "epoch"])
async def test_a_log_that_is_lost_begins_anew_and_every_client_is_told(
    tmp_path: Path, api: FakeTaskApi, redis_server: RedisServer, loss: str
) -> None:
    async with two(tmp_path, redis_server, api) as replicas:
        async with contextlib.AsyncExitStack() as stack:
            sockets = [await stack.enter_async_context(each.socket("/ws/tasks?v=1")) for each in replicas]
            hello = (await messages(sockets[0], 2))[0]
            acknowledged = await replicas[0].ingest(from_worker("uid-1", progressed(7)))
            lose(redis_server, loss)
            codes = [await close_code(socket) for socket in sockets]
        where = f"since={hello['seq'] + 1}&epoch={hello['epoch']}"
        for replica in replicas:
            await eventually(lambda to=replica: is_ready(to), "it is followed again")
        async with replicas[1].socket(f"/ws/tasks?v=1&{where}") as socket:
            again, snapshot = await messages(socket, 2)
            # what was sent while nobody could take it comes again, and numbers go on in the new epoch
            after = await replicas[0].ingest(from_worker("uid-1", progressed(8), batch=2))
            event = await next_message(socket)
    assert codes == [4010, 4010]
    assert (again["recovered"], again["epoch"] != hello["epoch"]) == (False, True)
    assert [entry["task_id"] for entry in snapshot["data"]] == ["uid-1"]
    assert snapshot["data"][0]["data"]["progress"]["tick"] == 7
    assert acknowledged["instance"] != after["instance"]  # so that operator and workers send again what they have
    assert (event["gseq"], event["data"]["tick"]) == (snapshot["gseq"] + 1, 8)


async def test_a_user_of_one_namespace_is_not_sent_away_for_good_when_the_log_is_lost(
    tmp_path: Path, redis_server: RedisServer
) -> None:
    tasks = FakeTaskApi()
    tasks.put(a_task_object(namespace="mine"))
    cluster = ReviewingApi(tasks)
    cluster.tokens = {"ann": Known("ann")}
    cluster.allow("ann", "list", namespace="mine")
    settings = {"auth_mode": "kubernetes", "auth_recheck_seconds": 0.05, "redis_url": redis_server.url}
    ann = {"Authorization": "Bearer ann"}
    async with (
        a_dashboard(tmp_path, api=cluster, **settings) as dashboard,
        dashboard.socket("/ws/tasks?v=1", additional_headers=ann) as socket,
    ):
        await messages(socket, 2)
        lose(redis_server, "stream")
        assert await close_code(socket) == 4010


def lose(server: RedisServer, what: str) -> None:
    if what == "data":
        server.kill(with_data=True)
        server.start()
        return
    with server.client() as redis:
        if what == "stream":
            redis.delete("dify-repack:events")
        else:
            redis.hdel("dify-repack:log", "epoch")


async def test_a_replica_that_starts_without_redis_says_so_lets_nobody_in_and_heals(
    tmp_path: Path, api: FakeTaskApi, redis_server: RedisServer
) -> None:
    redis_server.kill()
    async with a_dashboard(tmp_path, api=api, redis_url=redis_server.url) as dashboard:
        before = await reasons(dashboard)
        async with dashboard.socket("/ws/tasks?v=1") as socket:
            code = await close_code(socket)
        redis_server.start()
        await eventually(lambda: is_ready(dashboard), "it is followed")
        async with dashboard.socket("/ws/tasks?v=1") as socket:
            hello, snapshot = await messages(socket, 2)
    assert before == ["event-log-unreachable", "tasks-not-listed"]
    assert code == 1013
    assert (hello["recovered"], len(snapshot["data"])) == (False, 1)


async def test_a_task_that_is_created_while_redis_is_down_is_created_and_shows_afterwards(
    tmp_path: Path, api: FakeTaskApi, redis_server: RedisServer
) -> None:
    async with a_dashboard(tmp_path, api=api, redis_url=redis_server.url, relist_seconds=0.2) as dashboard:
        redis_server.kill()
        await until(lambda: not dashboard.services.log.state.is_live, "the loss is noticed")
        spec = a_task_object()["spec"]
        made = await dashboard.http.post("/api/v1/tasks", json={"name": "meanwhile", "spec": spec})
        redis_server.start()

        async def is_shown() -> bool:
            return len((await dashboard.http.get("/api/v1/tasks")).json()["items"]) == 2

        await eventually(is_shown, "the next list tells it")
    assert (made.status_code, made.json()["name"]) == (201, "meanwhile")


async def test_a_wrong_password_is_told_without_the_right_one(
    tmp_path: Path, api: FakeTaskApi, redis_server: RedisServer, capfd: pytest.CaptureFixture[str]
) -> None:
    url = redis_server.url.replace(PASSWORD, "another-secret-word")
    async with a_dashboard(tmp_path, api=api, redis_url=url) as dashboard:
        stats = (await dashboard.http.get("/stats")).text
    captured = capfd.readouterr()
    assert "invalid username-password pair" in stats
    assert "another-secret-word" not in stats + captured.out + captured.err
