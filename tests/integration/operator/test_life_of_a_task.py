"""Whole lives of tasks: the real operator, the embedded API, Jobs that are played."""

from collections import Counter

import pytest

from fakes.job_controller import fails, runs
from operator_bench import Bench
from repack_kube.resources import JOBS


def conditions(task: dict) -> dict[str, str]:
    return {condition["type"]: condition["status"] for condition in task["status"]["conditions"]}


async def test_a_task_becomes_a_job_and_then_succeeds(bench: Bench) -> None:
    await bench.start_operator()
    await bench.create_task("demo", targets=[{"arch": "amd64"}])

    task = await bench.phase("demo", "Succeeded")

    assert [job["metadata"]["name"] for job in await bench.jobs()] == ["rpt-demo-1"]
    status = task["status"]
    assert status["artifacts"][0]["verification"]["passed"] is True
    assert status["plugin"]["name"] == "demo"
    assert conditions(task) == {"Admitted": "True", "Succeeded": "True", "Complete": "True", "ArtifactReady": "True"}
    assert status["observedGeneration"] == task["metadata"]["generation"]


@pytest.mark.fault(13, "calls of ten tasks are counted")
async def test_a_quick_task_costs_three_calls(bench: Bench) -> None:
    await bench.start_operator(max_concurrent=10)
    before = len(bench.calls)
    for number in range(10):
        await bench.create_task(f"demo-{number}")
    for number in range(10):
        await bench.phase(f"demo-{number}", "Succeeded", seconds=30)

    calls = bench.calls[before:]
    made = Counter(f"{call.verb} {call.resource}" for call in calls if call.resource != "events")
    assert made["create jobs"] == 10
    assert sum(made.values()) <= 42, made
    assert sum(call.resource == "events" for call in calls) <= 20, "one for the start of a task and one for its end"


async def test_a_network_failure_is_tried_again_and_its_history_kept(bench: Bench) -> None:
    bench.player.scripts["demo", 1] = fails(20, "IndexUnreachable", "no answer")
    await bench.start_operator()
    await bench.create_task("demo", retry={"limit": 2, "backoffSeconds": 0, "maxBackoffSeconds": 0})

    status = (await bench.phase("demo", "Succeeded"))["status"]

    assert status["attempt"] == 2
    assert [(a["attempt"], a["reason"]) for a in status["attempts"]] == [(1, "IndexUnreachable"), (2, "Succeeded")]


async def test_a_user_error_fails_at_once_with_a_hint(bench: Bench) -> None:
    bench.player.scripts["demo", 1] = fails(12, "InvalidPackage", "no manifest.yaml")
    await bench.start_operator()
    await bench.create_task("demo")

    task = await bench.phase("demo", "Failed")

    assert task["status"]["reason"] == "InvalidPackage"
    assert "no manifest.yaml" in task["status"]["message"]
    assert "Hint: " in task["status"]["message"]
    assert conditions(task)["Stalled"] == "True"


async def test_cancelling_ends_the_job(bench: Bench) -> None:
    bench.player.default = runs
    await bench.start_operator()
    await bench.create_task("demo")
    await bench.phase("demo", "Running")

    await bench.wish("demo", desiredState="Cancelled")

    await bench.phase("demo", "Cancelled")
    assert await bench.jobs() == []


async def test_suspending_ends_the_job_and_resuming_starts_another_attempt(bench: Bench) -> None:
    bench.player.scripts["demo", 1] = runs
    await bench.start_operator()
    await bench.create_task("demo")
    await bench.phase("demo", "Running")

    await bench.wish("demo", desiredState="Suspended")
    await bench.phase("demo", "Suspended")
    await bench.until(lambda: _no_jobs(bench), "the Job to be gone")
    await bench.wish("demo", desiredState="Active")

    status = (await bench.phase("demo", "Succeeded"))["status"]
    assert [(a["attempt"], a["reason"]) for a in status["attempts"]] == [(1, "Suspended"), (2, "Succeeded")]


async def _no_jobs(bench: Bench) -> bool:
    return not await bench.jobs()


async def test_a_finished_task_is_deleted_when_its_time_has_come(bench: Bench) -> None:
    await bench.start_operator()
    await bench.create_task("demo", ttlSecondsAfterFinished=1)

    await bench.gone("demo")

    assert len(bench.player.created) == 1


async def test_more_tasks_than_slots_wait_in_the_queue_and_say_so(bench: Bench) -> None:
    bench.player.default = runs
    await bench.start_operator(max_concurrent=1)
    await bench.create_task("first")
    await bench.phase("first", "Running")
    await bench.create_task("second")

    waiting = await bench.phase("second", "Queued")
    admitted = next(c for c in waiting["status"]["conditions"] if c["type"] == "Admitted")
    assert admitted["status"] == "False"
    assert admitted["message"] == "Position 1 in the queue: the only slot is in use."

    await bench.wish("first", desiredState="Cancelled")
    await bench.phase("second", "Running")


@pytest.mark.fault(6, "the Job is deleted")
async def test_a_job_deleted_by_hand_is_one_failed_attempt(bench: Bench) -> None:
    bench.player.scripts["demo", 1] = runs
    await bench.start_operator()
    await bench.create_task("demo", retry={"limit": 1, "backoffSeconds": 0, "maxBackoffSeconds": 0})
    await bench.phase("demo", "Running")

    await bench.cluster.delete(JOBS, "rpt-demo-1", namespace="default")

    status = (await bench.phase("demo", "Succeeded"))["status"]
    assert [(a["attempt"], a["reason"]) for a in status["attempts"]] == [(1, "JobDeletedExternally"), (2, "Succeeded")]
    assert len(bench.player.created) == 2


async def test_somebody_elses_job_of_that_name_is_a_name_conflict(bench: Bench) -> None:
    container = {"name": "x", "image": "x"}
    template = {"spec": {"restartPolicy": "Never", "containers": [container]}}
    body = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "rpt-demo-1", "namespace": "default"}}
    await bench.cluster.create(JOBS, body | {"spec": {"template": template}})
    await bench.start_operator()
    await bench.create_task("demo")

    task = await bench.phase("demo", "Failed")

    assert task["status"]["reason"] == "NameConflict"


async def test_an_operator_that_starts_anew_goes_on_where_the_last_one_stopped(bench: Bench) -> None:
    bench.player.default = runs
    await bench.start_operator()
    await bench.create_task("demo")
    await bench.phase("demo", "Running")
    await bench.stop_operator()

    await bench.wish("demo", desiredState="Cancelled")
    await bench.start_operator()

    await bench.phase("demo", "Cancelled")
