"""Every CEL rule of the CRD (operator.md 6.1), both ways: a write that it accepts and one that it refuses."""

from typing import Any

import pytest

from kubeapi import Kube, a_manifest

URL = {"type": "URL", "url": {"url": "http://files.test/a"}}
MARKETPLACE = {"marketplace": {"author": "a", "name": "b", "version": "1.0"}}
GITHUB = {"github": {"repo": "a/b", "tag": "v1", "asset": "a.difypkg"}}
UPLOAD = {"upload": {"key": "k"}}

VERIFIED = {"target": "amd64", "verification": {"method": "SeccompFilter", "passed": True}}
UNVERIFIED = {"target": "amd64", "verification": {"method": "SeccompFilter", "passed": False}}


def refusal(response: Any) -> str:
    assert response.status_code == 422, response.text
    assert response.json()["reason"] == "Invalid"
    return str(response.json()["message"])


def test_a_name_has_at_most_52_characters(kube: Kube) -> None:
    kube.create(kube.tasks, a_manifest("a" * 52))
    assert "at most 52 characters" in refusal(kube.client.post(kube.tasks, json=a_manifest("a" * 53)))


@pytest.mark.parametrize(
    ("kind", "part"), [("URL", URL), ("Marketplace", MARKETPLACE), ("GitHub", GITHUB), ("Upload", UPLOAD)]
)
def test_a_source_has_the_field_of_its_type_and_no_other(kube: Kube, kind: str, part: dict[str, Any]) -> None:
    kube.create(kube.tasks, a_manifest(source={**part, "type": kind}))
    lacking = refusal(kube.client.post(kube.tasks, json=a_manifest("lacking", source={"type": kind})))
    field = next(name for name in part if name != "type")
    assert f"source.{field} must be set exactly when type is {kind}" in lacking
    other = URL if kind == "Upload" else UPLOAD
    both = refusal(kube.client.post(kube.tasks, json=a_manifest("both", source={**other, **part, "type": kind})))
    assert "must be set exactly when type is" in both


@pytest.mark.parametrize(
    ("field", "value", "same"),
    [
        ("source", {"type": "URL", "url": {"url": "http://files.test/other"}}, None),
        ("targets", [{"arch": "arm64"}], None),
        ("python", "3.11", "3.12"),
        ("mode", "Dual", "RequirementsOnly"),
        ("dryRun", True, False),
        ("packageIndex", {"url": "http://index.test"}, None),
    ],
)
def test_what_decides_the_result_is_immutable(kube: Kube, field: str, value: Any, same: Any) -> None:
    made = kube.create(kube.tasks, a_manifest())
    path = f"{kube.tasks}/demo"
    assert f"spec.{field} is immutable" in refusal(kube.patch(path, {"spec": {field: value}}))
    made["spec"][field] = value
    assert f"spec.{field} is immutable" in refusal(kube.client.put(path, json=made))
    if same is not None:
        assert kube.patch(path, {"spec": {field: same}}).status_code == 200
    assert kube.patch(path, {"spec": {"priority": 1}}).status_code == 200


def test_a_package_index_can_neither_be_changed_nor_removed(kube: Kube) -> None:
    kube.create(kube.tasks, a_manifest(packageIndex={"url": "http://index.test"}))
    path = f"{kube.tasks}/demo"
    for change in (None, {"url": "http://other.test"}, {"extraURLs": ["http://more.test"]}):
        assert "spec.packageIndex is immutable" in refusal(kube.patch(path, {"spec": {"packageIndex": change}}))
    assert kube.patch(path, {"spec": {"packageIndex": {"url": "http://index.test"}}}).status_code == 200


def test_the_order_of_targets_has_no_meaning(kube: Kube) -> None:
    kube.create(kube.tasks, a_manifest(targets=[{"arch": "amd64"}, {"arch": "arm64"}]))
    path = f"{kube.tasks}/demo"
    turned = [{"arch": "arm64"}, {"arch": "amd64"}]
    assert kube.patch(path, {"spec": {"targets": turned}}).status_code == 200
    assert "spec.targets is immutable" in refusal(kube.patch(path, {"spec": {"targets": turned[:1]}}))


