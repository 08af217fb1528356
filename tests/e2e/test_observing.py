"""What Prometheus, a browser and the API server itself see of an installation that works."""

import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from playwright.sync_api import expect, sync_playwright

from e2e_cluster import HOME, RELEASE, Cluster, install, metric, refused_calls, served_files, task, uninstall
from helmchart import CHART
from kubeapi import until
from requirements import chromium, require_command

RULES = CHART / "files/rules.yaml"


@pytest.fixture(scope="module")
def watched(cluster: Cluster) -> Iterator[Cluster]:
    """An installation whose calls the API server never refuses."""
    before = refused_calls(cluster)
    install(cluster)
    yield cluster
    refused = {call: count for call, count in refused_calls(cluster).items() if count > before.get(call, 0)}
    uninstall(cluster)
    assert refused == {}, "the API server refused calls of operator or dashboard"


@pytest.fixture
def prometheus(watched: Cluster, tmp_path: Path) -> Iterator[httpx.Client]:
    """A real Prometheus that scrapes both programs and has our rules."""
    program = require_command("prometheus", install="apt-get install prometheus")
    with ExitStack() as stack:
        targets = {
            "operator": stack.enter_context(watched.forward(f"deploy/{RELEASE}-operator", 8081)),
            "dashboard": stack.enter_context(watched.forward(f"svc/{RELEASE}-dashboard", "http")),
        }
        jobs = [
            {"job_name": name, "static_configs": [{"targets": [url.removeprefix("http://")]}]}
            for name, url in targets.items()
        ]
        config = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(RULES)],
            "scrape_configs": jobs,
        }
        (tmp_path / "prometheus.yaml").write_text(yaml.safe_dump(config))
        with socket.create_server(("127.0.0.1", 0)) as listener:
            address = f"127.0.0.1:{listener.getsockname()[1]}"
        command = [program, f"--config.file={tmp_path}/prometheus.yaml", f"--storage.tsdb.path={tmp_path}/data",
                   f"--web.listen-address={address}"]  # fmt: skip
        with (tmp_path / "log").open("w") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
            try:
                yield stack.enter_context(httpx.Client(base_url=f"http://{address}/api/v1", trust_env=False))
            finally:
                process.terminate()


def _answer(client: httpx.Client, path: str, **query: str) -> Any:
    try:
        return client.get(path, params=query).raise_for_status().json()["data"]
    except httpx.HTTPError:
        return None


def test_a_real_prometheus_scrapes_both_programs_and_runs_the_rules(watched: Cluster, prometheus: httpx.Client):
    watched.apply(task("observed", "locked"))
    assert watched.finished("observed")["phase"] == "Succeeded"

    def value(query: str) -> float | None:
        answer = _answer(prometheus, "/query", query=query)
        return float(answer["result"][0]["value"][1]) if answer and answer["result"] else None

    until(lambda: value("sum(up)") == 2, what="both targets to be up", seconds=30)
    until(lambda: (value('sum(repack_task_transitions_total{to="Succeeded"})') or 0) >= 1, what="a task to be counted")
    assert value("max(repack_leader)") == 1
    rules = [rule for group in _answer(prometheus, "/rules")["groups"] for rule in group["rules"]]
    until(
        lambda: all(r["health"] == "ok" for g in _answer(prometheus, "/rules")["groups"] for r in g["rules"]),
        what="all rules to be evaluated",
    )
    assert len(rules) == len(yaml.safe_load(RULES.read_text("utf-8"))["groups"][0]["rules"])

    def alerts() -> set[str]:
        return {alert["labels"]["alertname"] for alert in _answer(prometheus, "/alerts")["alerts"]}

    # Until the first scrape was evaluated the operator counts as absent.
    until(lambda: alerts() <= {"DifyRepackTasksFail", "DifyRepackTasksWait"}, what="no alert about what is there")


def test_the_metrics_are_as_prometheus_wants_them(watched: Cluster):
    promtool = require_command("promtool", install="apt-get install prometheus")
    for target, port in ((f"deploy/{RELEASE}-operator", 8081), (f"svc/{RELEASE}-dashboard", "http")):
        with watched.forward(target, port) as url:
            text = httpx.get(f"{url}/metrics", trust_env=False).raise_for_status().text
        checked = subprocess.run(
            [promtool, "check", "metrics"], input=text, capture_output=True, text=True, check=False
        )
        assert checked.returncode == 0, checked.stdout + checked.stderr


def test_nothing_that_the_operator_asks_is_refused(watched: Cluster):
    watched.apply(task("asked", "incomplete", ttlSecondsAfterFinished=0))
    until(lambda: "NotFound" in watched.kubectl("-n", "dify-repack-e2e-team", "get", "rpt", "asked", check=False),
          what="the task to be deleted at the end of its time", seconds=90)  # fmt: skip
    with watched.forward(f"deploy/{RELEASE}-operator", 8081) as url:
        text = httpx.get(f"{url}/metrics", trust_env=False).raise_for_status().text
    assert metric(text, "repack_api_requests_total", code="403") == 0
    assert metric(text, "repack_api_requests_total", verb="create", resource="jobs", code="201") >= 1
    assert metric(text, "repack_emit_refused_total") == 0


@pytest.mark.browser
def test_a_browser_makes_a_package_through_the_service(watched: Cluster, tmp_path: Path):
    plugin = tmp_path / "good.difypkg"
    plugin.write_bytes(served_files()["good.difypkg"])
    with (
        watched.forward(f"svc/{RELEASE}-dashboard", "http") as url,
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox", "--disable-gpu"]) as browser,
    ):
        page = browser.new_page(locale="en-US")
        page.goto(f"{url}/new")
        page.get_by_role("textbox", name="Token").fill(watched.token())
        page.get_by_role("button", name="Sign in").click()
        page.locator("input[type=file]").first.set_input_files(plugin)
        page.get_by_role("button", name="Repackage", exact=True).click()
        page.wait_for_url(f"**/tasks/{HOME}/**")
        expect(page.get_by_text("Enforced by the kernel")).to_be_visible(timeout=90_000)
        with page.expect_download() as waiting:
            page.get_by_role("link", name="Download", exact=True).first.click()
        assert waiting.value.suggested_filename == "tester-tiny_0.0.1-linux-amd64-offline.difypkg"
