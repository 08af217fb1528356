"""Who is let in, and what they see: `auth_mode` token and kubernetes, on REST and on the WebSocket alike."""

import asyncio
import base64
import contextlib
import json
import os
import re
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from builders import a_task_object
from embedded import embedded_api
from fakes.reviews import Known, ReviewingApi
from fakes.task_api import FakeTaskApi
from repack_dashboard.app import bare_app
from repack_dashboard.settings import Settings
from repack_kube.access import find_access
from repack_kube.client import KubeCluster
from running_dashboard import (
    SENDER,
    TOKEN,
    Dashboard,
    a_dashboard,
    close_code,
    eventually,
    from_operator,
    heartbeat,
    messages,
    next_message,
    observed,
    removed,
    until,
)

SECRET = "the-shared-token-of-the-users"
SPEC = a_task_object()["spec"]
QUICK = {"auth_cache_seconds": 0.05, "auth_recheck_seconds": 0.2}


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def offered(token: str) -> list[str]:
    encoded = base64.urlsafe_b64encode(token.encode()).decode().rstrip("=")
    return ["taskws.v1", f"base64url.bearer.taskws.{encoded}"]


def a_jwt(*, seconds: float, name: str = "ann") -> str:
    claims = json.dumps({"exp": time.time() + seconds, "sub": name}).encode()
    return f"e30.{base64.urlsafe_b64encode(claims).decode().rstrip('=')}.c2ln"


def socket_of(dashboard: Dashboard, token: str | None, path: str = "/ws/tasks") -> connect:
    return dashboard.socket(path, subprotocols=offered(token) if token else ["taskws.v1"])


async def names_of(dashboard: Dashboard, token: str) -> list[str]:
    answer = await dashboard.http.get("/api/v1/tasks", headers=bearer(token))
    return sorted(item["name"] for item in answer.json()["items"])


@pytest.fixture
async def guarded(tmp_path: Path, api: FakeTaskApi) -> AsyncIterator[Dashboard]:
    """A dashboard with one token for all users."""
    file = tmp_path / "token"
    file.write_text(SECRET + "\n")
    async with a_dashboard(tmp_path, api=api, auth_mode="token", auth_token_file=file, **QUICK) as running:
        yield running


@pytest.fixture
def cluster() -> ReviewingApi:
    """Tasks in the namespaces `mine` and `theirs`; `ann` may do everything in `mine`, `root` everywhere."""
    tasks = FakeTaskApi()
    for number, (namespace, name) in enumerate([("mine", "one"), ("theirs", "two")], start=1):
        tasks.put(a_task_object(uid=f"uid-{number}", namespace=namespace, name=name))
    reviewing = ReviewingApi(tasks)
    reviewing.tokens = {"ann": Known("ann"), "root": Known("root"), "eve": Known("eve")}
    reviewing.allow("ann", "list", "create", "patch", "delete", namespace="mine")
    reviewing.allow("root", "list", "create", "patch", "delete", namespace="*")
    return reviewing


@pytest.fixture
async def judged(tmp_path: Path, cluster: ReviewingApi) -> AsyncIterator[Dashboard]:
    """A dashboard that asks the cluster who its users are."""
    async with a_dashboard(tmp_path, api=cluster, auth_mode="kubernetes", **QUICK) as running:
        yield running


# One token for all


