"""What becomes of a task, rule by rule."""

import pytest

from builders import a_task
from repack_contract.phases import Phase
from repack_contract.progress import WorkResult
from repack_operator.situation import (
    Answers,
    AskStore,
    CreateJob,
    Decision,
    DeleteJob,
    DeleteTask,
    LookFor,
    Refusal,
    Slot,
)
from situation_builder import (
    a_complete_job,
    a_failed_job,
    a_failure,
    a_job,
    a_pod,
    a_running_pod,
    a_running_task,
    a_success,
    a_waiting_pod,
    after,
    an_artifact,
    an_ended_pod,
    applied,
    decided,
    in_phase,
)

LOOKED = Answers(looked_for=1)
BUSY = Slot(free=False, position=3, why="all 2 slots are in use")
RETRYING = {"attempts": [{"attempt": 1, "class": "Network", "reason": "IndexUnreachable",
                          "completionTime": "2026-11-23T05:01:00Z"}], "attempt": 1}  # fmt: skip


def phase_of(decision: Decision) -> Phase | None:
    return decision.status.phase if decision.status else None


# --- beginning -------------------------------------------------------------------------------------------------------


def test_a_new_task_with_a_free_slot_gets_its_job_and_no_status_yet() -> None:
    decision = decided(a_task(), at=0)

    assert decision.actions == (CreateJob(attempt=1),)
    assert decision.status is None


def test_a_new_task_without_a_slot_is_queued_only_after_a_moment() -> None:
    assert decided(a_task(), at=1, slot=BUSY).status is None

    decision = decided(a_task(), at=3, slot=BUSY)

    assert phase_of(decision) is Phase.QUEUED
    assert decision.queued
    admitted = next(c for c in decision.status.conditions if c.type == "Admitted")  # type: ignore[union-attr]
    assert (admitted.status, admitted.message) == ("False", "Position 3 in the queue: all 2 slots are in use.")


def test_a_new_place_in_the_queue_is_told_without_raising_the_sequence() -> None:
    task = applied(a_task(), decided(a_task(), at=3, slot=BUSY))

    first = Slot(free=False, position=1, why="all 2 slots are in use")
    decision = decided(task, at=40, slot=first)

    assert decision.status is not None
    assert decision.status.sequence == task.status.sequence
    assert "Position 1" in str(decision.status.conditions)
    assert decided(applied(task, decision), at=41, slot=first).status is None


def test_a_job_that_does_not_run_after_a_moment_is_starting() -> None:
    assert decided(a_task(), at=11, jobs=[a_job()]).status is None
    assert phase_of(decided(a_task(), at=13, jobs=[a_job()])) is Phase.STARTING


def test_why_a_pod_does_not_start_is_told_at_once() -> None:
    decision = decided(a_task(), at=11, jobs=[a_job()], pods=[a_waiting_pod("ErrImagePull", "no such image")])

    assert decision.status is not None
    assert decision.status.phase is Phase.STARTING
    assert decision.status.reason == "ImagePullBackOff"
    assert "no such image" in (decision.status.message or "")


def test_the_kubelet_changing_its_words_writes_nothing() -> None:
    seen = {"jobs": [a_job()], "pods": [a_waiting_pod("ErrImagePull", "rpc error")]}
    task = applied(a_task(), decided(a_task(), at=11, **seen))

    seen["pods"] = [a_waiting_pod("ImagePullBackOff", "Back-off pulling")]

    assert decided(task, at=20, **seen).status is None


def test_a_running_pod_makes_a_running_task() -> None:
    decision = decided(a_task(), at=13, jobs=[a_job()], pods=[a_running_pod()])

    assert decision.status is not None
    assert decision.status.phase is Phase.RUNNING
    assert decision.status.start_time == after(12)
    assert decision.status.job is not None
    assert decision.status.job.name == "rpt-demo-1"


def test_a_spec_that_breaks_a_rule_fails_with_its_field() -> None:
    decision = decided(a_task(spec={"targets": [{"arch": "amd64"}, {"arch": "amd64"}]}))

    assert decision.status is not None
    assert (decision.status.phase, decision.status.reason) == (Phase.FAILED, "InvalidSpec")
    assert "spec.targets" in (decision.status.message or "")


def test_an_unknown_profile_fails_and_the_known_ones_are_named() -> None:
    decision = decided(a_task(spec={"profile": "huge"}), profiles=frozenset({"default", "large"}))

    assert decision.status is not None
    assert decision.status.reason == "InvalidSpec"
    assert "default, large" in (decision.status.message or "")


