"""Under a server without our protocol the very same routes work, over a queue and a writing task."""

from pathlib import Path

from builders import a_task_object
from fakes.task_api import FakeTaskApi
from running_dashboard import (
    a_dashboard,
    close_code,
    eventually,
    from_operator,
    from_worker,
    logged,
    messages,
    next_message,
    observed,
    progressed,
    until,
)


async def test_a_client_gets_everything_over_the_queue(tmp_path: Path, api: FakeTaskApi) -> None:
    async with (
        a_dashboard(tmp_path, api=api, has_our_protocol=False) as dashboard,
        dashboard.socket("/ws/tasks/uid-1?v=1") as socket,
    ):
        before = await messages(socket, 2)
        await dashboard.ingest(from_operator(observed(a_task_object(status={"sequence": 1, "phase": "Running"}))))
        await dashboard.ingest(from_worker("uid-1", progressed(1), logged(1)))
        after = await messages(socket, 3)
        await socket.send('{"type":"ping","id":3}')
        pong = await next_message(socket)
    kinds = [message["type"] for message in [*before, *after]]
    assert kinds == ["hello", "snapshot", "task.status", "task.progress", "task.log"]
    assert pong == {"type": "pong", "id": 3}


async def test_codes_reach_the_client_over_the_queue(tmp_path: Path, api: FakeTaskApi) -> None:
    async with (
        a_dashboard(tmp_path, api=api, has_our_protocol=False) as dashboard,
        dashboard.socket("/ws/tasks?v=1") as socket,
    ):
        for _ in range(60):
            await socket.send('{"type":"pong"}')
        assert await close_code(socket) == 4013


async def test_a_slow_reader_is_given_up_over_the_queue_too(tmp_path: Path, api: FakeTaskApi) -> None:
    labels = {f"label-{n}": "x" * 4000 for n in range(16)}
    async with (
        a_dashboard(tmp_path, api=api, has_our_protocol=False, backlog_frames=4) as dashboard,
        dashboard.socket("/ws/tasks?v=1", max_queue=1) as socket,
    ):
        await messages(socket, 2)
        sequence = 0

        async def is_given_up() -> bool:
            nonlocal sequence
            sequence += 1
            body = a_task_object(status={"sequence": sequence}, metadata={"labels": labels})
            await dashboard.ingest(from_operator(observed(body), batch=sequence))
            return await dashboard.metric("repack_ws_slow_consumers_total") == 1

        await eventually(is_given_up, "the slow reader is given up", seconds=30)
        await close_code(socket)
        await until(lambda: len(dashboard.services.hub) == 0, "the slow reader is forgotten", seconds=20)
