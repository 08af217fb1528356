"""Our CRD at work: defaults, pruning, structural validation."""

from typing import Any

import pytest

from kubeapi import GROUP, Kube, a_manifest, until


def causes(response: Any) -> list[tuple[str, str]]:
    assert response.status_code == 422, response.text
    assert response.json()["reason"] == "Invalid"
    return [(cause["field"], cause["message"]) for cause in response.json()["details"]["causes"]]


def test_defaults_are_filled_in(kube: Kube) -> None:
    spec = kube.create(kube.tasks, a_manifest())["spec"]
    assert spec["python"] == "3.12"
    assert (spec["mode"], spec["dryRun"], spec["desiredState"]) == ("RequirementsOnly", False, "Active")
    assert spec["retry"] == {"limit": 2, "backoffSeconds": 10, "maxBackoffSeconds": 300}
    assert spec["output"] == {"suffix": "offline"}
    assert (spec["activeDeadlineSeconds"], spec["pendingDeadlineSeconds"], spec["priority"]) == (1800, 600, 0)
    assert "ttlSecondsAfterFinished" not in spec


def test_defaults_are_filled_into_a_part(kube: Kube) -> None:
    spec = kube.create(kube.tasks, a_manifest(retry={"limit": 5}))["spec"]
    assert spec["retry"] == {"limit": 5, "backoffSeconds": 10, "maxBackoffSeconds": 300}


def test_a_null_takes_the_default(kube: Kube) -> None:
    assert kube.create(kube.tasks, a_manifest(python=None))["spec"]["python"] == "3.12"


def test_unknown_fields_are_dropped_with_a_warning(kube: Kube) -> None:
    response = kube.client.post(kube.tasks, json=a_manifest(bogus=1, targets=[{"arch": "amd64", "z": 1}]))
    assert response.status_code == 201
    assert "bogus" not in response.json()["spec"]
    assert response.json()["spec"]["targets"] == [{"arch": "amd64"}]
    assert 'unknown field \\"spec.bogus\\"' in response.headers["Warning"]


def test_unknown_fields_are_dropped_silently_when_asked_to(kube: Kube) -> None:
    response = kube.client.post(kube.tasks, json=a_manifest(bogus=1), params={"fieldValidation": "Ignore"})
    assert response.status_code == 201
    assert "Warning" not in response.headers


def test_strict_validation_refuses_unknown_fields(kube: Kube) -> None:
    obj = a_manifest(bogus=1, targets=[{"arch": "amd64", "z": 1}])
    response = kube.client.post(kube.tasks, json=obj, params={"fieldValidation": "Strict"})
    assert (response.status_code, response.json()["reason"]) == (400, "BadRequest")
    assert (
        'strict decoding error: unknown field "spec.bogus", unknown field "spec.targets[0].z"'
        in response.text.replace("\\", "")
    )


@pytest.mark.parametrize(
    ("spec", "field", "words"),
    [
        ({"python": 3}, "spec.python", 'must be of type string: "integer"'),
        ({"python": "2.7"}, "spec.python", "should match"),
        ({"mode": "Other"}, "spec.mode", 'supported values: "RequirementsOnly", "Dual"'),
        ({"priority": 1001}, "spec.priority", "should be less than or equal to 1000"),
        ({"priority": -1001}, "spec.priority", "should be greater than or equal to -1000"),
        ({"activeDeadlineSeconds": 5}, "spec.activeDeadlineSeconds", "should be greater than or equal to 30"),
        ({"dryRun": "yes"}, "spec.dryRun", 'must be of type boolean: "string"'),
        ({"targets": []}, "spec.targets", "should have at least 1 items"),
        ({"targets": [{}]}, "spec.targets[0].arch", "Required value"),
        ({"targets": [{"arch": "sparc"}]}, "spec.targets[0].arch", "Unsupported value"),
        ({"source": {"type": "Floppy"}}, "spec.source.type", "Unsupported value"),
        ({"source": {}}, "spec.source.type", "Required value"),
        ({"source": {"type": "URL", "url": {"url": "ftp://a"}}}, "spec.source.url.url", "should match"),
        ({"output": {"suffix": "a b"}}, "spec.output.suffix", "should match"),
        ({"profile": "a" * 64}, "spec.profile", "may not be more than 63"),
        ({"retry": {"limit": 11}}, "spec.retry.limit", "should be less than or equal to 10"),
    ],
)
def test_a_wrong_value_is_named(kube: Kube, spec: dict[str, Any], field: str, words: str) -> None:
    found = causes(kube.client.post(kube.tasks, json=a_manifest(**spec)))
    assert field in [name for name, _ in found]
    assert words in dict(found)[field]