PATHS = [
    ("GET", "/api/v1/tasks"), ("POST", "/api/v1/tasks"),
    ("GET", "/api/v1/tasks/uid-1"), ("DELETE", "/api/v1/tasks/uid-1"),
    ("POST", "/api/v1/tasks/uid-1/cancel"), ("POST", "/api/v1/tasks/uid-1/rerun"), ("GET", "/api/v1/tasks/uid-1/log"),
    ("GET", "/api/v1/tasks/uid-1/log.txt"), ("POST", "/api/v1/uploads?filename=x.difypkg"), ("GET", "/api/v1/operator"),
    ("POST", "/api/v1/downloads"), ("GET", "/api/v1/history"),
    ("GET", "/api/v1/artifacts/uid-1/x.difypkg"), ("HEAD", "/api/v1/artifacts/uid-1/x.difypkg"), ("GET", "/stats"),
    ("GET", "/api/v1/artifacts/uid-1/x.difypkg/report.json"), ("GET", "/api/v1/archive?task=uid-1"),
    ("GET", "/api/v1/tasks/uid-1/companions"), ("GET", "/api/v1/tasks/uid-1/sights"), ("GET", "/api/v1/storage"),
    ("GET", "/api/v1/operator/queue"), ("GET", "/api/v1/marketplace/plugins"), ("GET", "/api/v1/marketplace/featured"),
    ("GET", "/api/v1/marketplace/authors"), ("GET", "/api/v1/marketplace/plugins/author/name"),
    ("GET", "/api/v1/marketplace/plugins/author/name/icon"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path"), PATHS)
async def test_a_stranger_gets_401_everywhere_with_a_hint(guarded: Dashboard, method: str, path: str) -> None:
    for headers in ({}, bearer("wrong"), bearer(TOKEN), {"Authorization": f"Basic {SECRET}"}):
        answer = await guarded.http.request(method, path, headers=headers, json={"spec": SPEC})
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == 'Bearer realm="dify-repack"'
        assert method == "HEAD" or "Authorization: Bearer" in answer.json()["hint"]


def test_no_route_for_users_was_forgotten() -> None:
    paths = bare_app().openapi()["paths"]
    asked = [path.partition("?")[0] for _, path in PATHS]
    of_workers = {"/api/v1/uploads/{key}", "/api/v1/wheels/{sha256}", "/api/v1/memory/{kind}/{key}"}
    of_workers |= {path for path in paths if "/ingest/" in path}
    same = {"/api/v1/tasks/{uid}/suspend", "/api/v1/tasks/{uid}/resume"}
    forgotten = {
        path
        for path in set(paths) - {"/api/v1/config"} - of_workers - same
        if not any(re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", path), one) for one in asked)
    }
    assert not forgotten


async def test_the_token_opens_everything_and_a_new_one_in_its_file_counts_at_once(
    guarded: Dashboard, tmp_path: Path
) -> None:
    assert await names_of(guarded, SECRET) == ["demo"]
    (tmp_path / "token").write_text("another-token-of-the-users")
    assert (await guarded.http.get("/api/v1/tasks", headers=bearer(SECRET))).status_code == 401
    assert await names_of(guarded, "another-token-of-the-users") == ["demo"]
    (tmp_path / "token").unlink()
    assert (await guarded.http.get("/api/v1/tasks", headers=bearer("x"))).status_code == 401


async def test_a_stranger_learns_how_to_sign_in_and_no_namespace(guarded: Dashboard) -> None:
    strange = (await guarded.http.get("/api/v1/config")).json()
    known = (await guarded.http.get("/api/v1/config", headers=bearer(SECRET))).json()
    assert (strange["authMode"], strange["namespaces"]) == ("token", [])
    assert known["namespaces"] == ["default"]
    assert (await guarded.http.get("/api/v1/config", headers=bearer("wrong"))).status_code == 401


async def test_a_socket_takes_the_token_as_subprotocol_or_header_and_echoes_only_the_protocol(
    guarded: Dashboard,
) -> None:
    async with socket_of(guarded, SECRET) as socket:
        assert socket.subprotocol == "taskws.v1"
        assert (await next_message(socket))["type"] == "hello"
    async with guarded.socket("/ws/tasks?v=1", additional_headers=bearer(SECRET)) as socket:
        assert (await next_message(socket))["filtered"] is False


@pytest.mark.parametrize("path", ["/ws/tasks", "/ws/tasks/uid-1", "/ws/tasks/nobody"])
@pytest.mark.parametrize("token", [None, "wrong", TOKEN])
async def test_a_strangers_socket_is_closed_with_4501_after_the_handshake(
    guarded: Dashboard, path: str, token: str | None
) -> None:
    async with socket_of(guarded, token, path) as socket:
        assert await close_code(socket) == 4501


async def test_a_token_in_the_query_or_garbled_opens_nothing(guarded: Dashboard) -> None:
    async with guarded.socket(f"/ws/tasks?v=1&token={SECRET}") as socket:
        assert await close_code(socket) == 4501
    garbled = ["taskws.v1", "base64url.bearer.taskws.a"]
    async with guarded.socket("/ws/tasks", subprotocols=garbled) as socket:
        assert await close_code(socket) == 4501


async def test_a_token_that_was_replaced_closes_the_sockets_that_used_it(guarded: Dashboard, tmp_path: Path) -> None:
    async with socket_of(guarded, SECRET) as socket:
        await messages(socket, 2)
        (tmp_path / "token").write_text("another-token-of-the-users")
        assert await close_code(socket) == 4501


async def test_a_users_token_opens_no_ingest_and_the_ingest_token_nothing_else(guarded: Dashboard) -> None:
    batch = from_operator(heartbeat())
    for headers, status in ((bearer(SECRET), 401), (SENDER, 200)):
        assert (await guarded.http.post("/api/v1/ingest/events", json=batch, headers=headers)).status_code == status
    assert (await guarded.http.get("/api/v1/tasks", headers=SENDER)).status_code == 401


async def test_no_token_is_in_any_line_of_the_program_or_answer(tmp_path: Path) -> None:
    wrong, told = "a-wrong-token-that-is-secret-too", []
    async with embedded_api() as running, the_program(tmp_path, running.kubeconfig_path) as (address, lines):
        http = httpx.AsyncClient(base_url=f"http://{address}", trust_env=False)
        async with http:
            for token in (SECRET, wrong):
                answer = await http.get("/api/v1/tasks", headers=bearer(token))
                told += [answer.text, str(answer.headers)]
                async with connect(
                    f"ws://{address}/ws/tasks?token={token}", subprotocols=offered(token), proxy=None
                ) as socket:
                    with contextlib.suppress(ConnectionClosed):
                        told += [json.dumps(message) for message in await messages(socket, 2)]
                        await socket.send(json.dumps({"type": "auth", "token": wrong, "id": "x"}))
                        told.append(json.dumps(await next_message(socket)))
                        await socket.send(json.dumps({"type": "auth", "token": wrong}))
                    assert await close_code(socket) == 4501
            told.append((await http.post(f"/api/v1/tasks?token={wrong}", json={"a": 1}, headers=bearer(SECRET))).text)
    everything = "\n".join([*lines, *told])
    assert "a WebSocket was refused" in everything
    for token in (SECRET, wrong):
        assert token not in everything
        assert offered(token)[1] not in everything


@contextlib.asynccontextmanager
async def the_program(folder: Path, kubeconfig: Path) -> AsyncIterator[tuple[str, list[str]]]:
    """Run `python -m repack_dashboard`; yields its address, and all that it writes once it has ended."""
    environment = dict(os.environ) | {
        "REPACK_DASHBOARD_PORT": "0",
        "REPACK_DASHBOARD_DATA_DIR": str(folder / "data"),
        "REPACK_DASHBOARD_KUBECONFIG": str(kubeconfig),
        "REPACK_DASHBOARD_INGEST_TOKEN": TOKEN,
        "REPACK_DASHBOARD_AUTH_MODE": "token",
        "REPACK_DASHBOARD_AUTH_TOKEN": SECRET,
    }
    program = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "repack_dashboard", env=environment,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    assert program.stdout is not None
    lines: list[str] = []
    try:
        async with asyncio.timeout(30):
            while not lines or '"address"' not in lines[-1]:
                lines.append((await program.stdout.readline()).decode())
                assert lines[-1], "it ended instead of listening"
        yield json.loads(lines[-1])["address"].removeprefix("http://"), lines
    finally:
        program.terminate()
        lines.append((await program.stdout.read()).decode())
        await program.wait()


# The cluster decides


async def test_what_a_user_may_not_see_is_in_no_list_and_no_count_and_unknown_by_name(judged: Dashboard) -> None:
    page = (await judged.http.get("/api/v1/tasks", headers=bearer("ann"))).json()
    assert [item["name"] for item in page["items"]] == ["one"]
    assert (page["total"], sum(page["counts"].values())) == (1, 1)
    assert await names_of(judged, "root") == ["one", "two"]
    assert await names_of(judged, "eve") == []
    by_name = await judged.http.get("/api/v1/tasks?namespace=theirs&name=two", headers=bearer("ann"))
    assert (by_name.json()["items"], by_name.json()["total"]) == ([], 0)
    for method, path in PATHS:
        if "uid-1" in path:
            hidden = await judged.http.request(method, path.replace("uid-1", "uid-2"), headers=bearer("ann"))
            absent = await judged.http.request(method, path.replace("uid-1", "uid-9"), headers=bearer("ann"))
            assert (hidden.status_code, absent.status_code) == (404, 404)
            assert hidden.text.replace("uid-2", "uid-9") == absent.text
    config = (await judged.http.get("/api/v1/config", headers=bearer("ann"))).json()
    assert config["namespaces"] == ["mine"]


async def test_asking_by_name_takes_the_same_way_whether_the_hidden_task_is_there_or_not(
    judged: Dashboard, cluster: ReviewingApi
) -> None:
    await names_of(judged, "ann")
    before = cluster.behind.lists
    for name in ("two", "nothing"):
        await judged.http.get(f"/api/v1/tasks?namespace=theirs&name={name}", headers=bearer("ann"))
    assert cluster.behind.lists == before


async def test_a_verb_that_a_user_lacks_on_a_task_they_see_is_refused(judged: Dashboard, cluster: ReviewingApi) -> None:
    cluster.allow("eve", "list", namespace="mine")
    assert await names_of(judged, "eve") == ["one"]
    calls = {
        "delete": ("DELETE", "/api/v1/tasks/uid-1"),
        "patch": ("POST", "/api/v1/tasks/uid-1/cancel"),
        "create": ("POST", "/api/v1/tasks/uid-1/rerun"),
    }
    for verb, (method, path) in calls.items():
        answer = await judged.http.request(method, path, headers=bearer("eve"))
        assert (answer.status_code, answer.json()["reason"]) == (403, "Forbidden")
        assert f"You may not {verb} tasks in the namespace mine" in answer.json()["detail"]
    body = {"namespace": "theirs", "name": "new", "spec": SPEC}
    refused = await judged.http.post("/api/v1/tasks", json=body, headers=bearer("ann"))
    upload = await judged.http.post("/api/v1/uploads?filename=x.difypkg", content=b"PK\3\4", headers=bearer("eve"))
    made = await judged.http.post("/api/v1/tasks", json=body | {"namespace": "mine"}, headers=bearer("ann"))
    assert (refused.status_code, upload.status_code, made.status_code) == (403, 403, 201)
    assert (await judged.http.post("/api/v1/tasks/uid-1/cancel", headers=bearer("ann"))).status_code == 200


async def test_a_filtered_socket_shows_its_namespaces_and_not_a_frame_of_the_others(judged: Dashboard) -> None:
    async with socket_of(judged, "ann") as ann, socket_of(judged, "root") as root:
        hello, snapshot = await messages(ann, 2)
        await messages(root, 2)
        events = [observed(a_task_object(uid="uid-2", namespace="theirs", name="two", status={"sequence": 1})),
                  observed(a_task_object(uid="uid-1", namespace="mine", name="one", status={"sequence": 1})),
                  removed("uid-2"), heartbeat()]  # fmt: skip
        await judged.ingest(from_operator(*events))
        seen, health = await messages(ann, 2)
        everything = await messages(root, 4)
        await ann.send('{"type":"subscribe","id":1,"channel":"task:uid-2"}')
        assert (await next_message(ann))["code"] == "unknown_task"
    assert hello["filtered"] is True
    assert [entry["name"] for entry in snapshot["data"]] == ["one"]
    assert (seen["type"], seen["task_id"], health["type"]) == ("task.status", "uid-1", "operator.health")
    assert [one.get("task_id") for one in everything] == ["uid-2", "uid-1", "uid-2", None]


async def test_a_filtered_socket_that_comes_back_gets_only_what_it_may_see(judged: Dashboard) -> None:
    async with socket_of(judged, "ann") as socket:
        hello = await next_message(socket)
    for batch, (uid, namespace, name) in enumerate([("uid-2", "theirs", "two"), ("uid-1", "mine", "one")], start=1):
        body = a_task_object(uid=uid, namespace=namespace, name=name, status={"sequence": 1})
        await judged.ingest(from_operator(observed(body), batch=batch))
    async with socket_of(judged, "ann", f"/ws/tasks?since={hello['seq']}&epoch={hello['epoch']}") as socket:
        again, event = await messages(socket, 2)
    assert (again["recovered"], again["replayed"], again["seq"]) == (True, 1, hello["seq"] + 2)
    assert event["task_id"] == "uid-1"


@pytest.mark.parametrize(
    ("token", "path", "code"),
    [("ann", "/ws/tasks/uid-2", 4504), ("ann", "/ws/tasks/uid-9", 4504),
     ("eve", "/ws/tasks", 4503), ("x", "/ws/tasks", 4501)],
)  # fmt: skip
async def test_a_socket_to_what_one_may_not_see_ends_with_a_terminal_code(
    judged: Dashboard, token: str, path: str, code: int
) -> None:
    async with socket_of(judged, token, path) as socket:
        assert await close_code(socket) == code


@pytest.mark.parametrize("path", ["/ws/tasks", "/ws/tasks/uid-1"])
async def test_rights_taken_from_a_live_socket_close_it_with_4503(
    judged: Dashboard, cluster: ReviewingApi, path: str
) -> None:
    async with socket_of(judged, "ann", path) as socket:
        await messages(socket, 2)
        cluster.rights.clear()
        assert await close_code(socket) == 4503


async def test_a_socket_that_loses_a_namespace_is_filtered_further_and_one_that_gains_one_sees_it(
    judged: Dashboard, cluster: ReviewingApi
) -> None:
    cluster.allow("ann", "list", namespace="theirs")
    async with socket_of(judged, "ann") as socket:
        _, both = await messages(socket, 2)
        await socket.send('{"type":"subscribe","id":1,"channel":"task:uid-2"}')
        await messages(socket, 2)
        cluster.rights.discard(("ann", "list", "theirs"))
        left, fewer = await messages(socket, 2)
        cluster.allow("ann", "list", namespace="*")
        everything = await next_message(socket)
    assert len(both["data"]) == 2
    assert (left["type"], left["channel"]) == ("unsubscribed", "task:uid-2")
    assert [entry["name"] for entry in fewer["data"]] == ["one"]
    assert [entry["name"] for entry in everything["data"]] == ["one", "two"]


async def test_the_first_task_of_a_namespace_reaches_who_may_see_it(judged: Dashboard, cluster: ReviewingApi) -> None:
    cluster.allow("ann", "list", namespace="fresh")
    async with socket_of(judged, "ann") as socket:
        await messages(socket, 2)
        await judged.ingest(from_operator(observed(a_task_object(uid="uid-3", namespace="fresh", name="three"))))
        snapshot = await next_message(socket)
    assert sorted(entry["name"] for entry in snapshot["data"]) == ["one", "three"]


async def test_answers_of_the_cluster_are_kept_for_a_while(tmp_path: Path, cluster: ReviewingApi) -> None:
    async with a_dashboard(tmp_path, api=cluster, auth_mode="kubernetes") as dashboard:
        await asyncio.gather(*[names_of(dashboard, "ann") for _ in range(10)])
        asked = len(cluster.asked)
        await names_of(dashboard, "ann")
    assert asked == len(cluster.asked) == 5  # who, everything, and the three namespaces that could be shown


async def test_a_cluster_that_cannot_be_asked_lets_nobody_in_and_throws_nobody_out(
    judged: Dashboard, cluster: ReviewingApi
) -> None:
    async with socket_of(judged, "ann") as socket:
        await messages(socket, 2)
        cluster.is_broken = True

        async def is_closed() -> bool:
            return (await judged.http.get("/api/v1/tasks", headers=bearer("ann"))).status_code == 503

        await eventually(is_closed, "the kept answers have ended")
        async with socket_of(judged, "root") as other:
            assert await close_code(other) == 1013
        assert (await next_message(socket))["code"] == "unavailable"
        cluster.is_broken = False
        await eventually(lambda: _is_open(judged), "it answers again")
        body = a_task_object(uid="uid-1", namespace="mine", name="one", status={"sequence": 1})
        await judged.ingest(from_operator(observed(body)))
        assert (await _next_event(socket))["task_id"] == "uid-1"


async def _is_open(dashboard: Dashboard) -> bool:
    return (await dashboard.http.get("/api/v1/tasks", headers=bearer("ann"))).status_code == 200


async def _next_event(socket: ClientConnection) -> dict[str, Any]:
    while True:
        message = await next_message(socket)
        if message["type"] != "error":
            return message


# Tokens that end


async def test_a_token_that_ends_is_announced_and_the_socket_closed_with_4501(
    judged: Dashboard, cluster: ReviewingApi
) -> None:
    token = a_jwt(seconds=2)
    cluster.tokens[token] = Known("ann")
    async with socket_of(judged, token) as socket:
        *_, warning = await messages(socket, 3)
        assert (warning["type"], warning["code"]) == ("error", "token_expiring")
        assert await close_code(socket) == 4501


async def test_a_new_token_of_the_same_user_keeps_the_socket(judged: Dashboard, cluster: ReviewingApi) -> None:
    old, new = a_jwt(seconds=2), a_jwt(seconds=3600)
    cluster.tokens |= {old: Known("ann"), new: Known("ann")}
    async with socket_of(judged, old) as socket:
        await messages(socket, 3)
        await socket.send(json.dumps({"type": "auth", "token": new}))
        (client,) = judged.services.hub.clients
        expires = judged.services.seats.access(client).expires_at or 0
        await until(lambda: time.time() > expires + 1.2, "the old token has ended")
        await socket.send('{"type":"ping","id":1}')
        assert await next_message(socket) == {"type": "pong", "id": 1}


@pytest.mark.parametrize("token", ["root", "nobody"])
async def test_a_new_token_of_another_user_ends_the_socket(judged: Dashboard, token: str) -> None:
    async with socket_of(judged, "ann") as socket:
        await messages(socket, 2)
        await socket.send(json.dumps({"type": "auth", "token": token}))
        assert await close_code(socket) == 4501


# Settings, and a real API server's shapes


def test_auth_without_a_token_is_refused_at_start() -> None:
    with pytest.raises(ValueError, match="needs a token of at least 16 characters"):
        Settings(auth_mode="token", auth_token="short")  # type: ignore[arg-type]


async def test_the_embedded_api_reviews_its_own_token(tmp_path: Path) -> None:
    async with (
        embedded_api() as running,
        KubeCluster(await find_access(kubeconfig=running.kubeconfig_path)) as cluster,
        a_dashboard(tmp_path, api=cluster, auth_mode="kubernetes") as dashboard,
    ):
        made = await dashboard.http.post(
            "/api/v1/tasks", json={"name": "one", "spec": SPEC}, headers=bearer(running.token)
        )
        strange: httpx.Response = await dashboard.http.get("/api/v1/tasks", headers=bearer("nobody"))
        async with socket_of(dashboard, running.token) as socket:
            hello = await next_message(socket)
    assert (made.status_code, strange.status_code, hello["filtered"]) == (201, 401, False)