def test_a_cancelled_task_stays_cancelled(kube: Kube) -> None:
    kube.create(kube.tasks, a_manifest())
    path = f"{kube.tasks}/demo"
    for state in ("Suspended", "Active", "Cancelled", "Cancelled"):
        assert kube.patch(path, {"spec": {"desiredState": state}}).status_code == 200
    for state in ("Active", "Suspended"):
        message = refusal(kube.patch(path, {"spec": {"desiredState": state}}))
        assert "a cancelled task cannot be reactivated; create a new one" in message


def test_the_longest_back_off_is_not_below_the_first(kube: Kube) -> None:
    kube.create(kube.tasks, a_manifest(retry={"backoffSeconds": 5, "maxBackoffSeconds": 5}))
    obj = a_manifest("worse", retry={"backoffSeconds": 6, "maxBackoffSeconds": 5})
    assert "retry.maxBackoffSeconds must be >= retry.backoffSeconds" in refusal(kube.client.post(kube.tasks, json=obj))
    later = a_manifest("later", retry={"backoffSeconds": 301})
    assert "retry.maxBackoffSeconds must be >=" in refusal(kube.client.post(kube.tasks, json=later))


def test_the_sequence_does_not_decrease(kube: Kube) -> None:
    kube.create(kube.tasks, a_manifest())
    for sequence in (1, 5, 5, 6):
        assert kube.set_status("demo", {"sequence": sequence}).status_code == 200
    assert "status.sequence must not decrease" in refusal(kube.set_status("demo", {"sequence": 5}))
    assert "status.sequence must not decrease" in refusal(kube.set_status("demo", {"sequence": None}))


def test_a_phase_cannot_be_removed(kube: Kube) -> None:
    kube.create(kube.tasks, a_manifest())
    assert kube.set_status("demo", {"message": "no phase yet"}).status_code == 200
    assert kube.set_status("demo", {"phase": "Queued"}).status_code == 200
    assert "status.phase cannot be removed" in refusal(kube.set_status("demo", {"phase": None}))


def test_a_status_cannot_be_removed(kube: Kube) -> None:
    made = kube.create(kube.tasks, a_manifest())
    kube.set_status("demo", {"phase": "Running"})
    fresh = kube.get(f"{kube.tasks}/demo")
    del fresh["status"]
    assert "status cannot be removed" in refusal(kube.client.put(f"{kube.tasks}/demo/status", json=fresh))
    assert made["metadata"]["uid"] == fresh["metadata"]["uid"]


@pytest.mark.parametrize("phase", ["Failed", "Cancelled", "Succeeded"])
def test_a_terminal_phase_is_final(kube: Kube, phase: str) -> None:
    kube.create(kube.tasks, a_manifest())
    assert kube.set_status("demo", {"phase": "Running"}).status_code == 200
    assert kube.set_status("demo", {"phase": phase, "artifacts": [VERIFIED]}).status_code == 200
    assert kube.set_status("demo", {"message": "words may still change"}).status_code == 200
    for other in ("Running", "Retrying"):
        assert "terminal phases are final" in refusal(kube.set_status("demo", {"phase": other}))


@pytest.mark.parametrize(
    "artifacts", [None, [], [UNVERIFIED], [{"target": "amd64"}], [{**VERIFIED, "target": "arm64"}]]
)
def test_no_success_without_a_verified_artifact(kube: Kube, artifacts: Any) -> None:
    kube.create(kube.tasks, a_manifest())
    status = {"phase": "Succeeded"} | ({} if artifacts is None else {"artifacts": artifacts})
    assert "needs a verified artifact for every entry of spec.targets" in refusal(kube.set_status("demo", status))


def test_success_needs_an_artifact_for_every_target(kube: Kube) -> None:
    kube.create(kube.tasks, a_manifest(targets=[{"arch": "arm64"}, {"arch": "amd64"}]))
    one = kube.set_status("demo", {"phase": "Succeeded", "artifacts": [VERIFIED]})
    assert "needs a verified artifact" in refusal(one)
    both = [VERIFIED, {**VERIFIED, "target": "arm64"}]
    assert kube.set_status("demo", {"phase": "Succeeded", "artifacts": both}).status_code == 200


def test_a_dry_run_succeeds_without_artifacts(kube: Kube) -> None:
    kube.create(kube.tasks, a_manifest(dryRun=True))
    assert kube.set_status("demo", {"phase": "Succeeded", "plan": {"packages": 3}}).status_code == 200
