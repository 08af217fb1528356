from typing import Any

import pytest

from builders import a_job_object, a_pod_object, a_task_object
from repack_kube.resources import JOBS, PODS, TASKS
from repack_operator.observed import Observed

KEY = ("default", "demo")


def version(body: dict[str, Any], number: int) -> dict[str, Any]:
    return body | {"metadata": body["metadata"] | {"resourceVersion": str(number)}}


@pytest.mark.fault(5, "an old version comes late")
def test_an_older_version_that_comes_late_changes_nothing() -> None:
    observed = Observed()
    assert observed.see(TASKS, version(a_task_object(status={"phase": "Running"}), 7)) == KEY

    assert observed.see(TASKS, version(a_task_object(), 6)) is None
    assert observed.see(TASKS, version(a_task_object(), 7)) is None  # our own write comes back

    task = observed.task(KEY)
    assert task is not None
    assert task["status"] == {"phase": "Running"}


def test_what_was_deleted_does_not_come_back_from_an_old_list() -> None:
    observed = Observed()
    observed.see(TASKS, a_task_object())
    observed.forget(TASKS, a_task_object())

    assert observed.see(TASKS, version(a_task_object(), 1)) is None
    assert observed.task(KEY) is None


def test_a_task_made_anew_under_the_same_name_is_another_task() -> None:
    observed = Observed()
    observed.see(TASKS, a_task_object(uid="old"))
    observed.see(JOBS, a_job_object(task_uid="old"))

    observed.see(TASKS, version(a_task_object(uid="new"), 9))
    observed.forget(TASKS, a_task_object(uid="old"))

    assert observed.task(KEY) is not None
    assert observed.jobs_of("old") == ()


def test_jobs_and_pods_lead_to_their_task() -> None:
    observed = Observed()
    assert observed.see(JOBS, a_job_object()) is None  # its task is not known yet
    observed.see(TASKS, a_task_object())

    assert observed.see(PODS, a_pod_object()) == KEY
    assert [job.attempt for job in observed.jobs_of("uid-1")] == [1]


def test_a_pod_that_is_gone_keeps_its_last_words() -> None:
    observed = Observed()
    observed.see(TASKS, a_task_object())
    ended = {"terminated": {"exitCode": 20, "message": "{}"}}
    observed.see(PODS, a_pod_object(phase="Failed", state=ended))

    stub = {"metadata": a_pod_object()["metadata"]}  # a comparison knows no more than the name
    assert observed.forget(PODS, stub) == KEY

    pod = observed.pods_of("uid-1")[0]
    assert (pod.gone, pod.exit_code) == (True, 20)


def test_live_jobs_hold_slots_and_finished_ones_do_not() -> None:
    observed = Observed()
    observed.see(TASKS, a_task_object())
    observed.see(JOBS, a_job_object())
    assert observed.tasks_with_live_jobs() == {"uid-1"}

    observed.see(JOBS, version(a_job_object(conditions={"Complete": ""}), 2))
    assert observed.tasks_with_live_jobs() == set()


def test_a_job_that_vanished_frees_its_slot() -> None:
    observed = Observed()
    observed.see(TASKS, a_task_object())
    observed.see(JOBS, a_job_object())

    ghosts = observed.compare(JOBS, [], known_before=observed.uids(JOBS))
    for ghost in ghosts:
        assert observed.forget(JOBS, ghost) == KEY

    assert observed.tasks_with_live_jobs() == set()


def test_what_came_after_the_list_was_asked_for_is_no_ghost() -> None:
    observed = Observed()
    before = observed.uids(JOBS)
    observed.see(JOBS, a_job_object())

    assert observed.compare(JOBS, [], known_before=before) == []