# --- ends ------------------------------------------------------------------------------------------------------------


def test_a_worker_that_ended_well_is_a_success_before_kubernetes_calls_its_job_complete() -> None:
    seen = {"jobs": [a_job()], "pods": [a_success()]}

    decision = decided(a_running_task(), at=61, **seen)

    assert phase_of(decision) is Phase.SUCCEEDED
    assert decided(applied(a_running_task(), decision), at=61, **seen).actions == (), "the Job ends by itself"


def test_a_worker_that_ended_well_without_a_verified_package_is_judged_when_its_job_is_complete() -> None:
    assert decided(a_running_task(), at=61, jobs=[a_job()], pods=[an_ended_pod(0)]).status is None


def test_a_verified_artifact_for_every_target_is_a_success() -> None:
    task = a_running_task(spec={"targets": [{"arch": "amd64"}, {"arch": "arm64"}]})
    decision = decided(task, jobs=[a_complete_job()], pods=[a_success("amd64", "arm64")])

    status = decision.status
    assert status is not None
    assert status.phase is Phase.SUCCEEDED
    assert [a.target for a in status.artifacts or []] == ["amd64", "arm64"]
    assert status.duration == "48s"
    assert status.completion_time == after(60)


def test_a_job_that_ends_well_without_every_target_is_no_success() -> None:
    task = a_running_task(spec={"targets": [{"arch": "amd64"}, {"arch": "arm64"}], "retry": {"limit": 0}})
    decision = decided(task, jobs=[a_complete_job()], pods=[a_success("amd64")])

    assert decision.status is not None
    assert (decision.status.phase, decision.status.reason) == (Phase.FAILED, "Internal")
    assert "arm64" in (decision.status.message or "")


def test_an_artifact_that_did_not_pass_verification_is_none() -> None:
    pod = an_ended_pod(0, {"ok": True, "artifacts": [an_artifact(passed=False)]})

    assert phase_of(decided(a_running_task(), jobs=[a_complete_job()], pods=[pod])) is Phase.RETRYING


def test_a_dry_run_succeeds_with_its_plan_alone() -> None:
    pod = an_ended_pod(0, {"ok": True, "plan": {"packages": 7}})
    decision = decided(a_running_task(spec={"dryRun": True}), jobs=[a_complete_job()], pods=[pod])

    assert decision.status is not None
    assert decision.status.phase is Phase.SUCCEEDED
    assert decision.status.plan is not None
    assert decision.status.plan.packages == 7
    assert "ArtifactReady" not in {c.type for c in decision.status.conditions or []}


def test_the_api_server_is_asked_when_the_end_of_a_job_is_seen_before_that_of_its_pod() -> None:
    seen = {"jobs": [a_complete_job()], "pods": [a_running_pod()]}

    assert decided(a_running_task(), **seen).actions == (LookFor(1),)
    assert phase_of(decided(a_running_task(), answers=LOOKED, **seen)) is Phase.RETRYING


def test_a_quick_job_is_running_before_it_is_anything_final() -> None:
    seen = {"jobs": [a_complete_job()], "pods": [a_success()]}
    first = decided(a_task(), **seen)

    assert phase_of(first) is Phase.RUNNING
    assert phase_of(decided(applied(a_task(), first), **seen)) is Phase.SUCCEEDED


@pytest.mark.parametrize(
    ("pod", "reason", "phase"),
    [
        (a_failure(20, "IndexUnreachable"), "IndexUnreachable", Phase.RETRYING),
        (a_failure(12, "InvalidPackage"), "InvalidPackage", Phase.FAILED),
        (a_failure(19, "VerificationFailed"), "VerificationFailed", Phase.FAILED),
        (a_failure(30, "DiskFull"), "DiskFull", Phase.FAILED),
        (an_ended_pod(21, "Traceback…\nlast words"), "DownloadTimeout", Phase.RETRYING),
        (an_ended_pod(137, reason="OOMKilled"), "OOMKilled", Phase.RETRYING),
        (an_ended_pod(99, ""), "Internal", Phase.RETRYING),
        (an_ended_pod(143, "", metadata={"deletionTimestamp": "2026-11-23T05:01:00Z"}), "PodDeletedExternally",
         Phase.RETRYING),
        (an_ended_pod(143, "", status={"conditions": [
            {"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler"}]}), "Preempted",
         Phase.RETRYING),
        (an_ended_pod(143, "", status={"conditions": [
            {"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI"}]}), "PodEvicted",
         Phase.RETRYING),
        (a_pod(phase="Failed", status={"reason": "Evicted"}), "PodEvicted", Phase.RETRYING),
        (a_pod(phase="Failed", status={"reason": "NodeLost"}), "NodeLost", Phase.RETRYING),
    ],
)  # fmt: skip
def test_each_failure_has_its_reason_and_its_consequence(pod: object, reason: str, phase: Phase) -> None:
    decision = decided(a_running_task(), jobs=[a_failed_job()], pods=[pod])

    assert decision.status is not None
    assert (decision.status.reason, decision.status.phase) == (reason, phase)
    assert decision.status.attempts is not None
    assert decision.status.attempts[0].reason == reason


