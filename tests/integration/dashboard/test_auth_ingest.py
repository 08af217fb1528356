"""Who may send in with `ingest_auth` kubernetes: the operator by its account, a worker by its Pod, and nobody else."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from builders import a_task_object
from fakes.reviews import Known, ReviewingApi
from fakes.task_api import FakeTaskApi
from running_dashboard import (
    SENDER,
    Dashboard,
    a_dashboard,
    from_operator,
    from_worker,
    heartbeat,
    logged,
    progressed,
)

AUDIENCE = ["dify-repack-ingest"]
OPERATOR = "system:serviceaccount:system:operator"
WORKER = "system:serviceaccount:default:worker"
KEY = "0" * 32 + "-x.difypkg"
SHA256 = "9834876dcfb05cb167a5c24953eba58c4ac89b1adf57f28f2f9d09af107ee8f0"  # of b"aaa"


def in_pod(name: str, uid: str) -> dict[str, list[str]]:
    return {"authentication.kubernetes.io/pod-name": [name], "authentication.kubernetes.io/pod-uid": [uid]}


def a_pod(uid: str, *, job: str, task_uid: str) -> dict[str, Any]:
    labels = {"batch.kubernetes.io/job-name": job, "dify-repack.io/task-uid": task_uid}
    return {"metadata": {"uid": uid, "labels": labels}}


@pytest.fixture
def cluster() -> ReviewingApi:
    """Task `demo` (uid-1) in `default`; tokens of its operator, of the worker of attempt 1 and of others."""
    tasks = FakeTaskApi()
    upload = {"source": {"type": "Upload", "upload": {"key": KEY}}}
    tasks.put(a_task_object(spec=upload))
    tasks.put(a_task_object(uid="uid-2", name="other"))
    tasks.put(a_task_object(uid="uid-3", namespace="elsewhere"))
    cluster = ReviewingApi(tasks)
    cluster.pods = {
        ("default", "pod-1"): a_pod("p1", job="rpt-demo-1", task_uid="uid-1"),
        ("default", "bare"): {"metadata": {"uid": "p4"}},
        ("default", "forged"): a_pod("p5", job="rpt-demo-1", task_uid="uid-3"),
    }
    cluster.tokens = {
        "operator": Known(OPERATOR, AUDIENCE),
        "worker": Known(WORKER, AUDIENCE, in_pod("pod-1", "p1")),
        "replaced": Known(WORKER, AUDIENCE, in_pod("pod-1", "p0")),
        "gone": Known(WORKER, AUDIENCE, in_pod("pod-9", "p9")),
        "bare": Known(WORKER, AUDIENCE, in_pod("bare", "p4")),
        "forged": Known(WORKER, AUDIENCE, in_pod("forged", "p5")),
        "no-pod": Known(WORKER, AUDIENCE),
        "user": Known("ann"),
        "user-for-ingest": Known("ann", AUDIENCE),
    }
    cluster.allow("ann", "list", namespace="*")
    return cluster


@pytest.fixture
async def dashboard(tmp_path: Path, cluster: ReviewingApi) -> AsyncIterator[Dashboard]:
    async with a_dashboard(
        tmp_path, api=cluster, auth_mode="kubernetes", ingest_auth="kubernetes", ingest_operators=[OPERATOR]
    ) as running:
        yield running


async def send(dashboard: Dashboard, token: str, batch: dict[str, Any]) -> int:
    headers = {"Authorization": f"Bearer {token}"}
    return (await dashboard.http.post("/api/v1/ingest/events", json=batch, headers=headers)).status_code


async def test_the_operator_sends_as_the_operator_and_not_for_a_worker(dashboard: Dashboard) -> None:
    assert await send(dashboard, "operator", from_operator(heartbeat())) == 200
    assert await send(dashboard, "operator", from_worker("uid-1", progressed(1))) == 403


async def test_a_worker_reports_its_own_attempt_and_nothing_else(dashboard: Dashboard) -> None:
    assert await send(dashboard, "worker", from_worker("uid-1", progressed(1), logged(1))) == 200
    assert await send(dashboard, "worker", from_worker("uid-1", progressed(2, attempt=2), attempt=2)) == 403
    assert await send(dashboard, "worker", from_worker("uid-2", progressed(1))) == 403
    assert await send(dashboard, "worker", from_worker("uid-3", progressed(1))) == 403
    assert await send(dashboard, "worker", from_operator(heartbeat())) == 403
    views = {view.uid: view.progress for view in dashboard.services.board.store}
    assert {uid for uid, progress in views.items() if progress is not None} == {"uid-1"}


async def test_a_progress_inside_a_batch_cannot_be_of_another_attempt_than_the_batch(dashboard: Dashboard) -> None:
    await send(dashboard, "worker", from_worker("uid-1", progressed(7, attempt=2)))
    view = dashboard.services.board.store.get("uid-1")
    assert view is not None
    assert view.progress is None


@pytest.mark.parametrize(
    "token", ["replaced", "gone", "no-pod", "user", "user-for-ingest", "nobody", SENDER["Authorization"][7:]]
)
async def test_whoever_is_no_worker_of_a_living_pod_is_a_stranger(dashboard: Dashboard, token: str) -> None:
    assert await send(dashboard, token, from_worker("uid-1", progressed(1))) == 401


@pytest.mark.parametrize("token", ["bare", "forged"])
@pytest.mark.parametrize("uid", ["uid-1", "uid-3"])
async def test_labels_bind_a_pod_to_a_task_of_its_own_namespace_only(
    dashboard: Dashboard, token: str, uid: str
) -> None:
    assert await send(dashboard, token, from_worker(uid, progressed(1))) == 403


async def test_a_worker_hands_in_files_of_its_own_attempt_and_reads_the_upload_of_its_own_task(
    dashboard: Dashboard,
) -> None:
    http, mine = dashboard.http, {"Authorization": "Bearer worker", "X-Content-SHA256": SHA256}

    async def put(uid: str, attempt: int) -> tuple[int, int]:
        package = f"/api/v1/ingest/artifacts/{uid}/{attempt}/amd64/x-offline.difypkg"
        stored = await http.put(package, content=b"aaa", headers=mine)
        kept = await http.put(f"/api/v1/ingest/logs/{uid}/{attempt}", content=b"", headers=mine)
        return stored.status_code, kept.status_code

    assert await put("uid-1", 1) == (201, 204)
    assert await put("uid-1", 2) == (403, 403)
    assert await put("uid-2", 1) == (403, 403)
    own = await http.get(f"/api/v1/uploads/{KEY}", headers=mine)
    another = await http.get(f"/api/v1/uploads/{KEY.replace('0', '1')}", headers=mine)
    assert (own.status_code, another.status_code) == (404, 403)  # nobody uploaded it, but it may ask


async def test_an_ingest_token_shows_no_task_to_anybody(dashboard: Dashboard) -> None:
    for token in ("worker", "operator"):
        answer = await dashboard.http.get("/api/v1/tasks", headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 401


async def test_one_review_serves_many_batches(dashboard: Dashboard, cluster: ReviewingApi) -> None:
    for tick in range(1, 6):
        assert await send(dashboard, "worker", from_worker("uid-1", progressed(tick), batch=tick)) == 200
    assert len(cluster.asked) == 1


async def test_while_the_cluster_cannot_be_asked_a_batch_is_to_be_sent_again(
    dashboard: Dashboard, cluster: ReviewingApi
) -> None:
    cluster.is_broken = True
    assert await send(dashboard, "worker", from_worker("uid-1", progressed(1))) == 503
    cluster.is_broken = False
    assert await send(dashboard, "worker", from_worker("uid-1", progressed(1))) == 200
