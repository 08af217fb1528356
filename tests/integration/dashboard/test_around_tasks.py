"""What is told beside the tasks: what lies on the volume, several packages as one archive, Pods and Events."""

import asyncio
import hashlib
import io
import zipfile
from pathlib import Path
from typing import Any

import pytest

from builders import a_pod_object, a_task_object
from fakes.task_api import FakeTaskApi
from repack_kube.errors import ForbiddenError
from repack_kube.resources import EVENTS, EVERYWHERE, PODS, ObjectList, Resource, Scope
from running_dashboard import SENDER, Dashboard, a_dashboard, from_worker, logged

ZIP = b"PK\x03\x04" + bytes(range(256)) * 9000


async def hand_in(dashboard: Dashboard, uid: str, name: str, content: bytes = ZIP) -> dict[str, Any]:
    """Hand in a package as a worker does and return the artifact as its task's status would tell it."""
    sha256 = hashlib.sha256(content).hexdigest()
    answer = await dashboard.http.put(
        f"/api/v1/ingest/artifacts/{uid}/1/amd64/{name}",
        content=content,
        headers=SENDER | {"X-Content-SHA256": sha256},
    )
    assert answer.status_code == 201, answer.text
    return {"target": "amd64", "name": name, "uri": answer.json()["uri"], "sha256": sha256, "sizeBytes": len(content)}


async def with_artifacts(dashboard: Dashboard, uid: str, task: str, *artifacts: dict[str, Any]) -> None:
    """Let a task have succeeded with these artifacts."""
    status = {"phase": "Succeeded", "sequence": 9, "attempt": 1, "artifacts": list(artifacts)}
    dashboard.api.put(a_task_object(name=task, uid=uid, status=status))
    await dashboard.services.relist.refresh()


async def test_the_storage_report_equals_what_lies_on_the_volume(dashboard: Dashboard, tmp_path: Path):
    await hand_in(dashboard, "uid-1", "demo-offline.difypkg")
    await dashboard.ingest(from_worker("uid-1", logged(1, 2, 3)))
    await dashboard.http.post("/api/v1/uploads", params={"filename": "nobodys.difypkg"}, content=ZIP)
    report = (await dashboard.http.get("/api/v1/storage")).json()
    log = tmp_path / "data" / "tasks" / "uid-1" / "1" / "log.ndjson"
    assert report["packages"] == {"files": 1, "sizeBytes": len(ZIP)}
    assert report["logs"] == {"files": 1, "sizeBytes": log.stat().st_size}
    assert report["uploads"] == {"files": 0, "sizeBytes": 0}
    assert report["leaving"] == {"files": 1, "sizeBytes": len(ZIP)}, "an upload that no task names goes"
    assert report["retentionSeconds"] == 86400
    assert 0 < report["freeBytes"] < report["volumeBytes"]


async def test_what_a_deleted_task_left_counts_as_leaving(dashboard: Dashboard):
    await hand_in(dashboard, "uid-1", "demo-offline.difypkg")
    await dashboard.http.delete("/api/v1/tasks/uid-1")
    report = (await dashboard.http.get("/api/v1/storage")).json()
    assert report["packages"]["files"] == 0
    assert report["leaving"]["sizeBytes"] >= len(ZIP)


async def test_several_packages_come_as_one_archive_that_checks_itself(dashboard: Dashboard, tmp_path: Path):
    other = ZIP + b"another"
    await with_artifacts(dashboard, "uid-1", "demo", await hand_in(dashboard, "uid-1", "one.difypkg"))
    dashboard.api.put(a_task_object(name="second", uid="uid-2"))
    await dashboard.services.relist.refresh()
    await with_artifacts(dashboard, "uid-2", "second", await hand_in(dashboard, "uid-2", "one.difypkg", other))

    answer = await dashboard.http.get("/api/v1/archive", params=[("task", "uid-1"), ("task", "uid-2")])
    assert answer.headers["content-disposition"] == 'attachment; filename="dify-offline-packages.zip"'
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["one.difypkg", "second/one.difypkg", "SHA256SUMS"]
        archive.extractall(tmp_path / "out")
    assert (tmp_path / "out" / "second" / "one.difypkg").read_bytes() == other
    check = await asyncio.create_subprocess_exec("sha256sum", "-c", "--quiet", "SHA256SUMS", cwd=tmp_path / "out")
    assert await check.wait() == 0


async def test_an_archive_of_tasks_without_packages_is_a_404_that_says_so(dashboard: Dashboard):
    answer = await dashboard.http.get("/api/v1/archive", params={"task": "uid-1"})
    assert answer.status_code == 404
    assert "has a package" in answer.json()["detail"]
    assert (await dashboard.http.get("/api/v1/archive", params={"task": "nobody"})).status_code == 404


class ClusterWithPods(FakeTaskApi):
    """Holds Pods and Events too; `forbidden` are the plurals that may not be listed."""

    def __init__(self) -> None:
        super().__init__()
        self.pods: list[dict[str, Any]] = []
        self.events: list[dict[str, Any]] = []
        self.forbidden: set[str] = set()
        self.scopes: list[Scope] = []

    async def list(self, resource: Resource, scope: Scope = EVERYWHERE) -> ObjectList:
        if resource.plural in self.forbidden:
            raise ForbiddenError(f"{resource.plural} is forbidden", status=403, reason="Forbidden")
        if resource in {PODS, EVENTS}:
            self.scopes.append(scope)
            return ObjectList(self.pods if resource is PODS else self.events, "1")
        return await super().list(resource, scope)


