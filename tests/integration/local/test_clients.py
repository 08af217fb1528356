"""Other clients than kubectl work on the embedded API: kopf as the operator uses it, and the official client."""

import asyncio
from typing import Any

import kopf
import yaml
from kubernetes import aio

from embedded import embedded_api
from kubeapi import a_job, a_manifest
from repack_local.api.kinds import JOBS


async def test_kopf_watches_indexes_and_stops() -> None:
    registry = kopf.OperatorRegistry()
    seen: asyncio.Queue[tuple[str | None, str, int]] = asyncio.Queue()

    @kopf.on.startup(registry=registry)
    def configure(settings: kopf.OperatorSettings, **_: Any) -> None:
        settings.scanning.disabled = True

    async with embedded_api() as running:

        @kopf.on.login(registry=registry)
        def login(**_: Any) -> kopf.ConnectionInfo:
            cluster = yaml.safe_load(running.kubeconfig_path.read_text())["clusters"][0]["cluster"]
            authority = cluster["certificate-authority-data"]
            return kopf.ConnectionInfo(server=running.address, ca_data=authority, scheme="Bearer", token=running.token)

        @kopf.index("batch", "v1", "jobs", id="jobs", registry=registry)
        def jobs(name: str, **_: Any) -> dict[str, int]:
            return {name: 1}

        @kopf.on.event("dify-repack.io", "v1alpha1", "repackagetasks", registry=registry)
        def note(type: str | None, name: str, jobs: Any, **_: Any) -> None:  # noqa: A002 - kopf's name
            seen.put_nowait((type, name, len(jobs)))

        running.api.objects.create(JOBS, "default", a_job())
        tasks = running.api.objects.registry.find("dify-repack.io", "v1alpha1", "repackagetasks")
        running.api.objects.create(tasks, "default", a_manifest("before"))
        ready, stop = asyncio.Event(), asyncio.Event()
        operator = asyncio.create_task(
            kopf.operator(registry=registry, ready_flag=ready, stop_flag=stop, clusterwide=True, standalone=True)
        )
        async with asyncio.timeout(20):
            assert await seen.get() == (None, "before", 1), "the index is filled first"
            running.api.objects.create(tasks, "default", a_manifest("after"))
            assert await seen.get() == ("ADDED", "after", 1)
            running.api.objects.delete(tasks, ("default", "after"))
            assert await seen.get() == ("DELETED", "after", 1)
            stop.set()
            await operator


async def test_the_official_client_reads_writes_and_watches() -> None:
    async with embedded_api() as running:
        await aio.config.load_kube_config(config_file=str(running.kubeconfig_path))
        async with aio.client.ApiClient() as client:
            custom = aio.client.CustomObjectsApi(client)
            place = ("dify-repack.io", "v1alpha1", "default", "repackagetasks")
            made = await custom.create_namespaced_custom_object(*place, a_manifest())
            assert made["metadata"]["generation"] == 1
            listed = await custom.list_namespaced_custom_object(*place)
            version = listed["metadata"]["resourceVersion"]
            job = await aio.client.BatchV1Api(client).create_namespaced_job("default", a_job())
            assert job.spec.completions == 1
            coordination = aio.client.CoordinationV1Api(client)
            lease = await coordination.create_namespaced_lease("default", {"metadata": {"name": "leader"}, "spec": {}})
            lease.spec.holder_identity = "me"
            renewed = await coordination.replace_namespaced_lease("leader", "default", lease)
            assert renewed.spec.holder_identity == "me"
            await custom.delete_namespaced_custom_object(*place, "demo")
            async with aio.watch.Watch() as watch:
                stream = watch.stream(
                    custom.list_namespaced_custom_object, *place, resource_version=version, timeout_seconds=5
                )
                async for event in stream:
                    assert event["type"] == "DELETED"
                    break
