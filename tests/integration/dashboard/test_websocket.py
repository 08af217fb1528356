"""The WebSocket over a real socket, with a real client: what comes, in which order, and how it goes on."""

import asyncio
import json
from pathlib import Path

import pytest
from websockets.exceptions import InvalidStatus

from builders import a_task_object
from fakes.task_api import FakeTaskApi
from running_dashboard import (
    Dashboard,
    a_dashboard,
    close_code,
    from_operator,
    from_worker,
    heartbeat,
    logged,
    messages,
    next_message,
    observed,
    progressed,
    removed,
    until,
)


def running(sequence: int, **parts: object) -> dict[str, object]:
    return a_task_object(status={"sequence": sequence, "phase": "Running", "attempt": 1}, **parts)  # type: ignore[arg-type]


async def test_a_new_client_gets_hello_and_snapshot_and_then_every_event_in_sequence(dashboard: Dashboard) -> None:
    async with dashboard.socket("/ws/tasks?v=1") as socket:
        hello, snapshot = await messages(socket, 2)
        for sequence in (1, 2, 3):
            await dashboard.ingest(from_operator(observed(running(sequence)), batch=sequence))
        events = await messages(socket, 3)

    assert hello["type"] == "hello"
    assert hello["recovered"] is False
    assert snapshot["type"] == "snapshot"
    assert snapshot["task_id"] is None
    assert [entry["name"] for entry in snapshot["data"]] == ["demo"]
    assert [event["gseq"] for event in events] == [snapshot["gseq"] + n for n in (1, 2, 3)]
    assert [event["seq"] for event in events] == [snapshot["data"][0]["seq"] + n for n in (1, 2, 3)]
    assert {event["epoch"] for event in events} == {hello["epoch"]}
    assert [event["data"]["status"]["sequence"] for event in events] == [1, 2, 3]


async def test_one_tasks_channel_carries_its_status_progress_and_log_and_nobody_elses(dashboard: Dashboard) -> None:
    other = a_task_object(uid="uid-2", name="other")
    async with dashboard.socket("/ws/tasks/uid-1?v=1") as socket:
        hello, snapshot = await messages(socket, 2)
        await dashboard.ingest(from_operator(observed(other)))
        await dashboard.ingest(from_worker("uid-1", progressed(1, percent=10), logged(1, 2)))
        progress, log = await messages(socket, 2)

    assert (hello["seq"], snapshot["seq"]) == (1, 1)
    assert snapshot["data"]["uid"] == "uid-1"
    assert (progress["type"], progress["seq"], progress["data"]["percent"]) == ("task.progress", 2, 10)
    assert log["type"] == "task.log"
    assert [line["n"] for line in log["data"]["lines"]] == [1, 2]
    assert "seq" not in log


async def test_a_client_that_comes_back_gets_exactly_what_it_missed(dashboard: Dashboard) -> None:
    async with dashboard.socket("/ws/tasks?v=1") as socket:
        hello, _ = await messages(socket, 2)
    for sequence in (1, 2):
        await dashboard.ingest(from_operator(observed(running(sequence)), batch=sequence))

    async with dashboard.socket(f"/ws/tasks?v=1&since={hello['seq']}&epoch={hello['epoch']}") as socket:
        again, *missed = await messages(socket, 3)

    assert (again["recovered"], again["replayed"]) == (True, 2)
    assert [event["data"]["status"]["sequence"] for event in missed] == [1, 2]


async def test_a_client_that_missed_nothing_is_recovered_with_nothing(dashboard: Dashboard) -> None:
    async with dashboard.socket("/ws/tasks/uid-1?v=1") as socket:
        hello, _ = await messages(socket, 2)
    async with dashboard.socket(f"/ws/tasks/uid-1?v=1&since={hello['seq']}&epoch={hello['epoch']}") as socket:
        again = await next_message(socket)
    assert (again["recovered"], again["replayed"]) == (True, 0)


