"""What cannot run ends, or waits, with a reason and a remedy that people see; and nothing runs hot meanwhile."""

import time
from collections.abc import Iterator

import httpx
import pytest

from e2e_cluster import RELEASE, TEAM, Cluster, Object, install, metric, page_of, task, uninstall
from kubeapi import until

PROFILES = {
    "default": {"memory": ["256Mi"], "cpu": "50m", "storage": "1Gi"},
    "no-image": {"image": "registry.invalid/none:1", "memory": ["64Mi"], "cpu": "10m", "storage": "1Gi"},
    "too-large": {"memory": ["900Gi"], "cpu": "10m", "storage": "1Gi"},
}


@pytest.fixture(scope="module")
def strange(cluster: Cluster) -> Iterator[Cluster]:
    """An installation with profiles that cannot run, and with a Secret that is not there."""
    install(cluster, {"worker": {"profiles": PROFILES, "envFromSecrets": ["index-credentials"]}})
    yield cluster
    uninstall(cluster)


def calls(cluster: Cluster) -> float:
    """Return how many calls the operator has made."""
    with cluster.forward(f"deploy/{RELEASE}-operator", 8081) as url:
        text = httpx.get(f"{url}/metrics", trust_env=False).raise_for_status().text
    return metric(text, "repack_api_requests_total")


def on_the_page(cluster: Cluster, name: str, what: str = "") -> Object:
    """Return what the dashboard shows of a task, once it has heard of its last state."""
    uid = cluster.get("rpt", name)["metadata"]["uid"]
    with page_of(cluster) as page:
        path, sequence = f"/api/v1/tasks/{uid}", cluster.get("rpt", name)["status"]["sequence"]
        until(
            lambda: page.get(path).json()["status"].get("sequence", 0) >= sequence, what="the page to know", seconds=40
        )
        return dict(page.get(f"{path}{what}").raise_for_status().json())


def condition(cluster: Cluster, name: str, kind: str) -> Object:
    """Return a condition of a task; empty while it has none."""
    found = cluster.get("rpt", name).get("status", {}).get("conditions", [])
    return next((dict(each) for each in found if each["type"] == kind), {})


CANNOT_START: dict[str, tuple[Object, str, str]] = {
    "no-image": ({"profile": "no-image"}, "ImagePullBackOff", "Check the image name and the pull secret"),
    "too-large": ({"profile": "too-large"}, "Unschedulable", "Free capacity, ask for less in the profile"),
    "no-secret": ({}, "CreateContainerConfigError", "Check that the Secrets and ConfigMaps"),
}


@pytest.fixture(scope="module")
def waiting(strange: Cluster) -> Cluster:
    """Tasks whose Pods cannot start, one for each cause; they wait together."""
    for name, (spec, _, _) in CANNOT_START.items():
        strange.apply(task(name, "locked", pendingDeadlineSeconds=15, **spec))
    return strange


@pytest.mark.parametrize("name", CANNOT_START)
def test_a_pod_that_cannot_start_ends_with_reason_and_remedy(waiting: Cluster, name: str):
    strange, (_, reason, remedy) = waiting, CANNOT_START[name]
    status = strange.finished(name, seconds=60)
    assert (status["phase"], status["reason"]) == ("Failed", reason)
    assert remedy in status["message"]
    assert status["attempt"] == 1
    assert reason in strange.kubectl("-n", TEAM, "get", "rpt", name, "-o", "wide")
    assert remedy in strange.kubectl("-n", TEAM, "describe", "rpt", name)
    shown = on_the_page(strange, name)["status"]
    assert shown["reason"] == reason
    assert remedy in shown["message"]
    pods = ("pods", "", "-l", f"dify-repack.io/task={name}")
    until(lambda: not strange.get(*pods)["items"], what="the Pod to go")


