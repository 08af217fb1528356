"""The Job controller's decisions, one situation each."""

from datetime import UTC, datetime, timedelta
from typing import Any

from repack_local.job_plan import TRACKING, JobPlan, failure_action, plan_job

NOW = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)
STARTED = {"startTime": "2026-11-23T05:59:00Z"}

Object = dict[str, Any]


def a_job(status: Object | None = None, **spec: Any) -> Object:
    full = {"completions": 1, "backoffLimit": 6, **spec}
    return {"metadata": {"name": "j"}, "spec": full, "status": status or {}}


def a_pod(phase: str = "Running", *, name: str = "p", exit_code: int | None = None, **metadata: Any) -> Object:
    state = {"terminated": {"exitCode": exit_code}} if exit_code is not None else {}
    container = {"name": "worker", "state": state}
    status = {"phase": phase, "containerStatuses": [container], "conditions": []}
    head = {"name": name, "namespace": "n", "finalizers": [TRACKING], **metadata}
    return {"metadata": head, "spec": {"nodeName": "local"}, "status": status}


def conditions(plan: JobPlan) -> dict[str, str]:
    return {c["type"]: c["reason"] for c in plan.status.get("conditions") or []}


def test_a_new_job_gets_a_pod_and_a_start_time() -> None:
    plan = plan_job(a_job(), [], now=NOW)
    assert plan.create
    assert plan.status == {"startTime": "2026-11-23T06:00:00Z", "active": 1, "ready": 0, "terminating": 0}


def test_a_running_pod_is_left_alone() -> None:
    plan = plan_job(a_job(STARTED), [a_pod()], now=NOW)
    assert (plan.create, plan.delete, plan.release) == (False, [], [])
    assert plan.status["active"] == 1


def test_a_failed_pod_is_replaced_after_the_pause() -> None:
    pods = [a_pod("Failed", exit_code=1)]
    later = NOW + timedelta(seconds=10)
    waiting = plan_job(a_job(STARTED), pods, now=NOW, not_before=later)
    assert (waiting.create, waiting.failures, waiting.release, waiting.wake_at) == (False, 1, ["p"], later)
    assert waiting.status["failed"] == 1
    released = [a_pod("Failed", exit_code=1, finalizers=[])]
    assert plan_job(a_job(waiting.status), released, now=later, not_before=later).create


def test_a_lost_pod_that_is_ignored_is_replaced_at_once() -> None:
    pod = a_pod("Failed", exit_code=137)
    pod["status"]["conditions"] = [{"type": "DisruptionTarget", "status": "True"}]
    rules = [{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}]
    plan = plan_job(a_job(STARTED, backoffLimit=0, podFailurePolicy={"rules": rules}), [pod], now=NOW)
    assert (plan.create, plan.failures, plan.release) == (True, 0, ["p"])
    assert "failed" not in plan.status


def test_a_pod_is_counted_once() -> None:
    counted = plan_job(a_job({**STARTED, "failed": 1}), [a_pod("Failed", exit_code=1, finalizers=[])], now=NOW)
    assert (counted.status["failed"], counted.failures) == (1, 0)


def test_the_last_condition_waits_for_the_last_pod() -> None:
    pod = a_pod(deletionTimestamp="2026-11-23T06:00:00Z")
    job = a_job(STARTED, activeDeadlineSeconds=30)
    early = plan_job(job, [a_pod()], now=NOW)
    assert early.delete == ["p"]
    assert conditions(early) == {"FailureTarget": "DeadlineExceeded"}
    assert early.status["terminating"] == 1
    going = plan_job(a_job(early.status, activeDeadlineSeconds=30), [pod], now=NOW)
    assert conditions(going) == {"FailureTarget": "DeadlineExceeded"}
    assert going.delete == []
    last = plan_job(a_job(going.status, activeDeadlineSeconds=30), [a_pod("Failed", exit_code=143)], now=NOW)
    assert conditions(last) == {"FailureTarget": "DeadlineExceeded", "Failed": "DeadlineExceeded"}


def test_a_job_wakes_at_its_deadline() -> None:
    plan = plan_job(a_job(STARTED, activeDeadlineSeconds=90), [a_pod()], now=NOW)
    assert plan.wake_at == NOW + timedelta(seconds=30)


def test_success_in_the_same_moment_as_the_deadline_is_a_success() -> None:
    plan = plan_job(a_job(STARTED, activeDeadlineSeconds=30), [a_pod("Succeeded", exit_code=0)], now=NOW)
    assert conditions(plan) == {"SuccessCriteriaMet": "CompletionsReached", "Complete": "CompletionsReached"}


def test_a_suspension_deletes_the_pod_and_counts_no_failure() -> None:
    plan = plan_job(a_job(STARTED, suspend=True), [a_pod()], now=NOW)
    assert plan.delete == ["p"]
    assert "startTime" not in plan.status
    gone = a_pod("Failed", exit_code=143, deletionTimestamp="2026-11-23T06:00:00Z")
    after = plan_job(a_job(plan.status, suspend=True), [gone], now=NOW)
    assert (after.release, after.failures, after.create) == (["p"], 0, False)
    assert "failed" not in after.status


def test_rules_are_tried_in_their_order_and_ignore_exit_code_zero() -> None:
    exit_codes = {"operator": "NotIn", "values": [1]}
    job = a_job(podFailurePolicy={"rules": [{"action": "Count", "onExitCodes": {"operator": "In", "values": [2]}},
                                            {"action": "FailJob", "onExitCodes": exit_codes}]})  # fmt: skip
    assert failure_action(job, a_pod("Failed", exit_code=2))[0] == "Count"
    assert failure_action(job, a_pod("Failed", exit_code=3))[0] == "FailJob"
    assert failure_action(job, a_pod("Failed", exit_code=1)) == ("Count", "")
    assert failure_action(job, a_pod("Failed", exit_code=0)) == ("Count", "")


def test_an_unscheduled_pod_that_is_deleted_counts_as_failed() -> None:
    pod = a_pod("Pending", deletionTimestamp="2026-11-23T06:00:00Z")
    pod["spec"] = {}
    plan = plan_job(a_job(STARTED, backoffLimit=0), [pod], now=NOW)
    assert plan.release == ["p"]
    assert plan.status["failed"] == 1