def test_a_job_past_its_deadline_fails_even_if_its_pod_is_gone() -> None:
    decision = decided(a_running_task(), jobs=[a_failed_job("DeadlineExceeded")])

    assert decision.status is not None
    assert (decision.status.phase, decision.status.reason) == (Phase.FAILED, "DeadlineExceeded")


def test_verified_targets_are_listed_although_another_one_failed() -> None:
    result = {"ok": False, "reason": "NoWheelForPlatform", "message": "arm64: numpy", "artifacts": [an_artifact()]}
    task = a_running_task(spec={"targets": [{"arch": "amd64"}, {"arch": "arm64"}]})
    decision = decided(task, jobs=[a_failed_job()], pods=[an_ended_pod(15, result)])

    assert decision.status is not None
    assert decision.status.phase is Phase.FAILED
    assert [a.target for a in decision.status.artifacts or []] == ["amd64"]


def test_a_pod_that_waits_past_the_pending_deadline_fails_and_frees_its_slot() -> None:
    seen = {"jobs": [a_job()], "pods": [a_waiting_pod("ImagePullBackOff", "no such image")]}
    task = applied(a_task(), decided(a_task(), at=20, **seen))

    decision = decided(task, at=700, **seen)

    assert decision.status is not None
    assert (decision.status.phase, decision.status.reason) == (Phase.FAILED, "ImagePullBackOff")
    assert decision.actions == (DeleteJob("rpt-demo-1", "job-1"),)


def test_a_job_without_any_pod_past_the_pending_deadline_never_started() -> None:
    decision = decided(a_task(), at=700, jobs=[a_job()])

    assert decision.status is not None
    assert decision.status.reason == "PodNeverStarted"


# --- trying again ----------------------------------------------------------------------------------------------------


def test_a_retry_waits_for_its_back_off_and_then_gets_its_own_job() -> None:
    task = in_phase("Retrying", status=RETRYING)

    assert decided(task, at=65).wake_at == after(70)
    assert decided(task, at=71).actions == (CreateJob(attempt=2),)


def test_the_back_off_doubles_up_to_its_limit() -> None:
    failure = RETRYING["attempts"][0]  # type: ignore[index]
    status = {"attempt": 3, "attempts": [failure, failure | {"attempt": 2}, failure | {"attempt": 3}]}

    assert decided(in_phase("Retrying", status=status), at=65).wake_at == after(60 + 40)
    limited = {"retry": {"limit": 5, "backoffSeconds": 10, "maxBackoffSeconds": 15}}
    assert decided(in_phase("Retrying", status=status, spec=limited), at=65).wake_at == after(60 + 15)


def test_the_limit_of_retries_is_kept() -> None:
    task = a_running_task(attempt=2, spec={"retry": {"limit": 1}}, status={"attempts": RETRYING["attempts"]})
    decision = decided(task, jobs=[a_failed_job(attempt=2)], pods=[a_failure(20, "IndexUnreachable", attempt=2)])

    assert phase_of(decision) is Phase.FAILED


def test_a_worker_killed_for_memory_is_tried_once_more_with_more() -> None:
    first = decided(a_running_task(), jobs=[a_failed_job()], pods=[an_ended_pod(137, reason="OOMKilled")])
    retrying = applied(a_running_task(), first)

    again = decided(retrying, at=200, jobs=[a_failed_job()], pods=[an_ended_pod(137, reason="OOMKilled")])
    assert again.actions == (CreateJob(attempt=2, memory_step=1),)

    running = a_running_task(attempt=2, status={"attempts": retrying.status.wire()["attempts"]})
    pod = an_ended_pod(137, reason="OOMKilled", attempt=2)
    assert phase_of(decided(running, jobs=[a_failed_job(attempt=2)], pods=[pod])) is Phase.FAILED


