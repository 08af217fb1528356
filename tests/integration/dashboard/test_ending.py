"""How the dashboard ends, and what is still there when it begins again."""

import asyncio
import contextlib
import os
import signal
import sys
from pathlib import Path

import httpx
import pytest

from builders import a_task_object
from fakes.task_api import FakeTaskApi
from repack_dashboard.background import drain
from repack_worker.ingest import IngestReporter
from repack_worker.report import Journal
from running_dashboard import (
    SENDER,
    TOKEN,
    Dashboard,
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
)


async def test_a_drain_says_goodbye_closes_everybody_with_1012_and_is_not_ready_meanwhile(
    tmp_path: Path, api: FakeTaskApi
) -> None:
    async with a_dashboard(tmp_path, api=api) as dashboard, dashboard.socket("/ws/tasks?v=1") as socket:
        await messages(socket, 2)
        assert (await dashboard.http.get("/readyz")).status_code == 200
        await drain(dashboard.services)
        unready = await dashboard.http.get("/readyz")
        goodbye = await next_message(socket)
        code = await close_code(socket)
    assert (unready.status_code, unready.json()["reasons"]) == (503, ["draining"])
    assert (goodbye["type"], goodbye["reason"]) == ("goaway", "restart")
    assert code == 1012


async def test_a_server_that_ends_drains_first(tmp_path: Path, api: FakeTaskApi) -> None:
    async with a_dashboard(tmp_path, api=api) as dashboard, dashboard.socket("/ws/tasks?v=1") as socket:
        await messages(socket, 2)
        dashboard.server.should_exit = True
        goodbye = await next_message(socket)
        assert (goodbye["type"], goodbye["retry_after_ms"] >= 500) == ("goaway", True)
        assert await close_code(socket) == 1012