def test_a_quota_of_pods_ends_a_task_with_the_way_to_the_reason(strange: Cluster):
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "no-pods"}}
    strange.apply(quota | {"spec": {"hard": {"count/pods": "0"}}})
    until(lambda: strange.get("resourcequota", "no-pods").get("status", {}).get("hard"), what="the quota")
    try:
        strange.apply(task("no-pod", "locked", pendingDeadlineSeconds=15, profile="too-large"))
        status = strange.finished("no-pod", seconds=60)
        assert (status["phase"], status["reason"]) == ("Failed", "PodNeverStarted")
        assert "`kubectl describe job rpt-no-pod-1` says why, such as a quota" in status["message"]
        sights = on_the_page(strange, "no-pod", "/sights")
        assert "exceeded quota" in str(sights["events"])
    finally:
        strange.kubectl("-n", TEAM, "delete", "resourcequota", "no-pods")


def test_pods_that_cannot_start_are_waited_for_with_few_calls(strange: Cluster):
    names = {"idle-image": "no-image", "idle-large": "too-large"}
    for name, profile in names.items():
        strange.apply(task(name, "locked", profile=profile))
    until(lambda: all(strange.phase(name) == "Starting" for name in names), what="the Jobs", seconds=40)
    before, began = calls(strange), time.monotonic()
    time.sleep(8)  # a span to count calls in
    assert (calls(strange) - before) / (time.monotonic() - began) < 2, "the operator runs hot"
    strange.kubectl("-n", TEAM, "delete", "rpt", *names)


def test_a_full_quota_makes_a_task_wait_without_running_hot_and_then_go_on(strange: Cluster):
    # A quota of Pods would let the Job be made; one of Jobs refuses the Job itself.
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "none"}}
    strange.apply(quota | {"spec": {"hard": {"count/jobs.batch": "0"}}})
    until(lambda: strange.get("resourcequota", "none").get("status", {}).get("hard"), what="the quota to be in force")
    try:
        strange.apply(task("waits", "locked", pendingDeadlineSeconds=600, profile="too-large"))
        until(
            lambda: "quota" in condition(strange, "waits", "Admitted").get("message", ""), what="the reason to be told"
        )
        assert condition(strange, "waits", "Admitted")["status"] == "False"
        assert strange.phase("waits") in {"Pending", "Queued"}
        assert "Hint: Raise the namespace's quota" in strange.kubectl("-n", TEAM, "describe", "rpt", "waits")
        assert "QuotaExceeded" in strange.kubectl("-n", TEAM, "get", "rpt", "waits", "-o", "wide")
        assert "Hint: Raise" in on_the_page(strange, "waits")["status"]["message"]
        before, began = calls(strange), time.monotonic()
        time.sleep(10)  # a span to count calls in
        assert (calls(strange) - before) / (time.monotonic() - began) < 2, "the operator runs hot"
    finally:
        strange.kubectl("-n", TEAM, "delete", "resourcequota", "none")
    until(lambda: strange.get("jobs", "", "-l", "dify-repack.io/task=waits")["items"], what="the Job", seconds=90)
    strange.kubectl("-n", TEAM, "delete", "rpt", "waits")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"targets": []}, "spec.targets"),
        ({"source": {"type": "URL"}}, "source.url"),
        ({"priority": 5000}, "less than or equal to 1000"),
        ({"retry": {"backoffSeconds": 60, "maxBackoffSeconds": 10}}, "maxBackoffSeconds"),
        ({"desiredState": "Paused"}, "supported values"),
    ],
)
def test_a_wrong_task_is_refused_by_the_api_server_with_the_field_in_question(
    strange: Cluster, change: Object, sentence: str
):
    body = task("wrong")
    body["spec"] |= change
    with pytest.raises(AssertionError, match=r"(?s)is invalid.*") as refusal:
        strange.apply(body)
    assert sentence in str(refusal.value)


def test_a_profile_that_does_not_exist_is_said_with_what_there_is(strange: Cluster):
    strange.apply(task("no-profile", "locked", profile="gigantic"))
    status = strange.finished("no-profile", seconds=30)
    assert (status["phase"], status["reason"]) == ("Failed", "InvalidSpec")
    assert "gigantic" in status["message"]
    assert "Hint:" in status["message"]