def test_the_next_attempt_never_overlaps_with_a_dying_pod() -> None:
    task = in_phase("Retrying", status=RETRYING)
    dying = a_running_pod(metadata={"deletionTimestamp": "2026-11-23T05:01:10Z"})

    assert decided(task, at=80, pods=[dying]).actions == ()
    assert decided(task, at=80 + 60, pods=[dying]).actions == (CreateJob(attempt=2),)  # its node is lost


def test_a_job_deleted_by_hand_is_believed_only_after_asking() -> None:
    assert decided(a_running_task()).actions == (LookFor(1),)

    decision = decided(a_running_task(), answers=LOOKED)

    assert decision.status is not None
    assert (decision.status.phase, decision.status.reason) == (Phase.RETRYING, "JobDeletedExternally")


def test_a_vanished_job_whose_pod_told_its_success_is_a_success() -> None:
    assert phase_of(decided(a_running_task(), answers=LOOKED, pods=[a_success()])) is Phase.SUCCEEDED


def test_a_vanished_job_that_published_everything_is_a_success() -> None:
    asking = decided(a_running_task(), answers=LOOKED, has_store=True)
    assert asking.actions == (AskStore(1),)

    made = WorkResult.model_validate({"ok": True, "artifacts": [an_artifact()]})
    known = Answers(looked_for=1, store_asked=1, published=made)
    found = decided(a_running_task(), answers=known, has_store=True)
    assert phase_of(found) is Phase.SUCCEEDED
    assert found.status is not None
    assert [artifact.target for artifact in found.status.artifacts or []] == ["amd64"]


@pytest.mark.parametrize("artifacts", [None, [], [an_artifact(passed=False)], [an_artifact("arm64")]])
def test_a_vanished_job_that_did_not_publish_every_verified_target_is_no_success(artifacts: list | None) -> None:
    made = None if artifacts is None else WorkResult.model_validate({"ok": True, "artifacts": artifacts})
    known = Answers(looked_for=1, store_asked=1, published=made)

    assert phase_of(decided(a_running_task(), answers=known, has_store=True)) is Phase.RETRYING


def test_finished_jobs_go_before_their_task_where_that_is_wished() -> None:
    done = in_phase("Succeeded", status={"completionTime": "2026-11-23T05:01:00Z"})
    seen = {"jobs": [a_complete_job()], "job_ttl_seconds": 30}

    waiting = decided(done, at=70, **seen)
    assert (waiting.actions, waiting.wake_at) == ((), after(90))
    assert decided(done, at=91, **seen).actions == (DeleteJob("rpt-demo-1", "job-1"),)
    assert decided(done, at=91, jobs=[a_complete_job()]).actions == ()
    both = decided(done, at=70, **seen, default_ttl_seconds=20)
    assert both.wake_at == after(80)


def test_a_job_that_was_perhaps_made_is_looked_for_before_anything_else() -> None:
    cancelled = a_task(spec={"desiredState": "Cancelled"})

    assert decided(cancelled, unsure=True).actions == (LookFor(1),)


def test_an_attempt_with_a_recorded_end_is_never_made_again() -> None:
    decision = decided(in_phase("Retrying", status=RETRYING), at=200)

    assert decision.actions == (CreateJob(attempt=2),)


def test_a_job_whose_attempt_is_over_is_deleted() -> None:
    task = in_phase("Retrying", status=RETRYING)

    assert decided(task, at=200, jobs=[a_job()]).actions == (DeleteJob("rpt-demo-1", "job-1"),)


# --- the user's wishes -----------------------------------------------------------------------------------------------


def test_cancelling_stops_the_job_and_ends_once_nothing_runs() -> None:
    task = a_running_task(spec={"desiredState": "Cancelled"})
    stopping = decided(task, jobs=[a_job()], pods=[a_running_pod()])
    assert phase_of(stopping) is Phase.CANCELLING
    assert stopping.actions == (DeleteJob("rpt-demo-1", "job-1"),)

    task = applied(task, stopping)
    assert decided(task, jobs=[], pods=[a_running_pod()]).status is None
    assert phase_of(decided(task, jobs=[], pods=[])) is Phase.CANCELLED


def test_a_task_that_never_began_is_cancelled_at_once() -> None:
    assert phase_of(decided(a_task(spec={"desiredState": "Cancelled"}))) is Phase.CANCELLED


