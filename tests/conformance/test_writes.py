"""Updates, the four kinds of patches, and the wall between spec and status."""

import pytest

from kubeapi import APPLY, JSON_PATCH, MERGE, STRATEGIC, Kube, a_config_map, a_job, a_manifest


def test_a_put_with_a_stale_version_is_a_conflict(kube: Kube) -> None:
    made = kube.create(kube.tasks, a_manifest())
    path = f"{kube.tasks}/demo"
    kube.patch(path, {"spec": {"priority": 1}})
    response = kube.client.put(path, json=made)
    assert (response.status_code, response.json()["reason"]) == (409, "Conflict")
    assert "the object has been modified; please apply your changes to the latest version" in response.json()["message"]
    fresh = kube.get(path)
    fresh["spec"]["priority"] = 2
    assert kube.client.put(path, json=fresh).json()["spec"]["priority"] == 2


def test_a_put_of_a_task_or_lease_needs_a_version(kube: Kube) -> None:
    made = kube.create(kube.tasks, a_manifest())
    del made["metadata"]["resourceVersion"]
    response = kube.client.put(f"{kube.tasks}/demo", json=made)
    assert response.status_code == 422
    assert "metadata.resourceVersion" in response.json()["message"]


def test_a_put_cannot_change_what_the_server_owns(kube: Kube) -> None:
    made = kube.create(kube.tasks, a_manifest())
    changed = made | {"metadata": made["metadata"] | {"creationTimestamp": "2001-01-01T00:00:00Z", "generation": 9}}
    stored = kube.client.put(f"{kube.tasks}/demo", json=changed).json()["metadata"]
    assert (stored["creationTimestamp"], stored["generation"]) == (made["metadata"]["creationTimestamp"], 1)
    stranger = made | {"metadata": made["metadata"] | {"uid": "0f0f0f0f-0000-0000-0000-000000000000"}}
    assert kube.client.put(f"{kube.tasks}/demo", json=stranger).status_code == 409
    renamed = made | {"metadata": made["metadata"] | {"name": "other"}}
    assert kube.client.put(f"{kube.tasks}/demo", json=renamed).status_code == 400


def test_a_lease_is_renewed_by_put_once(kube: Kube) -> None:
    made = kube.create(kube.leases, {"metadata": {"name": "leader"}, "spec": {"holderIdentity": "a"}})
    made["spec"]["holderIdentity"] = "b"
    assert kube.client.put(f"{kube.leases}/leader", json=made).status_code == 200
    made["spec"]["holderIdentity"] = "c"
    assert kube.client.put(f"{kube.leases}/leader", json=made).status_code == 409
    assert kube.get(f"{kube.leases}/leader")["spec"]["holderIdentity"] == "b"


def test_a_merge_patch_merges_removes_and_replaces(kube: Kube) -> None:
    kube.create(kube.core("configmaps"), a_config_map("m", labels={"a": "1", "b": "2"}))
    path = f"{kube.core('configmaps')}/m"
    patched = kube.patch(path, {"metadata": {"labels": {"a": None, "c": "3"}}, "data": {"b": "2"}}).json()
    assert patched["metadata"]["labels"] == {"b": "2", "c": "3"}
    assert patched["data"] == {"a": "1", "b": "2"}


def test_a_merge_patch_may_carry_the_version_it_was_made_for(kube: Kube) -> None:
    made = kube.create(kube.tasks, a_manifest())
    path, version = f"{kube.tasks}/demo", made["metadata"]["resourceVersion"]
    body = {"metadata": {"resourceVersion": version}, "spec": {"priority": 1}}
    assert kube.patch(path, body).status_code == 200
    stale = kube.patch(path, body | {"spec": {"priority": 2}})
    assert (stale.status_code, stale.json()["reason"]) == (409, "Conflict")


def test_a_json_patch_tests_first(kube: Kube) -> None:
    kube.create(kube.tasks, a_manifest(priority=3))
    path = f"{kube.tasks}/demo"
    good = [
        {"op": "test", "path": "/spec/priority", "value": 3},
        {"op": "replace", "path": "/spec/priority", "value": 4},
        {"op": "add", "path": "/metadata/annotations", "value": {"x/y": "z"}},
        {"op": "remove", "path": "/metadata/annotations/x~1y"},
    ]
    assert kube.patch(path, good, kind=JSON_PATCH).json()["spec"]["priority"] == 4
    failed = kube.patch(path, good, kind=JSON_PATCH)
    assert (failed.status_code, failed.json()["reason"]) == (422, "Invalid")
    nowhere = kube.patch(path, [{"op": "remove", "path": "/spec/nothing"}], kind=JSON_PATCH)
    assert nowhere.status_code == 422
    assert kube.patch(path, {"spec": {}}, kind=JSON_PATCH).status_code == 400


