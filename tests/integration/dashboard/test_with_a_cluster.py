"""Over the embedded Kubernetes API with the real CRD: what its rules refuse reaches the user in their words."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from builders import a_task_object
from embedded import embedded_api
from repack_kube.access import find_access
from repack_kube.client import KubeCluster
from repack_kube.resources import TASKS
from running_dashboard import Dashboard, a_dashboard, messages

SPEC = a_task_object()["spec"]


@contextlib.asynccontextmanager
async def a_cluster() -> AsyncIterator[KubeCluster]:
    """Run the embedded API and connect to it as the program does."""
    async with embedded_api() as running, KubeCluster(await find_access(kubeconfig=running.kubeconfig_path)) as cluster:
        yield cluster


async def create(dashboard: Dashboard, name: str) -> dict[str, object]:
    answer = await dashboard.http.post("/api/v1/tasks", json={"name": name, "spec": SPEC})
    assert answer.status_code == 201, answer.text
    made: dict[str, object] = answer.json()
    return made


async def test_the_rules_of_the_cluster_are_told_with_field_and_sentence(tmp_path: Path) -> None:
    async with a_cluster() as cluster, a_dashboard(tmp_path, api=cluster) as dashboard:
        long = await dashboard.http.post("/api/v1/tasks", json={"name": "x" * 60, "spec": SPEC})
        odd = await dashboard.http.post(
            "/api/v1/tasks", json={"spec": {**SPEC, "source": {"type": "Upload", "url": SPEC["source"]["url"]}}}
        )
        made = await create(dashboard, "one")
        cancelled = await dashboard.http.post(f"/api/v1/tasks/{made['uid']}/cancel")
        resumed = await dashboard.http.post(f"/api/v1/tasks/{made['uid']}/resume")
        taken = await dashboard.http.post("/api/v1/tasks", json={"name": "one", "spec": SPEC})
    assert long.status_code == 422
    assert "at most 52 characters" in long.json()["detail"]
    assert odd.status_code == 422
    assert "source.url must be set exactly when type is URL" in odd.json()["detail"]
    assert cancelled.json()["spec"]["desiredState"] == "Cancelled"
    assert resumed.status_code == 422
    assert "a cancelled task cannot be reactivated" in resumed.json()["detail"]
    assert (taken.status_code, taken.json()["details"]["field"]) == (409, "metadata.name")


async def test_a_task_made_and_deleted_elsewhere_shows_without_an_operator(tmp_path: Path) -> None:
    async with (
        a_cluster() as cluster,
        a_dashboard(tmp_path, api=cluster, relist_seconds=0.05) as dashboard,
        dashboard.socket("/ws/tasks?v=1") as socket,
    ):
        await messages(socket, 2)
        body = {key: value for key, value in a_task_object(name="by-kubectl").items() if key != "status"}
        body["metadata"] = {"name": "by-kubectl", "namespace": "default"}
        await cluster.create(TASKS, body)
        (made,) = await messages(socket, 1)
        again = await dashboard.http.post(f"/api/v1/tasks/{made['task_id']}/rerun")
        gone = await dashboard.http.delete(f"/api/v1/tasks/{made['task_id']}")
    assert made["name"] == "by-kubectl"
    assert again.json()["name"] == "by-kubectl-2"
    assert gone.status_code == 204


async def test_a_wish_for_a_task_that_was_replaced_meanwhile_is_refused_by_the_cluster(tmp_path: Path) -> None:
    async with a_cluster() as cluster, a_dashboard(tmp_path, api=cluster) as dashboard:
        made = await create(dashboard, "one")
        await cluster.delete(TASKS, "one", namespace="default")
        body = {"apiVersion": "dify-repack.io/v1alpha1", "kind": "RepackageTask", "spec": SPEC}
        await cluster.create(TASKS, {**body, "metadata": {"name": "one", "namespace": "default"}})
        cancelled = await dashboard.http.post(f"/api/v1/tasks/{made['uid']}/cancel")
        deleted = await dashboard.http.delete(f"/api/v1/tasks/{made['uid']}")
        now = await cluster.get(TASKS, "one", namespace="default")
    assert (cancelled.status_code, deleted.status_code) == (409, 409)
    assert now["spec"].get("desiredState", "Active") == "Active"
