"""The faults that a real cluster can show, on the cluster that KUBECONFIG names: real Pods, a real kubelet.

The operator runs in the test; its workers are `sh` in the image that REPACK_CHAOS_IMAGE names and the node has.
"""

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from builders import a_task_object
from fakes.job_controller import a_result
from kubeapi import Kube, Server, real_server, unique
from repack_kube.access import find_access
from repack_kube.client import KubeCluster
from repack_kube.resources import JOBS, PODS, TASKS, Object, Resource, Scope
from repack_operator.metrics import Metrics
from repack_operator.program import Program
from repack_operator.settings import Settings
from requirements import kubeconfig, require

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(240)]
_QUOTAS = Resource("", "v1", "ResourceQuota", "resourcequotas")
_IMAGE = os.environ.get("REPACK_CHAOS_IMAGE", "")
WORKS = f"printf %s '{json.dumps(a_result('amd64'))}' > /dev/termination-log"
SLEEPS = "trap 'exit 143' TERM; sleep 600 & wait"
EATS = "exec tail /dev/zero"
AT_ONCE = {"limit": 2, "backoffSeconds": 0, "maxBackoffSeconds": 0}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    require(_IMAGE, "REPACK_CHAOS_IMAGE is not set: name an image with sh that the cluster's nodes have")
    path = kubeconfig()
    assert path is not None
    with real_server(path) as running:
        yield running


@dataclass
class Place:
    """A namespace of a real cluster, and the operator that serves it."""

    kube: Kube
    cluster: KubeCluster
    program: Program

    async def create_task(self, name: str = "demo", **spec: Any) -> None:
        body = a_task_object(name=name, namespace=self.kube.namespace, spec={"retry": AT_ONCE} | spec)
        body["metadata"] = {"name": name, "namespace": self.kube.namespace}
        del body["status"]
        await self.cluster.create(TASKS, body)

    async def status(self, name: str = "demo") -> Object:
        status: Object = (await self.cluster.get(TASKS, name, namespace=self.kube.namespace)).get("status") or {}
        return status

    async def reaches(self, phase: str, *, attempt: int | None = None, seconds: float = 90) -> Object:
        async def arrived() -> bool:
            status = await self.status()
            return status.get("phase") == phase and attempt in {None, status.get("attempt")}

        await self.until(arrived, f"{phase}, attempt {attempt}", seconds=seconds)
        return await self.status()

    async def until(self, condition: Callable[[], Awaitable[bool]], what: str, *, seconds: float = 90) -> None:
        try:
            async with asyncio.timeout(seconds):
                while not await condition():  # noqa: ASYNC110 - what is asked is on another machine
                    await asyncio.sleep(0.2)
        except TimeoutError:
            pytest.fail(f"waited {seconds} s for {what}; tasks: {(await self.cluster.list(TASKS, self.scope)).items}")

    @property
    def scope(self) -> Scope:
        return Scope(self.kube.namespace)

    async def pods(self) -> list[Object]:
        return (await self.cluster.list(PODS, self.scope)).items


@contextlib.asynccontextmanager
async def a_place(server: Server, script: str, **settings: Any) -> AsyncIterator[Place]:
    """Make a namespace and serve it; both are gone at the end."""
    namespace = unique("chaos")
    access = await find_access(kubeconfig=server.kubeconfig)
    known = {"worker_image": _IMAGE, "worker_command": ["sh", "-c", script], "namespaces": [namespace]}
    wanted = Settings(health_port=None, **known | settings)
    async with KubeCluster(access) as cluster:
        await asyncio.to_thread(server.client.post, "/api/v1/namespaces", json={"metadata": {"name": namespace}})
        program, stop = Program(access, cluster, wanted, Metrics(version="test")), asyncio.Event()
        running = asyncio.create_task(program.run(stop))
        try:
            yield Place(Kube(server, namespace), cluster, program)
        finally:
            stop.set()
            await running
            await asyncio.to_thread(server.client.delete, f"/api/v1/namespaces/{namespace}")


