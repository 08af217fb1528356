"""Watch streams: where they begin, what they show, how they end."""

import time

import pytest

from kubeapi import Kube, a_config_map, a_manifest


def version_of(kube: Kube) -> str:
    return str(kube.get(kube.tasks)["metadata"]["resourceVersion"])


def test_a_watch_from_a_version_shows_what_came_after_it(kube: Kube) -> None:
    kube.create(kube.tasks, a_manifest("before"))
    version = version_of(kube)
    kube.create(kube.tasks, a_manifest("after"))
    kube.patch(f"{kube.tasks}/before", {"spec": {"priority": 1}})
    kube.delete(f"{kube.tasks}/after")
    with kube.watching(kube.tasks, resourceVersion=version) as events:
        seen = [next(events) for _ in range(3)]
    assert [(e["type"], e["object"]["metadata"]["name"]) for e in seen] == [
        ("ADDED", "after"),
        ("MODIFIED", "before"),
        ("DELETED", "after"),
    ]
    versions = [int(e["object"]["metadata"]["resourceVersion"]) for e in seen]
    assert versions == sorted(versions)
    assert versions[0] > int(version)


@pytest.mark.parametrize("query", [{}, {"resourceVersion": "0"}])
def test_a_watch_from_nowhere_shows_what_exists_first(kube: Kube, query: dict[str, str]) -> None:
    kube.create(kube.tasks, a_manifest("a"))
    kube.create(kube.tasks, a_manifest("b"))
    with kube.watching(kube.tasks, **query) as events:
        first = {next(events)["object"]["metadata"]["name"] for _ in range(2)}
        kube.create(kube.tasks, a_manifest("c"))
        third = next(events)
    assert first == {"a", "b"}
    assert (third["type"], third["object"]["metadata"]["name"]) == ("ADDED", "c")


@pytest.mark.parametrize("true", ["true", "True", "1"])
def test_watch_may_be_asked_for_in_any_spelling(kube: Kube, true: str) -> None:
    kube.create(kube.tasks, a_manifest())
    with kube.watching(kube.tasks, watch=true) as events:
        assert next(events)["type"] == "ADDED"


def test_a_watch_from_a_version_too_old_is_gone(kube: Kube) -> None:
    kube.create(kube.tasks, a_manifest())
    kube.server.forget_history()
    with kube.watching(kube.tasks, resourceVersion="1") as events:
        event = next(events)
        assert list(events) == []
    assert (event["type"], event["object"]["kind"]) == ("ERROR", "Status")
    assert (event["object"]["code"], event["object"]["reason"]) == (410, "Expired")
    assert "too old resource version: 1" in event["object"]["message"]


def test_a_watch_ends_after_its_time(kube: Kube) -> None:
    started = time.monotonic()
    with kube.watching(kube.tasks, resourceVersion=version_of(kube), timeoutSeconds="1") as events:
        assert list(events) == []
    assert 0.8 < time.monotonic() - started < 6


def test_initial_events_end_with_a_bookmark(kube: Kube) -> None:
    kube.create(kube.tasks, a_manifest())
    wanted = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan", "allowWatchBookmarks": "true"}
    with kube.watching(kube.tasks, **wanted) as events:
        added, bookmark = next(events), next(events)
    assert (added["type"], bookmark["type"]) == ("ADDED", "BOOKMARK")
    assert bookmark["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
    assert bookmark["object"]["kind"] == "RepackageTask"
    assert int(bookmark["object"]["metadata"]["resourceVersion"]) >= int(added["object"]["metadata"]["resourceVersion"])


def test_initial_events_need_a_match(kube: Kube) -> None:
    response = kube.client.get(kube.tasks, params={"watch": "1", "sendInitialEvents": "true", "timeoutSeconds": "1"})
    assert (response.status_code, response.json()["reason"]) == (422, "Invalid")


def test_leaving_a_selection_looks_like_a_deletion(kube: Kube) -> None:
    version = version_of(kube)
    kube.create(kube.tasks, a_manifest("a", labels={"kind": "x"}))
    kube.create(kube.tasks, a_manifest("b"))
    kube.patch(f"{kube.tasks}/a", {"metadata": {"labels": {"kind": "y"}}})
    kube.patch(f"{kube.tasks}/b", {"metadata": {"labels": {"kind": "x"}}})
    with kube.watching(kube.tasks, resourceVersion=version, labelSelector="kind=x") as events:
        seen = [next(events) for _ in range(3)]
    assert [(e["type"], e["object"]["metadata"]["name"]) for e in seen] == [
        ("ADDED", "a"),
        ("DELETED", "a"),
        ("ADDED", "b"),
    ]
    added, deleted, _ = (e["object"]["metadata"] for e in seen)
    assert deleted["labels"] == {"kind": "x"}, "the last state that was selected is shown"
    assert int(deleted["resourceVersion"]) > int(added["resourceVersion"])


def test_one_object_is_watched_by_its_name(kube: Kube) -> None:
    version = version_of(kube)
    kube.create(kube.tasks, a_manifest("a"))
    kube.create(kube.tasks, a_manifest("b"))
    with kube.watching(kube.tasks, resourceVersion=version, fieldSelector="metadata.name=b") as events:
        assert next(events)["object"]["metadata"]["name"] == "b"


def test_a_phase_is_watched_by_field_selector(kube: Kube) -> None:
    version = version_of(kube)
    kube.create(kube.tasks, a_manifest())
    kube.set_status("demo", {"phase": "Running"})
    kube.set_status("demo", {"phase": "Failed"})
    with kube.watching(kube.tasks, resourceVersion=version, fieldSelector="status.phase=Running") as events:
        assert [next(events)["type"] for _ in range(2)] == ["ADDED", "DELETED"]


def test_all_namespaces_are_watched_together(kube: Kube) -> None:
    version = version_of(kube)
    kube.create(kube.tasks, a_manifest(kube.namespace))
    path = "/apis/dify-repack.io/v1alpha1/repackagetasks"
    with kube.watching(path, resourceVersion=version, fieldSelector=f"metadata.name={kube.namespace}") as events:
        assert next(events)["object"]["metadata"]["namespace"] == kube.namespace


def test_a_watch_of_one_kind_shows_no_other(kube: Kube) -> None:
    version = version_of(kube)
    kube.create(kube.core("configmaps"), a_config_map("a"))
    kube.create(kube.tasks, a_manifest())
    with kube.watching(kube.tasks, resourceVersion=version) as events:
        assert next(events)["object"]["kind"] == "RepackageTask"


def test_an_invalid_version_is_refused(kube: Kube) -> None:
    response = kube.client.get(kube.tasks, params={"watch": "1", "resourceVersion": "abc", "timeoutSeconds": "1"})
    assert response.status_code >= 400
    assert (response.json()["kind"], response.json()["status"]) == ("Status", "Failure")