@pytest.mark.parametrize(
    ("position", "verdict"),
    [("since=0&epoch=another", "epoch"), ("since=999&epoch={epoch}", "future"), ("since=0&epoch={epoch}", "too_old")],
)
async def test_a_position_that_cannot_be_served_is_answered_by_an_honest_snapshot(
    tmp_path: Path, api: FakeTaskApi, position: str, verdict: str
) -> None:
    async with a_dashboard(tmp_path, api=api, ring_events=2) as dashboard:
        for sequence in range(1, 5):
            await dashboard.ingest(from_operator(observed(running(sequence)), batch=sequence))
        query = position.format(epoch=dashboard.services.log.epoch)
        async with dashboard.socket(f"/ws/tasks?v=1&{query}") as socket:
            hello, snapshot = await messages(socket, 2)
        assert await dashboard.metric(f'repack_ws_resume_total{{result="{verdict}"}}') == 1

    assert hello["recovered"] is False
    assert snapshot["data"][0]["data"]["status"]["sequence"] == 4


async def test_a_subscription_fills_a_hole_without_a_new_connection(dashboard: Dashboard) -> None:
    async with dashboard.socket("/ws/tasks?v=1") as socket:
        hello, _ = await messages(socket, 2)
        await dashboard.ingest(from_operator(observed(running(1))))
        event = await next_message(socket)
        wish = {"type": "subscribe", "id": 5, "channel": "tasks", "since": event["gseq"] - 1, "epoch": hello["epoch"]}
        await socket.send(json.dumps(wish))
        answer, repeated = await messages(socket, 2)

    assert (answer["type"], answer["id"], answer["recovered"], answer["replayed"]) == ("subscribed", 5, True, 1)
    assert repeated == event


async def test_one_connection_can_hear_all_tasks_and_the_log_of_one(dashboard: Dashboard) -> None:
    async with dashboard.socket("/ws/tasks?v=1") as socket:
        await messages(socket, 2)
        await socket.send(json.dumps({"type": "subscribe", "id": 1, "channel": "task:uid-1"}))
        answer, snapshot = await messages(socket, 2)
        await dashboard.ingest(from_worker("uid-1", progressed(1), logged(1)))
        progress, log = await messages(socket, 2)
        await socket.send(json.dumps({"type": "unsubscribe", "id": 2, "channel": "task:uid-1"}))
        left = await next_message(socket)
        await dashboard.ingest(from_worker("uid-1", logged(2), progressed(2), batch=2))
        after = await next_message(socket)

    assert (answer["type"], snapshot["type"]) == ("subscribed", "snapshot")
    assert (progress["type"], log["type"]) == ("task.progress", "task.log")  # one event is one frame, not two
    assert left == {"v": 1, "type": "unsubscribed", "id": 2, "channel": "task:uid-1"}
    assert after["type"] == "task.progress"


async def test_a_clients_ping_is_answered_with_its_id(dashboard: Dashboard) -> None:
    async with dashboard.socket("/ws/tasks?v=1") as socket:
        await messages(socket, 2)
        await socket.send('{"type":"ping","id":7}')
        assert await next_message(socket) == {"type": "pong", "id": 7}


async def test_the_server_pings_and_measures_the_pong(tmp_path: Path, api: FakeTaskApi) -> None:
    async with a_dashboard(tmp_path, api=api, heartbeat_interval=0.2) as dashboard:
        async with dashboard.socket("/ws/tasks?v=1") as socket, asyncio.timeout(10):
            while (message := json.loads(await socket.recv()))["type"] != "ping":
                pass
            await socket.send(json.dumps({"type": "pong", "id": message["id"]}))
            await socket.send('{"type":"ping","id":1}')
            while json.loads(await socket.recv())["type"] != "pong":
                pass
        assert await dashboard.metric("repack_ws_ping_rtt_seconds_count") == 1


async def test_a_client_of_the_base_contract_gets_states_and_pongs_and_nothing_new(dashboard: Dashboard) -> None:
    async with dashboard.socket("/ws/tasks/uid-1") as socket:
        now = await next_message(socket)
        await socket.send('{"type":"ping"}')
        pong = await next_message(socket)
        await dashboard.ingest(from_worker("uid-1", progressed(1), logged(1)))
        await socket.send('{"type":"subscribe","channel":"tasks"}')
        await dashboard.ingest(from_operator(observed(running(1))))
        event = await next_message(socket)

    assert (now["type"], now["data"]["name"]) == ("task.status", "demo")
    assert pong == {"type": "pong"}
    assert (event["type"], event["data"]["status"]["phase"]) == ("task.status", "Running")


