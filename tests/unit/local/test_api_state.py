"""What the embedded API keeps over restarts, whom it lets in, and where it listens."""

import asyncio
import json
import re
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from builders import a_task_object
from embedded import CRD, embedded_api
from kubeapi import client_of
from repack_contract.errors import RepackError
from repack_local.api import ApiOptions, EmbeddedApi
from repack_local.api.kinds import NAMESPACES, Resource


def tasks_of(api: EmbeddedApi) -> Resource:
    return api.objects.registry.find("dify-repack.io", "v1alpha1", "repackagetasks")


def a_new_task(name: str) -> dict[str, object]:
    obj = a_task_object(name=name)
    return {key: obj[key] for key in ("apiVersion", "kind", "spec")} | {"metadata": {"name": name}}


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::", "example.test"])
def test_an_address_that_others_can_reach_is_refused(host: str) -> None:
    with pytest.raises(RepackError, match=re.escape(f"listens on a loopback address only, not on {host}")) as refusal:
        EmbeddedApi(ApiOptions(host=host))
    assert "127.0.0.1" in refusal.value.hint


async def test_a_port_in_use_is_replaced_by_a_free_one() -> None:
    async with EmbeddedApi(ApiOptions()) as first:
        port = int(first.address.rpartition(":")[2])
        async with EmbeddedApi(ApiOptions(port=port)) as second:
            assert second.address != first.address


async def test_objects_versions_token_and_certificate_outlive_a_restart(tmp_path: Path) -> None:
    async with embedded_api(state=tmp_path) as first:
        made = first.api.objects.create(tasks_of(first.api), "default", a_new_task("kept"))
        first.api.objects.create(tasks_of(first.api), "default", a_new_task("gone"))
        first.api.objects.delete(tasks_of(first.api), ("default", "gone"))
        version = first.api.storage.version
        secrets = (first.token, first.api.certificate)
    async with embedded_api(state=tmp_path) as second:
        assert (second.token, second.api.certificate) == secrets
        found = second.api.storage.entries(tasks_of(second.api).key)
        assert [entry.obj for entry in found] == [made.obj]
        assert second.api.storage.version >= version, "versions never go back"


async def test_a_watch_over_a_restart_is_told_to_list_again(tmp_path: Path) -> None:
    async with embedded_api(state=tmp_path) as first:
        before = first.api.storage.version
        first.api.objects.create(tasks_of(first.api), "default", a_new_task("a"))
    async with embedded_api(state=tmp_path) as second:
        with client_of(second.kubeconfig_path) as client:
            path = "/apis/dify-repack.io/v1alpha1/repackagetasks"
            query = {"watch": "1", "resourceVersion": str(before), "timeoutSeconds": "5"}
            answer = await asyncio.to_thread(client.get, path, params=query)
    assert '"code":410' in answer.text.replace(" ", "")