def an_event(kind: str, name: str, reason: str, message: str, at: str, **parts: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": f"{name}.{reason}", "namespace": "default", "creationTimestamp": at},
        "involvedObject": {"kind": kind, "name": name, **parts},
        "type": "Warning", "reason": reason, "message": message, "count": 4, "lastTimestamp": at,
    }  # fmt: skip


@pytest.fixture
def cluster() -> ClusterWithPods:
    api = ClusterWithPods()
    status = {"phase": "Starting", "sequence": 1, "attempt": 2, "job": {"name": "rpt-demo-2"},
              "attempts": [{"attempt": 1, "job": "rpt-demo-1"}]}  # fmt: skip
    api.put(a_task_object(status=status))
    return api


async def test_an_image_that_cannot_be_pulled_is_told_without_kubectl(tmp_path: Path, cluster: ClusterWithPods):
    why = {"reason": "ImagePullBackOff", "message": 'Back-off pulling image "nowhere/worker:1": unauthorized'}
    cluster.pods = [a_pod_object(attempt=2, phase="Pending", state={"waiting": why})]
    cluster.events = [
        an_event("Pod", "rpt-demo-2-x", "Failed", "Failed to pull image", "2026-11-23T06:01:00Z"),
        an_event("Pod", "rpt-demo-20-x", "Failed", "of another task", "2026-11-23T06:02:00Z"),
        an_event("Job", "rpt-demo-1", "BackoffLimitExceeded", "has reached it", "2026-11-23T06:00:00Z"),
        an_event("RepackageTask", "demo", "JobCreated", "of an earlier demo", "2026-11-23T06:03:00Z", uid="uid-0"),
    ]
    async with a_dashboard(tmp_path, api=cluster) as dashboard:
        told = (await dashboard.http.get("/api/v1/tasks/uid-1/sights")).json()
    assert told["pods"] == [{"name": "rpt-demo-2-x", "phase": "Pending", **why}]
    assert [event["message"] for event in told["events"]] == ["Failed to pull image", "has reached it"]
    assert told["events"][0] | {"count": 4, "type": "Warning"} == told["events"][0]
    assert told["missing"] == []
    labels = next(scope.labels for scope in cluster.scopes if scope.labels)
    assert labels == "dify-repack.io/task-uid=uid-1,dify-repack.io/attempt=2"


async def test_a_pod_that_finds_no_node_is_told(tmp_path: Path, cluster: ClusterWithPods):
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes"}
    cluster.pods = [a_pod_object(attempt=2, phase="Pending", status={"conditions": [condition]})]
    async with a_dashboard(tmp_path, api=cluster) as dashboard:
        told = (await dashboard.http.get("/api/v1/tasks/uid-1/sights")).json()
    assert (told["pods"][0]["reason"], told["pods"][0]["message"]) == ("Unschedulable", "0/3 nodes")


async def test_without_the_right_to_list_pods_the_answer_says_so(tmp_path: Path, cluster: ClusterWithPods):
    cluster.forbidden = {"pods"}
    async with a_dashboard(tmp_path, api=cluster) as dashboard:
        told = (await dashboard.http.get("/api/v1/tasks/uid-1/sights")).json()
    assert told == {"pods": [], "events": [], "missing": ["pods"]}


async def test_what_lies_beside_a_package_is_named_and_what_does_not_is_not(dashboard: Dashboard):
    await with_artifacts(dashboard, "uid-1", "demo", await hand_in(dashboard, "uid-1", "one.difypkg"))
    sbom = "/api/v1/ingest/companions/uid-1/1/amd64/sbom.cdx.json"
    assert (await dashboard.http.put(sbom, content=b"{}", headers=SENDER)).status_code == 204
    told = (await dashboard.http.get("/api/v1/tasks/uid-1/companions")).json()
    assert told == [{"target": "amd64", "kinds": ["sbom.cdx.json"]}]
    brought = await dashboard.http.get("/api/v1/artifacts/uid-1/one.difypkg/sbom.cdx.json")
    assert brought.headers["content-type"] == "application/vnd.cyclonedx+json"


async def test_the_page_comes_compressed_to_those_who_take_it_and_whole_to_others(tmp_path: Path):
    script = "// much the same, much the same\n" * 400
    (tmp_path / "static" / "assets").mkdir(parents=True)
    (tmp_path / "static" / "index.html").write_text("<title>page</title>")
    (tmp_path / "static" / "assets" / "index-0123abcd.js").write_text(script)
    async with a_dashboard(tmp_path) as dashboard:
        small = await dashboard.http.get("/assets/index-0123abcd.js", headers={"Accept-Encoding": "gzip"})
        whole = await dashboard.http.get("/assets/index-0123abcd.js", headers={"Accept-Encoding": "identity"})
    assert small.headers["content-encoding"] == "gzip"
    assert int(small.headers["content-length"]) < len(script) / 10
    assert small.text == whole.text == script
    assert "content-encoding" not in whole.headers
    for answer in (small, whole):
        assert answer.headers["vary"] == "Accept-Encoding"
        assert "immutable" in answer.headers["cache-control"]
        assert answer.headers["content-type"].startswith("text/javascript")