def test_a_task_without_a_spec_is_refused(kube: Kube) -> None:
    obj = a_manifest()
    del obj["spec"]
    assert ("spec", "Required value") in causes(kube.client.post(kube.tasks, json=obj))


def test_a_target_may_come_once(kube: Kube) -> None:
    found = causes(kube.client.post(kube.tasks, json=a_manifest(targets=[{"arch": "amd64"}, {"arch": "amd64"}])))
    assert found == [("spec.targets[1]", 'Duplicate value: {"arch":"amd64"}')]


def test_too_many_targets_are_refused(kube: Kube) -> None:
    targets = [{"arch": arch} for arch in ("amd64", "arm64", "universal", "amd64")]
    assert "spec.targets" in [
        name for name, _ in causes(kube.client.post(kube.tasks, json=a_manifest(targets=targets)))
    ]


@pytest.mark.parametrize(
    ("status", "field"),
    [
        ({"phase": "Dreaming"}, "status.phase"),
        ({"startTime": "yesterday"}, "status.startTime"),
        ({"progress": {"percent": 101}}, "status.progress.percent"),
        ({"conditions": [{"type": "Complete", "status": "True"}]}, "status.conditions[0].reason"),
        ({"sequence": -1}, "status.sequence"),
    ],
)
def test_a_wrong_status_is_refused_too(kube: Kube, status: dict[str, Any], field: str) -> None:
    kube.create(kube.tasks, a_manifest())
    assert field in [name for name, _ in causes(kube.set_status("demo", status))]


def test_unknown_fields_of_status_are_dropped(kube: Kube) -> None:
    kube.create(kube.tasks, a_manifest())
    assert kube.set_status("demo", {"phase": "Running", "mood": "good"}).json()["status"] == {"phase": "Running"}


def test_a_definition_is_served_as_soon_as_it_is_applied(kube: Kube) -> None:
    plural = kube.namespace.replace("-", "")
    group = f"{kube.namespace}.test"
    kind = plural.capitalize()
    schema = {
        "type": "object",
        "properties": {"spec": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
    }
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    names = {"plural": plural, "kind": kind}
    crd = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {"group": group, "scope": "Namespaced", "names": names, "versions": [version]},
    }
    definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    kube.create(definitions, crd)
    path = f"/apis/{group}/v1/namespaces/{kube.namespace}/{plural}"
    try:
        until(lambda: kube.exists(path), what="the kind to be served")
        conditions = kube.get(f"{definitions}/{plural}.{group}")["status"]["conditions"]
        assert {"Established": "True", "NamesAccepted": "True"}.items() <= {
            c["type"]: c["status"] for c in conditions
        }.items()
        made = kube.create(
            path, {"apiVersion": f"{group}/v1", "kind": kind, "metadata": {"name": "a"}, "spec": {"x": 1}}
        )
        assert made["spec"] == {"x": 1}
    finally:
        kube.delete(f"{definitions}/{plural}.{group}")
    until(lambda: kube.client.get(path).status_code == 404, what="the kind to be gone", seconds=40)


def test_discovery_tells_what_is_served(kube: Kube) -> None:
    listed = kube.get(GROUP)
    assert (listed["kind"], listed["groupVersion"]) == ("APIResourceList", "dify-repack.io/v1alpha1")
    by_name = {resource["name"]: resource for resource in listed["resources"]}
    ours = by_name["repackagetasks"]
    assert (ours["kind"], ours["shortNames"], ours["categories"]) == ("RepackageTask", ["rpt"], ["all", "dify"])
    assert {"create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"} == set(ours["verbs"])
    assert "repackagetasks/status" in by_name
    assert "v1" in kube.get("/api")["versions"]
    groups = {group["name"] for group in kube.get("/apis")["groups"]}
    assert {"dify-repack.io", "batch", "coordination.k8s.io", "apiextensions.k8s.io"} <= groups