def test_an_answered_write_survives_a_kill(tmp_path: Path) -> None:
    code = f"""
import os, signal, pathlib
from repack_local.api.kinds import NAMESPACES
from repack_local.api.objects import Objects
from repack_local.api.storage import Storage
objects = Objects(Storage(pathlib.Path({str(tmp_path)!r}) / "objects.sqlite"))
for number in range(200):
    objects.create(NAMESPACES, "", {{"metadata": {{"name": f"n{{number}}"}}}})
os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    api = EmbeddedApi(ApiOptions(state=tmp_path))
    names = {entry.obj["metadata"]["name"] for entry in api.storage.entries(NAMESPACES.key)}
    api.storage.close()
    assert {f"n{number}" for number in range(200)} <= names


async def test_secrets_of_the_state_folder_are_the_owners_alone(tmp_path: Path) -> None:
    async with embedded_api(state=tmp_path) as running:
        kept = [tmp_path / "token", tmp_path / "tls-127.0.0.1.pem", running.kubeconfig_path]
        assert {stat.S_IMODE(path.stat().st_mode) for path in kept} == {0o600}


async def test_without_the_token_only_health_and_version_answer() -> None:
    async with embedded_api() as running:

        def ask() -> list[int]:
            with client_of(running.kubeconfig_path, token="wrong") as client:
                return [client.get(path).status_code for path in ("/readyz", "/version", "/api", "/openapi/v3")]

        assert await asyncio.to_thread(ask) == [200, 200, 401, 401]


async def test_a_definition_that_changed_is_renewed_at_the_start(tmp_path: Path) -> None:
    old = tmp_path / "crd.yaml"
    old.write_text(CRD.read_text().replace('- "rpt"', '- "old"'))
    state = tmp_path / "state"
    async with EmbeddedApi(ApiOptions(crds=(old,), state=state)) as api:
        assert tasks_of(api).short_names == ("old",)
    async with EmbeddedApi(ApiOptions(crds=(CRD,), state=state)) as api:
        assert tasks_of(api).short_names == ("rpt",)


async def test_a_task_of_an_older_definition_gets_the_defaults_of_the_new_one(tmp_path: Path) -> None:
    definition = yaml.safe_load(CRD.read_text())
    spec = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    del spec["properties"]["dryRun"]
    spec["x-kubernetes-validations"] = [r for r in spec["x-kubernetes-validations"] if "dryRun" not in r["rule"]]
    old = tmp_path / "crd.yaml"
    old.write_text(yaml.safe_dump(definition))
    state = tmp_path / "state"
    async with EmbeddedApi(ApiOptions(crds=(old,), state=state)) as api:
        made = api.objects.create(tasks_of(api), "default", a_new_task("old"))
        assert "dryRun" not in made.obj["spec"]
    async with EmbeddedApi(ApiOptions(crds=(CRD,), state=state)) as api:
        assert api.objects.get(tasks_of(api), "default", "old").obj["spec"]["dryRun"] is False
        patched, _ = api.objects.patch(
            tasks_of(api), ("default", "old"), {"spec": {"priority": 1}}, media_type="application/merge-patch+json"
        )
        assert patched.obj["metadata"]["generation"] == 2


async def test_a_quiet_watch_ends_with_a_bookmark() -> None:
    async with embedded_api() as running:

        def watch() -> list[dict[str, Any]]:
            with client_of(running.kubeconfig_path) as client:
                path = "/apis/dify-repack.io/v1alpha1/repackagetasks"
                query = {"watch": "1", "timeoutSeconds": "3", "allowWatchBookmarks": "true", "resourceVersion": "2"}
                return [json.loads(line) for line in client.get(path, params=query).text.splitlines()]

        running.api.objects.create(NAMESPACES, "", {"metadata": {"name": "elsewhere"}})
        events = await asyncio.to_thread(watch)
        assert [event["type"] for event in events] == ["BOOKMARK"]
        assert events[0]["object"]["kind"] == "RepackageTask"
        assert int(events[0]["object"]["metadata"]["resourceVersion"]) == running.api.storage.version


async def test_a_body_above_the_limit_is_refused() -> None:
    async with embedded_api() as running:

        def send() -> httpx.Response:
            with client_of(running.kubeconfig_path) as client:
                data = {"metadata": {"name": "big"}, "data": {"a": "x" * (2 << 20)}}
                return client.post("/api/v1/namespaces/default/configmaps", json=data)

        assert (await asyncio.to_thread(send)).status_code == 413


async def test_hundreds_of_writes_take_seconds_not_minutes() -> None:
    async with embedded_api() as running:

        def write() -> None:
            with client_of(running.kubeconfig_path) as client:
                path = "/apis/dify-repack.io/v1alpha1/namespaces/default/repackagetasks"
                for number in range(200):
                    assert client.post(path, json=a_new_task(f"t{number}")).status_code == 201

        await asyncio.wait_for(asyncio.to_thread(write), timeout=20)
        assert len(running.api.storage.entries(tasks_of(running.api).key)) == 200
