"""Clusters that lack what we need: without our kind, and with an API server that knows no rules (before 1.25)."""

import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import yaml

from e2e_cluster import HOME, RELEASE, TEAM, Cluster, install, metric, page_of, task, uninstall
from embedded import CRD
from kubeapi import until

PORTS = {"operator": 8081, "dashboard": 8080}
NAME = "repackagetasks.dify-repack.io"


@pytest.fixture
def bare(cluster: Cluster) -> Iterator[Cluster]:
    """An installation without the CRD, which somebody forgot."""
    cluster.kubectl("delete", "crd", NAME, "--ignore-not-found", "--timeout=60s")
    install(cluster, {"crds": {"enabled": False}}, wait=False)
    until(lambda: len(running := pods(cluster)) == 2 and all(p["status"]["phase"] == "Running" for p in running),
          what="both programs to run", seconds=60)  # fmt: skip
    yield cluster
    uninstall(cluster)
    cluster.kubectl("delete", "crd", NAME, "--ignore-not-found", "--timeout=60s")


def ask(cluster: Cluster, component: str, path: str, **headers: str) -> tuple[int, str]:
    """Return status and text of an answer, also of a program that no Service leads to; (0, "") while it starts."""
    try:
        with cluster.forward(f"deploy/{RELEASE}-{component}", PORTS[component]) as url:
            answer = httpx.get(f"{url}{path}", headers=headers, trust_env=False)
    except httpx.HTTPError:
        return 0, ""
    return answer.status_code, answer.text


def pods(cluster: Cluster) -> list[Any]:
    return list(cluster.get("pods", "", "-l", "app.kubernetes.io/part-of=dify-repack", namespace=HOME)["items"])


def without_rules(schema: Any) -> Any:
    """Return a schema as an API server stores it that knows nothing of CEL."""
    if isinstance(schema, dict):
        return {key: without_rules(value) for key, value in schema.items() if key != "x-kubernetes-validations"}
    return [without_rules(part) for part in schema] if isinstance(schema, list) else schema


def test_without_our_kind_both_programs_wait_and_say_what_to_apply(bare: Cluster):
    sentence = "apply crds/repackagetasks.yaml"
    until(lambda: sentence in ask(bare, "operator", "/readyz")[1], what="the operator to say so", seconds=40)
    assert sentence in bare.kubectl("-n", HOME, "logs", f"deploy/{RELEASE}-operator")
    until(lambda: sentence in ask(bare, "dashboard", "/readyz")[1], what="the dashboard to say so", seconds=40)
    assert ask(bare, "dashboard", "/readyz")[0] == httpx.codes.SERVICE_UNAVAILABLE
    code, said = ask(bare, "dashboard", "/api/v1/tasks", Authorization=f"Bearer {bare.token()}")
    assert code == httpx.codes.SERVICE_UNAVAILABLE
    assert sentence in said

    before = metric(ask(bare, "operator", "/metrics")[1], "repack_api_requests_total")
    began = time.monotonic()
    time.sleep(8)  # a span to count calls in
    made = metric(ask(bare, "operator", "/metrics")[1], "repack_api_requests_total") - before
    assert made / (time.monotonic() - began) < 2, "the operator runs hot"
    assert {c["restartCount"] for pod in pods(bare) for c in pod["status"]["containerStatuses"]} == {0}


def test_without_rules_of_the_api_server_the_operator_judges_by_the_same_rules(bare: Cluster):
    definition = without_rules(yaml.safe_load(CRD.read_text("utf-8")))
    bare.kubectl("apply", "--server-side", "-f", "-", given=yaml.safe_dump(definition))
    until(lambda: ask(bare, "operator", "/readyz")[0] == httpx.codes.OK, what="the operator to go on", seconds=40)
    body = task("contradictory")
    body["spec"]["source"]["type"] = "Upload"
    bare.apply(body)
    status = bare.finished("contradictory", seconds=40)
    assert (status["phase"], status["reason"]) == ("Failed", "InvalidSpec")
    assert "spec.source.url: must be set exactly when type is URL" in status["message"]
    assert "Hint:" in status["message"]
    assert "InvalidSpec" in bare.kubectl("-n", TEAM, "get", "rpt", "contradictory", "-o", "wide")
    assert "Hint:" in bare.kubectl("-n", TEAM, "describe", "rpt", "contradictory")
    bare.kubectl("-n", HOME, "wait", "--for=condition=Available", f"deploy/{RELEASE}-dashboard", "--timeout=60s")
    with page_of(bare) as page:
        found = page.get(f"/api/v1/tasks/{bare.get('rpt', 'contradictory')['metadata']['uid']}").raise_for_status()
    assert found.json()["status"]["reason"] == "InvalidSpec"
    bare.apply(task("sound", "locked"))
    assert bare.finished("sound")["phase"] == "Succeeded"
