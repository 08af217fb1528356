"""What can happen to the cluster around the operator."""

import asyncio
import copy
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from builders import a_task_object
from fakes.job_controller import JobController, a_result, runs
from operator_bench import Bench
from repack_kube.client import Cluster
from repack_kube.errors import UnavailableError
from repack_kube.resources import JOBS, PODS, TASKS, Object, Resource, Scope

DEFINITIONS = Resource(
    "apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions", namespaced=False
)
NAMESPACES = Resource("", "v1", "Namespace", "namespaces", namespaced=False)
_CALLS = ("create", "patch_status", "get", "list", "delete")


class Storm:
    """An API server of which most calls get an error."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self.rages = False
        self.refused = 0

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._cluster, name)
        return self._perhaps(method) if name in _CALLS else method

    def _perhaps(self, method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def call(*args: Any, **kwargs: Any) -> Any:
            if self.rages:
                self.refused += 1
                raise UnavailableError("the server is overloaded", status=503)
            return await method(*args, **kwargs)

        return call


@pytest.mark.fault(2, "every call gets a 503")
async def test_02_a_storm_of_errors_is_weathered_without_a_hot_loop(bench: Bench) -> None:
    storms: list[Storm] = []

    def wrap(cluster: Cluster) -> Cluster:
        storms.append(Storm(cluster))
        return storms[0]  # type: ignore[return-value]

    bench.wrap = wrap
    await bench.start_operator()
    storms[0].rages = True
    for number in range(4):
        await bench.create_task(f"demo-{number}")
    await bench.until(lambda: storms[0].refused >= 8, "refusals")
    await asyncio.sleep(2)
    assert storms[0].refused < 60, "each task backs off"
    storms[0].rages = False

    for number in range(4):
        await bench.phase(f"demo-{number}", "Succeeded", seconds=15)
    assert len(bench.player.created) == 4


@pytest.mark.fault(15, "the task is deleted while it runs")
async def test_15_a_task_deleted_while_it_runs_takes_everything_along(bench: Bench) -> None:
    bench.player.default = runs
    program = await bench.start_operator(max_concurrent=1)
    await bench.create_task("demo")
    await bench.phase("demo", "Running")

    await bench.cluster.delete(TASKS, "demo", namespace="default")

    await nothing_is_left(bench)
    await bench.until(lambda: program.reconciler.slots.in_use == 0, "the slot")
    await bench.create_task("next")
    await bench.phase("next", "Running")


@pytest.mark.fault(15, "the operator is gone before the tasks are deleted")
async def test_15_without_an_operator_tasks_can_be_deleted(bench: Bench) -> None:
    bench.player.default = runs
    await bench.start_operator()
    await bench.create_task("demo")
    await bench.phase("demo", "Running")
    await bench.stop_operator()

    await bench.cluster.delete(TASKS, "demo", namespace="default")

    await bench.gone("demo")
    await nothing_is_left(bench)


@pytest.mark.fault(15, "the namespace is deleted")
async def test_15_a_deleted_namespace_is_not_held_up(bench: Bench) -> None:
    bench.player.default = runs
    program = await bench.start_operator()
    metadata = {"metadata": {"name": "team"}}
    await bench.cluster.create(NAMESPACES, {"apiVersion": "v1", "kind": "Namespace"} | metadata)
    body = a_task_object(namespace="team")
    body["metadata"] = {"name": "demo", "namespace": "team"}
    del body["status"]
    await bench.cluster.create(TASKS, body)
    await bench.until(lambda: program.reconciler.slots.in_use == 1, "the Job")

    await bench.cluster.delete(NAMESPACES, "team", namespace="")

    async def namespace_is_gone() -> bool:
        names = [item["metadata"]["name"] for item in (await bench.cluster.list(NAMESPACES)).items]
        return "team" not in names

    await bench.until(namespace_is_gone, "the namespace to go")
    await bench.until(lambda: program.reconciler.slots.in_use == 0, "the slot")


async def nothing_is_left(bench: Bench) -> None:
    async def gone() -> bool:
        left = [(await bench.cluster.list(kind, Scope("default"))).items for kind in (JOBS, PODS)]
        return not any(left)

    await bench.until(gone, "Jobs and Pods to go")


def another_version(definition: Object) -> Object:
    """The CRD of another release: it does not know `dryRun` yet, and has fields that ours does not have."""
    other = copy.deepcopy(definition)
    schema = other["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    spec = schema["properties"]["spec"]
    del spec["properties"]["dryRun"]
    spec["properties"]["colour"] = {"type": "string"}
    for part in (schema, spec):
        rules = part["x-kubernetes-validations"]
        part["x-kubernetes-validations"] = [rule for rule in rules if "dryRun" not in rule["rule"]]
    return other


@pytest.mark.fault(17, "tasks that were stored under the CRD of another release")
async def test_17_old_objects_and_unknown_fields_still_come_to_an_end(bench: Bench) -> None:
    name = "repackagetasks.dify-repack.io"
    ours = await bench.cluster.get(DEFINITIONS, name, namespace="")
    theirs = await bench.cluster.replace(DEFINITIONS, another_version(ours))
    await bench.create_task("old")
    await bench.create_task("strange", colour="blue")
    bench.player.default = runs
    await bench.start_operator()
    await bench.phase("old", "Running")
    strange = await bench.phase("strange", "Failed")
    assert strange["status"]["reason"] == "InvalidSpec"
    assert "colour" in strange["status"]["message"], "what this operator cannot obey is named, and not passed over"

    await bench.cluster.replace(DEFINITIONS, ours | {"metadata": theirs["metadata"]})
    await bench.create_task("new", dryRun=False)
    await bench.phase("new", "Running")
    for job in await bench.jobs():
        await JobController(bench.cluster).end(job, exit_code=0, result=a_result("amd64"))

    await bench.phase("old", "Succeeded")
    await bench.phase("new", "Succeeded")
