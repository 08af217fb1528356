"""Label and field selectors, and paging."""

import pytest

from kubeapi import Kube, a_manifest


@pytest.fixture
def fleet(kube: Kube) -> Kube:
    for name, labels in (("a", {"tier": "x", "env": "p"}), ("b", {"tier": "y"}), ("c", {})):
        kube.create(kube.tasks, a_manifest(name, labels=labels))
    return kube


@pytest.mark.parametrize(
    ("selector", "names"),
    [
        ("tier=x", ["a"]),
        ("tier==x", ["a"]),
        ("tier!=x", ["b", "c"]),
        ("tier in (x,y)", ["a", "b"]),
        ("tier notin (x)", ["b", "c"]),
        ("tier", ["a", "b"]),
        ("!tier", ["c"]),
        ("tier in (x, y),env=p", ["a"]),
        ("tier=x,!env", []),
        ("", ["a", "b", "c"]),
    ],
)
def test_labels_select(fleet: Kube, selector: str, names: list[str]) -> None:
    assert fleet.names(fleet.tasks, labelSelector=selector) == names


@pytest.mark.parametrize(
    ("selector", "names"),
    [
        ("metadata.name=b", ["b"]),
        ("metadata.name!=b", ["a", "c"]),
        ("metadata.name==b,metadata.namespace!=x", ["b"]),
        ("status.phase=Running", ["a"]),
        ("status.phase!=Running", ["b", "c"]),
        ("spec.source.type=URL", ["a", "b", "c"]),
        ("spec.source.type=Upload", []),
    ],
)
def test_fields_select(fleet: Kube, selector: str, names: list[str]) -> None:
    fleet.set_status("a", {"phase": "Running"})
    assert fleet.names(fleet.tasks, fieldSelector=selector) == names


def test_a_field_that_cannot_be_selected_is_named(fleet: Kube) -> None:
    response = fleet.client.get(fleet.tasks, params={"fieldSelector": "spec.python=3.12"})
    assert (response.status_code, response.json()["reason"]) == (400, "BadRequest")
    assert response.json()["message"] == "field label not supported: spec.python"


def test_a_label_selector_that_is_none_is_refused(fleet: Kube) -> None:
    response = fleet.client.get(fleet.tasks, params={"labelSelector": "a b c"})
    assert (response.status_code, response.json()["reason"]) == (400, "BadRequest")
    assert "unable to parse requirement" in response.json()["message"]


def test_pages_are_of_one_snapshot(fleet: Kube) -> None:
    first = fleet.get(fleet.tasks, limit=2)
    assert [item["metadata"]["name"] for item in first["items"]] == ["a", "b"]
    assert first["metadata"]["remainingItemCount"] == 1
    fleet.delete(f"{fleet.tasks}/c")
    fleet.create(fleet.tasks, a_manifest("d"))
    token = first["metadata"]["continue"]
    second = fleet.get(fleet.tasks, limit=2, **{"continue": token})
    assert [item["metadata"]["name"] for item in second["items"]] == ["c"]
    assert not second["metadata"].get("continue")
    assert second["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]


def test_pages_of_a_selection_do_not_tell_the_rest(fleet: Kube) -> None:
    first = fleet.get(fleet.tasks, limit=1, labelSelector="tier")
    assert [item["metadata"]["name"] for item in first["items"]] == ["a"]
    assert "remainingItemCount" not in first["metadata"]
    second = fleet.get(fleet.tasks, limit=1, labelSelector="tier", **{"continue": first["metadata"]["continue"]})
    assert [item["metadata"]["name"] for item in second["items"]] == ["b"]


def test_a_continue_token_that_is_none_is_refused(fleet: Kube) -> None:
    response = fleet.client.get(fleet.tasks, params={"limit": "1", "continue": "nonsense"})
    assert (response.status_code, response.json()["reason"]) == (400, "BadRequest")


def test_any_known_version_lists(fleet: Kube) -> None:
    assert len(fleet.names(fleet.tasks, resourceVersion="0")) <= 3
    current = fleet.get(fleet.tasks)["metadata"]["resourceVersion"]
    assert fleet.names(fleet.tasks, resourceVersion=current, resourceVersionMatch="NotOlderThan") == ["a", "b", "c"]


def test_a_version_in_the_future_is_not_there_yet(fleet: Kube) -> None:
    response = fleet.client.get(fleet.tasks, params={"resourceVersion": "99999999999"})
    assert (response.status_code, response.json()["reason"]) == (504, "Timeout")
    assert "Too large resource version" in response.json()["message"]
