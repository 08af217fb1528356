"""Plans and builds that workers remember for each other: in their own namespace and nowhere else."""

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from builders import a_task_object
from fakes.reviews import Known, ReviewingApi
from fakes.task_api import FakeTaskApi
from repack_dashboard.folder_blobs import FolderBlobs
from repack_dashboard.memory_store import MAX_ENTRY_BYTES, Kind, Memory
from running_dashboard import SENDER, Dashboard, a_dashboard

AUDIENCE = ["dify-repack-ingest"]
KEY = "a" * 64


def a_worker(name: str, *, namespace: str) -> Known:
    extra = {"authentication.kubernetes.io/pod-name": [name], "authentication.kubernetes.io/pod-uid": [name]}
    return Known(f"system:serviceaccount:{namespace}:worker", AUDIENCE, extra)


def a_pod(name: str, *, task_uid: str) -> dict[str, Any]:
    labels = {"batch.kubernetes.io/job-name": "rpt-demo-1", "dify-repack.io/task-uid": task_uid}
    return {"metadata": {"uid": name, "labels": labels}}


@pytest.fixture
async def guarded(tmp_path: Path) -> AsyncIterator[Dashboard]:
    """A dashboard that asks the cluster; two workers of namespace `blue`, one of `red`, and one that claims a task."""
    tasks = FakeTaskApi()
    tasks.put(a_task_object(uid="uid-1", namespace="blue"))
    tasks.put(a_task_object(uid="uid-2", namespace="red"))
    cluster = ReviewingApi(tasks)
    cluster.pods = {
        ("blue", "one"): a_pod("one", task_uid="uid-1"),
        ("blue", "two"): a_pod("two", task_uid="uid-1"),
        ("red", "three"): a_pod("three", task_uid="uid-2"),
        ("red", "liar"): a_pod("liar", task_uid="uid-1"),
        ("red", "idle"): a_pod("idle", task_uid="uid-9"),
    }
    cluster.tokens = {name: a_worker(name, namespace=namespace) for namespace, name in cluster.pods}
    cluster.tokens["operator"] = Known("operator", AUDIENCE)
    async with a_dashboard(
        tmp_path, api=cluster, auth_mode="kubernetes", ingest_auth="kubernetes", ingest_operators=["operator"]
    ) as running:
        yield running


async def ask(dashboard: Dashboard, token: str, method: str = "GET", content: bytes | None = None) -> tuple[int, bytes]:
    headers = {"Authorization": f"Bearer {token}"}
    answer = await dashboard.http.request(method, f"/api/v1/memory/builds/{KEY}", content=content, headers=headers)
    return answer.status_code, answer.content


async def test_an_entry_is_for_the_workers_of_the_namespace_from_which_it_came(guarded: Dashboard) -> None:
    assert (await ask(guarded, "one", "PUT", b"of blue"))[0] == 204
    assert await ask(guarded, "two") == (200, b"of blue")
    assert (await ask(guarded, "three"))[0] == 404
    assert (await ask(guarded, "liar"))[0] == 404, "the namespace is the API server's word, the label is not"
    assert (await ask(guarded, "liar", "PUT", b"poison"))[0] == 204
    assert await ask(guarded, "two") == (200, b"of blue")
    assert await ask(guarded, "three") == (200, b"poison"), "of their own namespace"


@pytest.mark.parametrize(("token", "status"), [("idle", 403), ("operator", 403), ("nobody", 401)])
async def test_who_works_on_no_task_remembers_nothing(guarded: Dashboard, token: str, status: int) -> None:
    assert (await ask(guarded, token))[0] == status
    assert (await ask(guarded, token, "PUT", b"x"))[0] == status


async def test_where_all_share_a_token_they_share_one_scope(dashboard: Dashboard) -> None:
    address = f"/api/v1/memory/plans/{KEY}"
    assert (await dashboard.http.put(address, content=b"plan", headers=SENDER)).status_code == 204
    assert (await dashboard.http.get(address, headers=SENDER)).content == b"plan"
    other = f"/api/v1/memory/builds/{KEY}"
    assert (await dashboard.http.get(other, headers=SENDER)).status_code == 404
    too_large = await dashboard.http.put(address, content=bytes(MAX_ENTRY_BYTES + 1), headers=SENDER)
    assert too_large.status_code == 413
    assert (await dashboard.http.get(address, headers=SENDER)).content == b"plan"


@pytest.mark.parametrize("path", [f"plans/{'a' * 63}", f"others/{KEY}", "plans/.."])
async def test_only_a_kind_and_a_key_name_an_entry(dashboard: Dashboard, path: str) -> None:
    assert (await dashboard.http.get(f"/api/v1/memory/{path}", headers=SENDER)).status_code in {404, 422}


async def test_a_dashboard_that_keeps_no_wheels_remembers_nothing(tmp_path: Path, api: FakeTaskApi) -> None:
    async with a_dashboard(tmp_path, api=api, wheel_cache_bytes=0) as dashboard:
        address = f"/api/v1/memory/plans/{KEY}"
        assert (await dashboard.http.put(address, content=b"plan", headers=SENDER)).status_code == 204
        assert (await dashboard.http.get(address, headers=SENDER)).status_code == 404


async def test_the_entries_used_least_lately_make_room_and_no_scope_takes_from_another(tmp_path: Path) -> None:
    memory = Memory(FolderBlobs(tmp_path), max_scope_bytes=250)

    async def put(scope: str, key: str) -> None:
        async def chunks() -> AsyncIterator[bytes]:
            yield b"x" * 100

        await memory.take(chunks(), scope=scope, kind=Kind.PLANS, key=key)

    await put("ns-red", "of-red")
    for key in ("1", "2"):
        await put("ns-blue", key)
    assert await memory.find("ns-blue", Kind.PLANS, "1"), "which makes it the one used last"
    await put("ns-blue", "3")
    assert [bool(await memory.find("ns-blue", Kind.PLANS, key)) for key in "123"] == [True, False, True]
    assert await memory.find("ns-red", Kind.PLANS, "of-red")
    os.utime(tmp_path / "memory" / "ns-red" / "plans" / "of-red", (1, 1))
    await put("ns-blue", "4")
    assert not await memory.find("ns-red", Kind.PLANS, "of-red"), "nobody used it for long"