def test_a_strategic_patch_merges_lists_by_name(kube: Kube) -> None:
    kube.create(kube.jobs, a_job(suspend=True))
    path = f"{kube.jobs}/work"
    env = {"env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}], "name": "worker"}
    patched = kube.patch(path, {"spec": {"template": {"spec": {"containers": [env]}}}}, kind=STRATEGIC, dryRun="All")
    if patched.status_code == 422:  # the template may be immutable here; labels are not
        assert "field is immutable" in patched.json()["message"]
    labelled = kube.patch(path, {"metadata": {"labels": {"x": "y"}}}, kind=STRATEGIC)
    assert labelled.json()["metadata"]["labels"]["x"] == "y"


def test_a_strategic_patch_unites_conditions_by_type(kube: Kube) -> None:
    kube.create(kube.core("pods"), a_pod())
    path = f"{kube.core('pods')}/p/status"
    for kind in ("dify-repack.io/A", "dify-repack.io/B", "dify-repack.io/A"):
        body = {"status": {"conditions": [{"type": kind, "status": "True"}]}}
        assert kube.patch(path, body, kind=STRATEGIC).status_code == 200
    conditions = kube.get(f"{kube.core('pods')}/p")["status"]["conditions"]
    ours = [c["type"] for c in conditions if c["type"].startswith("dify-repack.io/")]
    assert sorted(ours) == ["dify-repack.io/A", "dify-repack.io/B"]


def test_custom_resources_take_no_strategic_patch(kube: Kube) -> None:
    kube.create(kube.tasks, a_manifest())
    response = kube.patch(f"{kube.tasks}/demo", {"spec": {"priority": 1}}, kind=STRATEGIC)
    assert (response.status_code, response.json()["reason"]) == (415, "UnsupportedMediaType")


def test_server_side_apply_creates_updates_and_gives_up_fields(kube: Kube) -> None:
    path = f"{kube.tasks}/demo"
    config = a_manifest(priority=5, activeDeadlineSeconds=100)
    created = kube.patch(path, config, kind=APPLY, fieldManager="me")
    assert created.status_code == 201
    entry = created.json()["metadata"]["managedFields"][0]
    assert (entry["manager"], entry["operation"]) == ("me", "Apply")
    assert "f:priority" in entry["fieldsV1"]["f:spec"]
    updated = kube.patch(path, a_manifest(activeDeadlineSeconds=100), kind=APPLY, fieldManager="me")
    assert updated.status_code == 200
    assert updated.json()["spec"]["priority"] == 0, "a field given up falls back to its default"
    assert updated.json()["spec"]["activeDeadlineSeconds"] == 100


def test_server_side_apply_refuses_what_another_manager_holds(kube: Kube) -> None:
    path = f"{kube.tasks}/demo"
    kube.patch(path, a_manifest(priority=5), kind=APPLY, fieldManager="me")
    refused = kube.patch(path, a_manifest(priority=6), kind=APPLY, fieldManager="you")
    assert (refused.status_code, refused.json()["reason"]) == (409, "Conflict")
    assert 'conflict with "me"' in refused.json()["message"]
    assert ".spec.priority" in refused.json()["message"]
    forced = kube.patch(path, a_manifest(priority=6), kind=APPLY, fieldManager="you", force="true")
    assert forced.json()["spec"]["priority"] == 6
    assert kube.patch(path, a_manifest(priority=6), kind=APPLY).status_code == 422, "a manager must be named"


def test_status_does_not_come_in_by_the_object(kube: Kube) -> None:
    obj = a_manifest() | {"status": {"phase": "Running"}}
    assert "status" not in kube.create(kube.tasks, obj)
    path = f"{kube.tasks}/demo"
    assert "status" not in kube.patch(path, {"status": {"phase": "Running"}}).json()
    kube.set_status("demo", {"phase": "Running"})
    fresh = kube.get(path)
    fresh["status"]["phase"] = "Failed"
    fresh["spec"]["priority"] = 9
    stored = kube.client.put(path, json=fresh).json()
    assert (stored["status"]["phase"], stored["spec"]["priority"]) == ("Running", 9)


@pytest.mark.parametrize("kind", [MERGE, JSON_PATCH])
def test_nothing_but_status_comes_in_by_status(kube: Kube, kind: str) -> None:
    kube.create(kube.tasks, a_manifest())
    path = f"{kube.tasks}/demo/status"
    body = {"spec": {"priority": 9}, "metadata": {"labels": {"a": "b"}}, "status": {"phase": "Running"}}
    operations = [
        {"op": "replace", "path": "/spec/priority", "value": 9},
        {"op": "add", "path": "/status", "value": {"phase": "Running"}},
    ]
    stored = kube.patch(path, body if kind == MERGE else operations, kind=kind).json()
    assert stored["status"] == {"phase": "Running"}
    assert stored["spec"]["priority"] == 0
    assert "labels" not in stored["metadata"]
    fresh = kube.get(f"{kube.tasks}/demo")
    fresh["spec"]["priority"], fresh["status"]["message"] = 9, "hello"
    replaced = kube.client.put(path, json=fresh).json()
    assert (replaced["spec"]["priority"], replaced["status"]["message"]) == (0, "hello")


def a_pod() -> dict[str, object]:
    container = {"name": "c", "image": "none.test/none:1"}
    return {"metadata": {"name": "p"}, "spec": {"nodeSelector": {"dify-repack.io/no": "x"}, "containers": [container]}}