async def test_the_server_ends_although_a_client_never_answers(tmp_path: Path, api: FakeTaskApi) -> None:
    async with a_dashboard(tmp_path, api=api) as dashboard:
        host, _, port = dashboard.address.partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(
            f"GET /ws/tasks?v=1 HTTP/1.1\r\nHost: {dashboard.address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        await reader.readuntil(b"\r\n\r\n")
        ended = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - ended < 8
    writer.close()


async def test_logs_progress_and_packages_survive_a_restart(tmp_path: Path, api: FakeTaskApi) -> None:
    path = "/api/v1/ingest/artifacts/uid-1/1/amd64/demo-offline.difypkg"
    async with a_dashboard(tmp_path, api=api) as dashboard:
        await dashboard.ingest(from_worker("uid-1", progressed(4, percent=70, stage="Verify"), logged(1, 2, 3)))
        sha256 = "9834876dcfb05cb167a5c24953eba58c4ac89b1adf57f28f2f9d09af107ee8f0"  # of b"aaa"
        stored = await dashboard.http.put(path, content=b"aaa", headers=SENDER | {"X-Content-SHA256": sha256})
        assert stored.status_code == 201
        upload = (await dashboard.http.post("/api/v1/uploads?filename=x.difypkg", content=b"PK\x03\x04data")).json()
        before = dashboard.services.log.epoch

    async with a_dashboard(tmp_path, api=api) as dashboard:
        view = (await dashboard.http.get("/api/v1/tasks/uid-1")).json()
        page = (await dashboard.http.get("/api/v1/tasks/uid-1/log")).json()
        package = await dashboard.http.get(stored.json()["uri"])
        again = await dashboard.http.get(f"/api/v1/uploads/{upload['key']}", headers=SENDER)
        repeated = await dashboard.ingest(from_worker("uid-1", logged(1, 2, 3, 4)))
        late = await dashboard.ingest(from_worker("uid-1", progressed(3), batch=2))
        more = (await dashboard.http.get("/api/v1/tasks/uid-1/log?after=2")).json()
        epoch = dashboard.services.log.epoch

    assert (view["progress"]["tick"], view["progress"]["stage"]) == (4, "Verify")
    assert [line["n"] for line in page["items"]] == [1, 2, 3]
    assert package.content == b"aaa"
    assert again.content == b"PK\x03\x04data"
    assert repeated["accepted"] == 1
    assert late["duplicates"] == 1
    assert [line["n"] for line in more["items"]] == [3, 4]
    assert before != epoch


async def test_after_a_restart_an_old_position_gets_a_snapshot_of_the_cluster(tmp_path: Path, api: FakeTaskApi) -> None:
    async with a_dashboard(tmp_path, api=api) as dashboard:
        await dashboard.ingest(from_operator(observed(a_task_object(status={"sequence": 1, "phase": "Running"}))))
        async with dashboard.socket("/ws/tasks?v=1") as socket:
            hello = await next_message(socket)
    api.put(a_task_object(status={"sequence": 2, "phase": "Succeeded"}))
    async with (
        a_dashboard(tmp_path, api=api) as dashboard,
        dashboard.socket(f"/ws/tasks?v=1&since={hello['seq']}&epoch={hello['epoch']}") as socket,
    ):
        again, snapshot = await messages(socket, 2)
    assert again["recovered"] is False
    assert snapshot["data"][0]["data"]["status"]["phase"] == "Succeeded"


async def test_no_log_line_is_lost_or_twice_when_the_dashboard_restarts_under_a_worker(
    tmp_path: Path, api: FakeTaskApi
) -> None:
    """The worker's own reporter; it sends its last thousand lines again to whoever has another instance."""
    (tmp_path / "token").write_text(TOKEN)

    async def page(dashboard: Dashboard) -> list[int]:
        answer = await dashboard.http.get("/api/v1/tasks/uid-1/log?after=0&limit=10000")
        return [line["n"] for line in answer.json()["items"]]

    async with a_dashboard(tmp_path, api=api) as dashboard, contextlib.AsyncExitStack() as stack:
        port, head = dashboard.server.port, dashboard.services.log.head(None)
        client = await stack.enter_async_context(httpx.AsyncClient(base_url=f"http://{dashboard.address}"))
        reporter = IngestReporter(
            client, uid="uid-1", attempt=1, token_file=tmp_path / "token", interval_seconds=0.02
        )  # fmt: skip
        reporting = asyncio.create_task(reporter.run())
        journal = Journal(attempt=1, reporters=[reporter])
        for number in range(1, 1201):
            journal.say(f"line {number}")

        async def has_all() -> bool:
            return len(await page(dashboard)) == 1200

        await eventually(has_all, "all lines")
        assert dashboard.services.log.head(None) == head, "log lines are no events; the ring holds none"
        kept = stack.pop_all()
    for number in range(1201, 1301):
        journal.say(f"line {number}")
    async with kept, a_dashboard(tmp_path, api=api, port=port) as dashboard:

        async def has_the_last() -> bool:
            return 1300 in await page(dashboard)

        await eventually(has_the_last, "the last line", seconds=20)
        reporter.close()
        await reporting
        assert await page(dashboard) == list(range(1, 1301))


async def test_the_program_starts_without_a_cluster_says_so_and_ends_on_a_signal(tmp_path: Path) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(
        "apiVersion: v1\nkind: Config\ncurrent-context: x\n"
        "contexts: [{name: x, context: {cluster: x, user: x}}]\nusers: [{name: x, user: {}}]\n"
        "clusters: [{name: x, cluster: {server: 'http://127.0.0.1:9'}}]\n"
    )
    environment = dict(os.environ) | {
        "REPACK_DASHBOARD_PORT": "0",
        "REPACK_DASHBOARD_DATA_DIR": str(tmp_path / "data"),
        "REPACK_DASHBOARD_KUBECONFIG": str(kubeconfig),
        "REPACK_DASHBOARD_INGEST_TOKEN": TOKEN,
    }
    program = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "repack_dashboard", env=environment, stderr=asyncio.subprocess.PIPE
    )
    assert program.stderr is not None
    try:
        async with asyncio.timeout(30):
            while b'"address"' not in (line := await program.stderr.readline()):
                assert line, "it ended instead of listening"
        address = line.decode().partition('"address": "')[2].partition('"')[0]
        async with httpx.AsyncClient(base_url=address, trust_env=False) as http:
            assert (await http.get("/healthz")).status_code == 200
            ready = await http.get("/readyz")
        program.send_signal(signal.SIGTERM)
        async with asyncio.timeout(15):
            await program.stderr.read()
            code = await program.wait()
    finally:
        if program.returncode is None:
            program.kill()
            await program.wait()
    assert (ready.status_code, ready.json()["reasons"]) == (503, ["tasks-not-listed"])
    assert code in {0, -signal.SIGTERM}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"REPACK_DASHBOARD_AUTH_MODE": "token"}, "needs a token of at least 16 characters"),
        ({"REPACK_DASHBOARD_INGEST_TOKEN": "short"}, "a token of at least 16 characters"),
        ({"REPACK_DASHBOARD_PORT": "seventy"}, "valid integer"),
        ({"REPACK_DASHBOARD_REDIS_URL": "http://:hunter2@host"}, "must be redis"),
        ({"REPACK_DASHBOARD_REDIS_URL": "redis://:hunter2/3@host:6379"}, "percent-encoded"),
        ({"REPACK_DASHBOARD_REDIS_URL_FILE": "/nowhere/url"}, "cannot be read"),
    ],
)
async def test_settings_that_cannot_be_are_refused_with_a_sentence(change: dict[str, str], sentence: str) -> None:
    environment = dict(os.environ) | {"REPACK_DASHBOARD_INGEST_TOKEN": TOKEN} | change
    program = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "repack_dashboard", env=environment, stderr=asyncio.subprocess.PIPE
    )
    _, text = await program.communicate()
    assert program.returncode == 2
    assert sentence in text.decode()
    assert "Traceback" not in text.decode()
    assert "hunter2" not in text.decode()
