"""The same calls against the embedded API and, where KUBECONFIG names one, a real cluster."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from builders import a_task, a_task_object
from embedded import embedded_api
from repack_contract.naming import LABEL_TASK
from repack_kube.access import find_access
from repack_kube.client import KubeCluster
from repack_kube.errors import ConflictError, ExistsError, InvalidError, NotFoundError
from repack_kube.resources import JOBS, LEASES, TASKS, Object, Resource, Scope
from repack_kube.watch import Gone, Seen, Synced, observe
from repack_operator.job import job_manifest
from repack_operator.settings import Settings
from requirements import kubeconfig

NAMESPACES = Resource("", "v1", "Namespace", "namespaces", namespaced=False)


REAL = [pytest.param("real", marks=pytest.mark.cluster)] if kubeconfig() else []


@pytest.fixture(params=["embedded", *REAL])
async def cluster(request: pytest.FixtureRequest) -> AsyncIterator[KubeCluster]:
    async with contextlib.AsyncExitStack() as stack:
        if request.param == "real":
            file = request.getfixturevalue("real_cluster").kubeconfig
        else:
            file = (await stack.enter_async_context(embedded_api())).kubeconfig_path
        yield await stack.enter_async_context(KubeCluster(await find_access(kubeconfig=file)))


@pytest.fixture
async def namespace(cluster: KubeCluster) -> AsyncIterator[str]:
    """A namespace of its own, under Pod Security "restricted"."""
    name = f"kube-{uuid4().hex[:8]}"
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    await cluster.create(
        NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
    )
    yield name
    await cluster.delete(NAMESPACES, name, namespace="")


def a_new_task(namespace: str, name: str = "demo", **metadata: object) -> Object:
    body = a_task_object(name=name)
    return {key: body[key] for key in ("apiVersion", "kind", "spec")} | {
        "metadata": {"name": name, "namespace": namespace, **metadata}
    }


async def test_an_object_lives_and_dies(cluster: KubeCluster, namespace: str) -> None:
    created = await cluster.create(TASKS, a_new_task(namespace))
    assert created["spec"]["python"] == "3.12", "defaults are filled in"
    with pytest.raises(ExistsError):
        await cluster.create(TASKS, a_new_task(namespace))

    patched = await cluster.patch(TASKS, "demo", {"spec": {"priority": 7}}, namespace=namespace)
    assert patched["metadata"]["generation"] == 2
    assert (await cluster.get(TASKS, "demo", namespace=namespace))["spec"]["priority"] == 7

    with pytest.raises(ConflictError):
        await cluster.delete(TASKS, "demo", namespace=namespace, uid="another")
    await cluster.delete(TASKS, "demo", namespace=namespace, uid=created["metadata"]["uid"])
    with pytest.raises(NotFoundError):
        await cluster.get(TASKS, "demo", namespace=namespace)


async def test_a_status_is_written_only_into_the_version_that_was_read(cluster: KubeCluster, namespace: str) -> None:
    created = await cluster.create(TASKS, a_new_task(namespace))
    version = {"resourceVersion": created["metadata"]["resourceVersion"]}
    status = {"phase": "Running", "sequence": 1}

    written = await cluster.patch_status(TASKS, "demo", {"metadata": version, "status": status}, namespace=namespace)

    assert written["status"] == status
    with pytest.raises(ConflictError):
        await cluster.patch_status(TASKS, "demo", {"metadata": version, "status": status}, namespace=namespace)


async def test_a_broken_rule_is_told_with_its_sentence(cluster: KubeCluster, namespace: str) -> None:
    await cluster.create(TASKS, a_new_task(namespace))

    with pytest.raises(InvalidError, match="immutable"):
        await cluster.patch(TASKS, "demo", {"spec": {"python": "3.11"}}, namespace=namespace)


async def test_a_replace_needs_the_newest_version(cluster: KubeCluster, namespace: str) -> None:
    lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "l", "namespace": namespace}}
    first = await cluster.create(LEASES, lease | {"spec": {"holderIdentity": "a"}})
    second = await cluster.replace(LEASES, first | {"spec": {"holderIdentity": "b"}})
    assert second["spec"]["holderIdentity"] == "b"

    with pytest.raises(ConflictError):
        await cluster.replace(LEASES, first | {"spec": {"holderIdentity": "c"}})


async def test_lists_obey_their_selectors(cluster: KubeCluster, namespace: str) -> None:
    for number in range(3):
        await cluster.create(TASKS, a_new_task(namespace, f"t{number}", labels={"n": str(number)}))

    assert len((await cluster.list(TASKS, Scope(namespace))).items) == 3
    (one,) = (await cluster.list(TASKS, Scope(namespace, labels="n=1"))).items
    assert one["metadata"]["name"] == "t1"
    (two,) = (await cluster.list(TASKS, Scope(namespace, fields="metadata.name=t2"))).items
    assert two["metadata"]["name"] == "t2"


async def test_changes_are_told_after_the_list(cluster: KubeCluster, namespace: str) -> None:
    await cluster.create(TASKS, a_new_task(namespace, "before"))
    told: list[str] = []

    async def follow() -> None:
        async for change in observe(cluster, TASKS, Scope(namespace)):
            if isinstance(change, Seen | Gone):
                told.append(f"{type(change).__name__} {change.object['metadata']['name']}")
            if isinstance(change, Synced):
                await cluster.create(TASKS, a_new_task(namespace, "after"))
                await cluster.delete(TASKS, "before", namespace=namespace)
            if told[-1:] == ["Gone before"]:
                return

    await asyncio.wait_for(follow(), timeout=20)
    assert told == ["Seen before", "Seen after", "Gone before"]


async def test_our_job_is_taken_whole(cluster: KubeCluster, namespace: str) -> None:
    owner = await cluster.create(TASKS, a_new_task(namespace))
    task = a_task(namespace=namespace, uid=owner["metadata"]["uid"])
    body = job_manifest(task, Settings(ingest_url="http://dashboard:8080"), attempt=1)
    # Suspended, so that no Pod is made of an image that is not there.
    body["spec"]["suspend"] = True

    created = await cluster.create(JOBS, body)

    assert created["spec"]["podFailurePolicy"]["rules"][1]["onExitCodes"]["values"] == [
        10,
        11,
        12,
        13,
        14,
        15,
        16,
        18,
        19,
    ]
    assert created["spec"]["podReplacementPolicy"] == "Failed"
    assert created["spec"]["template"]["spec"]["securityContext"]["runAsNonRoot"] is True
    found = await cluster.list(JOBS, Scope(namespace, labels=LABEL_TASK))
    assert [job["metadata"]["name"] for job in found.items] == ["rpt-demo-1"]


async def test_our_pod_is_allowed_where_pod_security_is_restricted(cluster: KubeCluster, namespace: str) -> None:
    pods = Resource("", "v1", "Pod", "pods")
    template = job_manifest(a_task(namespace=namespace), Settings(ingest_url="http://d"), attempt=1)["spec"]["template"]
    metadata = template["metadata"] | {"name": "p", "namespace": namespace}

    created = await cluster.create(
        pods, {"apiVersion": "v1", "kind": "Pod", "metadata": metadata} | {"spec": template["spec"]}
    )

    assert created["spec"]["containers"][0]["securityContext"]["readOnlyRootFilesystem"] is True