async def test_the_subprotocol_asks_for_version_1_too_and_is_answered(dashboard: Dashboard) -> None:
    async with dashboard.socket("/ws/tasks", subprotocols=["taskws.v1"]) as socket:  # type: ignore[list-item]
        assert socket.subprotocol == "taskws.v1"
        assert (await next_message(socket))["type"] == "hello"


@pytest.mark.parametrize(("path", "code"), [("/ws/tasks/nobody?v=1", 4504), ("/ws/tasks?v=2", 4506)])
async def test_what_cannot_be_served_is_closed_with_a_terminal_code(dashboard: Dashboard, path: str, code: int) -> None:
    async with dashboard.socket(path) as socket:
        assert await close_code(socket) == code


async def test_a_task_that_is_newer_than_our_list_is_found(dashboard: Dashboard) -> None:
    dashboard.api.put(a_task_object(uid="uid-new", name="new"))
    async with dashboard.socket("/ws/tasks/uid-new?v=1") as socket:
        _, snapshot = await messages(socket, 2)
    assert snapshot["name"] == "new"


async def test_a_deleted_task_is_announced_once(dashboard: Dashboard) -> None:
    async with dashboard.socket("/ws/tasks?v=1") as socket:
        await messages(socket, 2)
        await dashboard.ingest(from_operator(removed("uid-1"), removed("uid-1"), heartbeat()))
        gone, health = await messages(socket, 2)
    assert (gone["type"], gone["task_id"]) == ("task.deleted", "uid-1")
    assert (health["type"], health["data"]["state"]) == ("operator.health", "Healthy")


async def test_the_page_of_another_site_may_not_connect(dashboard: Dashboard) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with dashboard.socket("/ws/tasks?v=1", origin="https://elsewhere.test"):  # type: ignore[arg-type]
            pass
    assert refused.value.response.status_code == 403
    async with dashboard.socket("/ws/tasks?v=1", origin=f"http://{dashboard.address}") as socket:  # type: ignore[arg-type]
        assert (await next_message(socket))["type"] == "hello"


async def test_a_client_that_talks_too_much_is_told_to_come_back_later(dashboard: Dashboard) -> None:
    async with dashboard.socket("/ws/tasks?v=1") as socket:
        for _ in range(60):
            await socket.send('{"type":"ping"}')
        assert await close_code(socket) == 4013


async def test_a_message_above_the_limit_closes_with_1009(dashboard: Dashboard) -> None:
    async with dashboard.socket("/ws/tasks?v=1") as socket:
        await messages(socket, 2)
        await socket.send(json.dumps({"type": "ping", "x": "y" * 70_000}))
        assert await close_code(socket) == 1009


async def test_nonsense_is_answered_and_the_connection_stays(dashboard: Dashboard) -> None:
    async with dashboard.socket("/ws/tasks?v=1") as socket:
        await messages(socket, 2)
        for nonsense in ("not json", "[" * 3000, '{"type":"dance"}', b"\xff\xfe"):
            await socket.send(nonsense)
            answer = await next_message(socket)
            assert (answer["type"], answer["code"], answer["fatal"]) == ("error", "bad_message", False)
        await socket.send('{"type":"subscribe","id":3,"channel":"task:nobody"}')
        assert (await next_message(socket))["code"] == "unknown_task"


async def test_the_number_of_connections_is_bounded(tmp_path: Path, api: FakeTaskApi) -> None:
    async with a_dashboard(tmp_path, api=api, max_connections=1) as dashboard:
        async with dashboard.socket("/ws/tasks?v=1") as first:
            await messages(first, 2)
            async with dashboard.socket("/ws/tasks?v=1") as second:
                assert await close_code(second) == 4029
        await until(lambda: len(dashboard.services.hub) == 0, "the first client is forgotten")
