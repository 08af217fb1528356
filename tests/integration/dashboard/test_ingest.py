"""What operator and workers send is taken once, acknowledged always, and never lost for being early."""

from pathlib import Path

import pytest

from builders import a_task_object
from fakes.task_api import FakeTaskApi
from repack_kube.errors import UnavailableError
from running_dashboard import (
    SENDER,
    Dashboard,
    a_dashboard,
    from_operator,
    from_worker,
    heartbeat,
    logged,
    messages,
    moment,
    next_message,
    observed,
    progressed,
    removed,
)

EVENTS = "/api/v1/ingest/events"


@pytest.mark.parametrize("header", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic abc"}])
async def test_without_the_token_nothing_is_taken(dashboard: Dashboard, header: dict[str, str]) -> None:
    answer = await dashboard.http.post(EVENTS, json=from_operator(heartbeat()), headers=header)
    assert (answer.status_code, answer.json()["reason"]) == (401, "Unauthorized")
    assert answer.headers["content-type"] == "application/problem+json"
    assert (await dashboard.http.get("/api/v1/operator")).json() == {"state": "Unknown"}


async def test_a_repeated_batch_changes_nothing_and_is_acknowledged(dashboard: Dashboard) -> None:
    batch = from_worker("uid-1", progressed(1), logged(1, 2))
    first, second = await dashboard.ingest(batch), await dashboard.ingest(batch)
    assert (first["accepted"], first["duplicates"]) == (2, 0)
    assert (second["accepted"], second["duplicates"]) == (0, 2)
    assert first["instance"] == second["instance"]
    assert len((await dashboard.http.get("/api/v1/tasks/uid-1/log")).json()["items"]) == 2


async def test_states_that_come_out_of_order_never_go_back(dashboard: Dashboard) -> None:
    newer = a_task_object(status={"sequence": 5, "phase": "Succeeded"})
    older = a_task_object(status={"sequence": 4, "phase": "Running"})
    await dashboard.ingest(from_operator(observed(newer), batch=1))
    await dashboard.ingest(from_operator(observed(older), batch=2))
    assert (await dashboard.http.get("/api/v1/tasks/uid-1")).json()["status"]["phase"] == "Succeeded"


async def test_a_task_that_is_gone_does_not_come_back_by_a_late_message(dashboard: Dashboard) -> None:
    await dashboard.ingest(from_operator(removed("uid-1"), batch=1))
    await dashboard.ingest(from_operator(observed(a_task_object(status={"sequence": 9})), batch=2))
    assert (await dashboard.http.get("/api/v1/tasks/uid-1")).status_code == 404


async def test_the_heartbeats_acknowledgement_brings_the_progress_once_and_again_when_it_is_repeated(
    dashboard: Dashboard,
) -> None:
    await dashboard.ingest(from_worker("uid-1", progressed(1, percent=5), progressed(2, percent=40)))
    first = await dashboard.ingest(from_operator(heartbeat(), batch=1))
    repeated = await dashboard.ingest(from_operator(heartbeat(), batch=1))
    after = await dashboard.ingest(from_operator(heartbeat(), batch=2))
    assert first["progress"] == [{"uid": "uid-1", "attempt": 1, "percent": 40, "step": "Download"}]
    assert repeated == first
    assert after["progress"] == []


async def test_a_worker_may_be_earlier_than_our_list(dashboard: Dashboard) -> None:
    dashboard.api.put(a_task_object(uid="uid-new", name="new"))
    ack = await dashboard.ingest(from_worker("uid-new", progressed(1), logged(1)))
    assert ack["accepted"] == 2
    assert (await dashboard.http.get("/api/v1/tasks/uid-new")).json()["progress"]["tick"] == 1


async def test_while_the_cluster_cannot_be_asked_an_unknown_workers_batch_is_not_acknowledged(
    dashboard: Dashboard,
) -> None:
    dashboard.api.broken = UnavailableError("no route")
    answer = await dashboard.http.post(EVENTS, json=from_worker("uid-new", logged(1)), headers=SENDER)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")


async def test_the_batch_of_a_task_that_does_not_exist_is_acknowledged_and_dropped(dashboard: Dashboard) -> None:
    ack = await dashboard.ingest(from_worker("uid-none", logged(1)))
    assert (ack["accepted"], ack["duplicates"]) == (0, 1)


async def test_the_operators_snapshot_makes_us_look_and_removes_what_is_gone(dashboard: Dashboard) -> None:
    dashboard.api.objects.clear()
    dashboard.api.put(a_task_object(uid="uid-2", name="other"))
    await dashboard.ingest(from_operator({"kind": "snapshot", "uids": ["uid-2"], "ts": moment()}))
    items = (await dashboard.http.get("/api/v1/tasks")).json()["items"]
    assert [item["uid"] for item in items] == ["uid-2"]


async def test_progress_is_only_replaced_by_later_progress(dashboard: Dashboard) -> None:
    for attempt, tick, percent in ((1, 9, 90), (1, 8, 80), (2, 1, 1)):
        event = progressed(tick, percent=percent, attempt=attempt)
        await dashboard.ingest(from_worker("uid-1", event, attempt=attempt))
    assert (await dashboard.http.get("/api/v1/tasks/uid-1")).json()["progress"]["attempt"] == 2


async def test_fields_and_kinds_of_a_newer_sender(dashboard: Dashboard) -> None:
    newer = a_task_object(status={"sequence": 1, "phase": "Running"}, spec={"somethingNew": {"a": 1}})
    assert (await dashboard.ingest(from_operator(observed(newer))))["accepted"] == 1
    nonsense = await dashboard.http.post(EVENTS, json={"sender": "operator"}, headers=SENDER)
    assert (nonsense.status_code, nonsense.headers["content-type"]) == (422, "application/problem+json")


async def test_an_event_that_cannot_be_read_does_not_hold_up_the_others(dashboard: Dashboard) -> None:
    odd = a_task_object(uid="uid-odd", spec={"targets": "everything"})
    good = a_task_object(uid="uid-good", name="good")
    ack = await dashboard.ingest(from_operator(observed(odd), {"kind": "of-tomorrow"}, observed(good), heartbeat()))
    assert ack["accepted"] == 2
    assert (await dashboard.http.get("/api/v1/tasks/uid-good")).status_code == 200
    assert await dashboard.metric('repack_ingest_events_total{kind="unknown",result="unreadable"}') == 2


async def test_the_whole_log_replaces_the_spool(dashboard: Dashboard) -> None:
    await dashboard.ingest(from_worker("uid-1", logged(1, 3)))
    lines = "\n".join(f'{{"n":{n},"ts":"2026-11-23T06:00:00Z","text":"whole {n}"}}' for n in (1, 2, 3))
    path = "/api/v1/ingest/logs/uid-1/1"
    assert (await dashboard.http.put(path, content=lines, headers=SENDER)).status_code == 204
    page = (await dashboard.http.get("/api/v1/tasks/uid-1/log")).json()
    text = (await dashboard.http.get("/api/v1/tasks/uid-1/log.txt")).text
    assert [line["text"] for line in page["items"]] == ["whole 1", "whole 2", "whole 3"]
    assert (page["complete"], page["last"], page["attempts"]) == (True, 3, [1])
    assert text.splitlines()[1] == "2026-11-23T06:00:00Z info    -        whole 2"


async def test_a_log_beyond_memory_is_read_from_the_file(dashboard: Dashboard) -> None:
    for start in range(1, 3001, 1000):
        await dashboard.ingest(from_worker("uid-1", logged(*range(start, start + 1000)), batch=start))
    tail = (await dashboard.http.get("/api/v1/tasks/uid-1/log?limit=5")).json()
    old = (await dashboard.http.get("/api/v1/tasks/uid-1/log?after=10&limit=3")).json()
    many = (await dashboard.http.get("/api/v1/tasks/uid-1/log?limit=2500")).json()
    assert [line["n"] for line in tail["items"]] == [2996, 2997, 2998, 2999, 3000]
    assert [line["n"] for line in old["items"]] == [11, 12, 13]
    assert [many["items"][0]["n"], many["items"][-1]["n"]] == [501, 3000]
    assert await dashboard.metric("repack_ingest_log_lines_total") == 3000


async def test_what_kubectl_changes_shows_without_the_operator(tmp_path: Path, api: FakeTaskApi) -> None:
    async with (
        a_dashboard(tmp_path, api=api, relist_seconds=0.05) as dashboard,
        dashboard.socket("/ws/tasks?v=1") as socket,
    ):
        await messages(socket, 2)
        api.put(a_task_object(uid="uid-2", name="by-kubectl"))
        made = await next_message(socket)
        del api.objects["default", "demo"]
        gone = await next_message(socket)
    assert (made["type"], made["name"]) == ("task.status", "by-kubectl")
    assert (gone["type"], gone["name"]) == ("task.deleted", "demo")


async def test_places_in_the_queue_are_shown_of_tasks_that_are_known(dashboard: Dashboard) -> None:
    place = {"uid": "uid-1", "position": 1, "why": "all 4 slots are in use", "startsInSeconds": 90, "lastsSeconds": 60}
    beat = heartbeat(queue=[place, place | {"uid": "of-a-stranger", "position": 2}])

    await dashboard.ingest(from_operator(beat))

    assert (await dashboard.http.get("/api/v1/operator/queue")).json() == [place]
