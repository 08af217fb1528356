"""From `kubectl apply` to a package that installs elsewhere, on a real cluster."""

import hashlib
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from e2e_cluster import HOME, RELEASE, TEAM, Cluster, page_of, task
from kubeapi import until


@pytest.fixture(scope="module")
def done(installed: Cluster) -> str:
    """A task that has succeeded."""
    installed.apply(task("good"))
    status = installed.finished("good")
    assert status["phase"] == "Succeeded", status
    return "good"


def test_what_was_made_in_the_cluster_installs_outside_of_it(installed: Cluster, done: str, tmp_path: Path):
    (artifact,) = installed.get("rpt", done)["status"]["artifacts"]
    package = tmp_path / artifact["name"]
    with page_of(installed) as page:
        package.write_bytes(page.get(artifact["uri"]).raise_for_status().content)
    assert hashlib.sha256(package.read_bytes()).hexdigest() == artifact["sha256"]
    command = [sys.executable, "-m", "repack_local.cli", "verify", str(package)]
    verified = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert {"wheels/tiny_leaf-2.0-py3-none-any.whl", "wheels/tiny_sdk-1.0-py3-none-any.whl"} <= set(
        zipfile.ZipFile(package).namelist()
    )


def test_the_kernel_enforced_the_proof_under_pod_security_restricted(installed: Cluster, done: str):
    labels = installed.get("namespace", TEAM)["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    (artifact,) = installed.get("rpt", done)["status"]["artifacts"]
    assert artifact["verification"]["method"] == "SeccompFilter"
    assert artifact["verification"]["passed"] is True
    (pod,) = installed.get("pods", "", "-l", f"dify-repack.io/task={done}")["items"]
    assert pod["spec"]["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["spec"]["serviceAccountName"] == "default"
    assert pod["spec"]["automountServiceAccountToken"] is False


def test_a_locked_plugin_needs_no_index_and_kubectl_can_wait_for_it(installed: Cluster):
    installed.apply(task("locked", "locked"))
    installed.kubectl("-n", TEAM, "wait", "--for=condition=complete", "rpt/locked", "--timeout=90s")
    assert installed.get("rpt", "locked")["status"]["phase"] == "Succeeded"


def test_columns_and_field_selectors_show_what_people_ask_for(installed: Cluster, done: str):
    head, row = installed.kubectl("-n", TEAM, "get", "rpt", done, "-o", "wide").splitlines()[:2]
    assert head.split() == [
        "NAME", "PHASE", "PROGRESS", "PLUGIN", "ATTEMPT", "DURATION", "REASON", "JOB", "ARTIFACT", "MESSAGE", "AGE",
    ]  # fmt: skip
    assert row.split()[:5] == [done, "Succeeded", "100", "Tiny", "1"]
    chosen = installed.kubectl("-n", TEAM, "get", "rpt", "--field-selector", "status.phase=Succeeded", "-o", "name")
    assert f"repackagetask.dify-repack.io/{done}" in chosen.split()
    assert not installed.kubectl("-n", TEAM, "get", "rpt", "--field-selector", "spec.source.type=Upload", "-o", "name")


def test_a_package_with_a_missing_wheel_fails_the_proof_and_is_not_published(installed: Cluster):
    installed.apply(task("incomplete", "incomplete"))
    installed.kubectl("-n", TEAM, "wait", "--for=condition=failed", "rpt/incomplete", "--timeout=90s")
    status = installed.get("rpt", "incomplete")["status"]
    assert (status["phase"], status["reason"]) == ("Failed", "VerificationFailed")
    assert "tiny-leaf" in status["message"]
    assert "Hint:" in status["message"]
    assert not status.get("artifacts")
    described = installed.kubectl("-n", TEAM, "describe", "rpt", "incomplete")
    assert "VerificationFailed" in described


def test_dependencies_that_do_not_exist_are_told_apart_from_a_fault(installed: Cluster):
    installed.apply(task("impossible", "impossible"))
    status = installed.finished("impossible")
    assert (status["phase"], status["reason"]) == ("Failed", "DependencyConflict")
    assert "never-published" in status["message"]
    assert status["attempt"] == 1


def test_a_cancelled_task_leaves_no_job(installed: Cluster):
    installed.apply(task("cancelled", "locked"))
    until(lambda: installed.phase("cancelled") in {"Starting", "Running"}, what="the task to start", seconds=60)
    wish = {"spec": {"desiredState": "Cancelled"}}
    installed.kubectl("-n", TEAM, "patch", "rpt", "cancelled", "--type=merge", "-p", json.dumps(wish))
    status = installed.finished("cancelled")
    if status["phase"] == "Cancelled":  # else it was faster
        until(lambda: not _jobs(installed, "cancelled"), what="the Job to go", seconds=60)


def test_a_deleted_task_takes_its_job_and_pods_along(installed: Cluster):
    installed.apply(task("deleted", "locked"))
    installed.finished("deleted")
    assert _jobs(installed, "deleted")
    installed.kubectl("-n", TEAM, "delete", "rpt", "deleted")
    until(lambda: not _jobs(installed, "deleted"), what="the Job to go", seconds=60)


def test_the_self_test_of_the_chart_passes(installed: Cluster):
    said = installed.helm("test", RELEASE, "-n", HOME, "--logs", "--timeout", "120s")
    assert "verified by SeccompFilter" in said


def _jobs(cluster: Cluster, name: str) -> list[object]:
    return list(cluster.get("jobs", "", "-l", f"dify-repack.io/task={name}")["items"])