@pytest.mark.fault(6, "the Job is deleted, on a real cluster")
async def test_06_a_deleted_job_costs_one_attempt(server: Server) -> None:
    async with a_place(server, SLEEPS) as place:
        await place.create_task()
        await place.reaches("Running")
        await place.cluster.delete(JOBS, "rpt-demo-1", namespace=place.kube.namespace)

        status = await place.reaches("Running", attempt=2)
        assert [record["reason"] for record in status["attempts"]] == ["JobDeletedExternally"]


@pytest.mark.fault(6, "the Pod is deleted, on a real cluster")
async def test_06_a_deleted_pod_costs_one_attempt(server: Server) -> None:
    async with a_place(server, SLEEPS) as place:
        await place.create_task()
        await place.reaches("Running")
        (pod,) = await place.pods()
        await place.cluster.delete(PODS, pod["metadata"]["name"], namespace=place.kube.namespace)

        status = await place.reaches("Running", attempt=2)
        assert [record["class"] for record in status["attempts"]] == ["Infra"]


@pytest.mark.fault(7, "the eviction API, on a real cluster")
async def test_07_an_evicted_pod_is_replaced_and_counts_as_no_failure(server: Server) -> None:
    async with a_place(server, SLEEPS) as place:
        await place.create_task()
        await place.reaches("Running")
        (pod,) = await place.pods()
        name = pod["metadata"]["name"]
        body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}}
        path = f"{place.kube.core('pods')}/{name}/eviction"
        assert (await asyncio.to_thread(server.client.post, path, json=body)).status_code == 201

        async def another_runs() -> bool:
            running = [p for p in await place.pods() if p["metadata"]["name"] != name]
            return any(p["status"].get("phase") == "Running" for p in running)

        await place.until(another_runs, "another Pod")
        status = await place.status()
        assert all(record.get("class") in {None, "Infra"} for record in status.get("attempts") or ())


@pytest.mark.fault(8, "the kernel kills it, on a real cluster")
async def test_08_a_worker_that_eats_memory_gets_more_once(server: Server) -> None:
    profiles = {"default": {"memory": ["16Mi", "32Mi"]}}
    async with a_place(server, EATS, profiles=profiles) as place:
        await place.create_task()

        status = await place.reaches("Failed")
        assert status["reason"] == "OOMKilled"
        assert [record["reason"] for record in status["attempts"]] == ["OOMKilled", "OOMKilled"]


@pytest.mark.fault(9, "an image that nobody has, a node that does not exist, on a real cluster")
@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"worker_image": "none.test/none:1"}, "ImagePullBackOff"),
        ({"profiles": {"default": {"node_selector": {"dify-repack.io/no": "node"}}}}, "Unschedulable"),
    ],
)
async def test_09_what_cannot_start_fails_with_its_reason(server: Server, settings: Any, reason: str) -> None:
    async with a_place(server, WORKS, **settings) as place:
        await place.create_task(pendingDeadlineSeconds=15)

        status = await place.reaches("Failed")
        assert status["reason"] == reason
        assert place.program.reconciler.slots.in_use == 0


@pytest.mark.fault(12, "a ResourceQuota, on a real cluster")
async def test_12_a_full_quota_is_waited_for(server: Server) -> None:
    async with a_place(server, WORKS) as place:
        metadata = {"name": "none", "namespace": place.kube.namespace}
        quota: Object = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": metadata}
        await place.cluster.create(_QUOTAS, quota | {"spec": {"hard": {"count/jobs.batch": "0"}}})
        await asyncio.sleep(2)  # until the quota controller has counted
        await place.create_task()

        assert (await place.reaches("Queued"))["reason"] == "QuotaExceeded"
        await place.cluster.delete(_QUOTAS, "none", namespace=place.kube.namespace)
        await place.reaches("Succeeded")


@pytest.mark.fault(15, "the namespace is deleted, on a real cluster")
async def test_15_a_namespace_goes_with_a_running_task(server: Server) -> None:
    async with a_place(server, SLEEPS) as place:
        await place.create_task()
        await place.reaches("Running")
        path = f"/api/v1/namespaces/{place.kube.namespace}"
        await asyncio.to_thread(server.client.delete, path)

        async def is_gone() -> bool:
            return (await asyncio.to_thread(server.client.get, path)).status_code == 404

        await place.until(is_gone, "the namespace to go", seconds=120)
        assert place.program.reconciler.slots.in_use == 0