def test_work_that_ended_well_before_it_could_be_stopped_is_kept() -> None:
    task = in_phase("Cancelling", spec={"desiredState": "Cancelled"}, status={"attempt": 1})

    assert phase_of(decided(task, jobs=[a_complete_job()], pods=[a_success()])) is Phase.SUCCEEDED


def test_a_failure_while_cancelling_is_a_cancellation() -> None:
    task = in_phase("Cancelling", spec={"desiredState": "Cancelled"}, status={"attempt": 1})

    assert phase_of(decided(task, jobs=[a_failed_job()], pods=[an_ended_pod(143, "")])) is Phase.CANCELLED


def test_suspending_stops_the_job_and_counts_as_no_failure() -> None:
    task = a_running_task(spec={"desiredState": "Suspended"})
    decision = decided(task, jobs=[a_job()], pods=[a_running_pod()])

    assert phase_of(decision) is Phase.SUSPENDED
    assert decision.actions == (DeleteJob("rpt-demo-1", "job-1"),)
    assert decision.status is not None
    assert decision.status.attempts is not None
    assert decision.status.attempts[0].failure_class is None


def test_a_resumed_task_starts_another_attempt() -> None:
    task = in_phase("Suspended", status={"attempt": 1, "attempts": [{"attempt": 1, "reason": "Suspended"}]})

    assert decided(task).actions == (CreateJob(attempt=2),)


def test_a_failure_of_a_task_to_be_suspended_is_recorded_and_then_it_rests() -> None:
    task = a_running_task(spec={"desiredState": "Suspended"})
    decision = decided(task, jobs=[a_failed_job()], pods=[a_failure(20, "IndexUnreachable")])

    assert phase_of(decision) is Phase.SUSPENDED
    assert decision.status is not None
    assert decision.status.attempts is not None
    assert decision.status.attempts[0].reason == "IndexUnreachable"


# --- after the end ---------------------------------------------------------------------------------------------------


def test_a_finished_task_is_deleted_when_its_time_to_live_has_passed() -> None:
    status = {"completionTime": "2026-11-23T05:01:00Z"}
    task = in_phase("Succeeded", spec={"ttlSecondsAfterFinished": 30}, status=status)

    assert decided(task, at=80) == Decision(wake_at=after(90))
    assert decided(task, at=90).actions == (DeleteTask(),)


def test_the_operators_time_to_live_is_that_of_tasks_without_one() -> None:
    task = in_phase("Failed", status={"completionTime": "2026-11-23T05:01:00Z"})

    assert decided(task, at=90, default_ttl_seconds=30).actions == (DeleteTask(),)
    assert decided(task, at=90_000) == Decision()


@pytest.mark.parametrize("phase", ["Succeeded", "Failed", "Cancelled"])
def test_a_final_task_never_changes_and_what_still_runs_is_stopped(phase: str) -> None:
    task = in_phase(phase, status={"attempt": 1}, spec={"desiredState": "Cancelled"})

    decision = decided(task, jobs=[a_job()], pods=[a_running_pod()])

    assert decision.status is None
    assert decision.actions == (DeleteJob("rpt-demo-1", "job-1"),)


def test_a_task_that_is_being_deleted_is_left_alone() -> None:
    task = a_running_task(metadata={"deletionTimestamp": "2026-11-23T05:01:00Z"})

    assert decided(task, jobs=[a_failed_job()]) == Decision()


# --- refusals --------------------------------------------------------------------------------------------------------


def test_a_full_quota_is_waited_for_and_counts_no_attempt() -> None:
    refusal = Refusal("QuotaExceeded", "exceeded quota", retry_at=after(65))
    decision = decided(a_task(), refusal=refusal)

    assert decision.status is not None
    assert (decision.status.phase, decision.status.reason) == (Phase.QUEUED, "QuotaExceeded")
    assert decision.wake_at == after(65)
    assert decided(applied(a_task(), decision), at=66, refusal=refusal).actions == (CreateJob(attempt=1),)


def test_a_name_that_is_taken_is_a_name_conflict() -> None:
    decision = decided(a_task(), refusal=Refusal("NameConflict", "taken", retry_at=after(0), final=True))

    assert decision.status is not None
    assert (decision.status.phase, decision.status.reason) == (Phase.FAILED, "NameConflict")


def test_a_job_of_an_earlier_task_of_this_name_is_waited_for() -> None:
    decision = decided(a_task(), pods=[a_running_pod(attempt=0)])

    assert phase_of(decision) is Phase.PENDING
