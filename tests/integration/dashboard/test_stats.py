"""`/stats`, for people: who is connected, of what the reader may see."""

import json
from pathlib import Path

from builders import a_task_object
from fakes.reviews import Known, ReviewingApi
from fakes.task_api import FakeTaskApi
from running_dashboard import a_dashboard, messages, until


async def test_people_see_channels_ages_backlog_and_round_trips(tmp_path: Path, api: FakeTaskApi) -> None:
    async with (
        a_dashboard(tmp_path, api=api, heartbeat_interval=0.2) as dashboard,
        dashboard.socket("/ws/tasks?v=1"),
        dashboard.socket("/ws/tasks?v=1"),
        dashboard.socket("/ws/tasks/uid-1?v=1") as one,
    ):
        while (message := json.loads(await one.recv()))["type"] != "ping":
            pass
        await one.send(json.dumps({"type": "pong", "id": message["id"]}))
        clients = dashboard.services.hub.clients
        await until(lambda: any(dashboard.services.seats.rtt(client) for client in clients), "the pong is taken")
        answer = await dashboard.http.get("/stats")
    log, _, head, most, least = [line.split() for line in answer.text.splitlines()]
    assert answer.headers["content-type"].startswith("text/plain")
    assert (log[:3], log[-1]) == (["event", "log:", "memory,"], "live")
    assert head == ["connections", "oldest", "newest", "backlog", "rtt", "channel"]
    assert (most[0], most[5], most[6:]) == ("2", "0", ["-", "all", "tasks"])
    assert (least[0], least[7:]) == ("1", ["ms", "default/demo"])


async def test_nobody_sees_the_channels_of_what_they_may_not_see(tmp_path: Path) -> None:
    tasks = FakeTaskApi()
    tasks.put(a_task_object(namespace="mine", name="one"))
    tasks.put(a_task_object(namespace="theirs", name="two", uid="uid-2"))
    cluster = ReviewingApi(tasks)
    cluster.tokens = {"ann": Known("ann"), "root": Known("root")}
    cluster.allow("ann", "list", namespace="mine")
    cluster.allow("root", "list", namespace="*")
    ann, root = ({"Authorization": f"Bearer {name}"} for name in ("ann", "root"))
    async with (
        a_dashboard(tmp_path, api=cluster, auth_mode="kubernetes") as dashboard,
        dashboard.socket("/ws/tasks/uid-2?v=1", additional_headers=root) as hidden,
        dashboard.socket("/ws/tasks?v=1", additional_headers=ann) as filtered,
    ):
        await messages(hidden, 2)
        await messages(filtered, 2)
        seen = (await dashboard.http.get("/stats", headers=ann)).text
        everything = (await dashboard.http.get("/stats", headers=root)).text
    assert "theirs" not in seen
    assert "all tasks that a user may see" in seen
    assert "theirs/two" in everything
