"""What can happen to a worker, its Pod and its Job."""

from datetime import timedelta
from typing import Any

import pytest

from fakes.ingest import fake_ingest
from fakes.job_controller import JobController, a_result, now_text, runs
from model_world import Operator, World
from operator_bench import Bench
from repack_kube.resources import JOBS, PODS, TASKS, Object
from repack_operator.settings import Settings

AT_ONCE = {"limit": 2, "backoffSeconds": 0, "maxBackoffSeconds": 0}


def ends_so(*, reason: str = "", exit_code: int = 137, condition: str = "") -> Any:
    """The worker runs and is ended from outside."""

    async def play(controller: JobController, job: Object) -> None:
        pod = await controller.start(job)
        if condition:
            disrupted = {"type": "DisruptionTarget", "status": "True", "reason": condition}
            running = {"running": {"startedAt": now_text()}}
            await controller.set_pod(pod, phase="Running", state=running, conditions=[disrupted])
        await controller.end(job, exit_code=exit_code, result="", reason=reason)

    return play


def waits_with(reason: str, message: str) -> Any:
    async def play(controller: JobController, job: Object) -> None:
        pod = await controller.make_pod(job)
        if reason == "Unschedulable":
            unfit = {"type": "PodScheduled", "status": "False", "reason": reason, "message": message}
            await controller.set_pod(pod, phase="Pending", conditions=[unfit])
        else:
            await controller.set_pod(pod, phase="Pending", state={"waiting": {"reason": reason, "message": message}})

    return play


@pytest.mark.fault(6, "the Pod is deleted")
async def test_06_a_pod_deleted_by_hand_costs_one_attempt_with_its_reason(bench: Bench) -> None:
    bench.player.scripts["demo", 1] = runs
    await bench.start_operator()
    await bench.create_task("demo", retry=AT_ONCE)
    await bench.phase("demo", "Running")

    await bench.cluster.delete(PODS, "rpt-demo-1-pod", namespace="default")
    (job,) = await bench.jobs()
    await JobController(bench.cluster).finish(job, "Failed", "BackoffLimitExceeded")

    status = (await bench.phase("demo", "Succeeded"))["status"]
    assert [(a["attempt"], a["reason"]) for a in status["attempts"]] == [(1, "PodDeletedExternally"), (2, "Succeeded")]


@pytest.mark.fault(6, "the Job is deleted after its worker published")
async def test_06_a_job_deleted_after_its_package_was_published_is_a_success(bench: Bench) -> None:
    bench.player.default = runs
    async with fake_ingest() as ingest:
        await bench.start_operator(ingest_url=ingest.url)
        created = await bench.create_task("demo")
        await bench.phase("demo", "Running")
        ingest.results[created["metadata"]["uid"], 1] = a_result("amd64")

        await bench.cluster.delete(JOBS, "rpt-demo-1", namespace="default")

        status = (await bench.phase("demo", "Succeeded"))["status"]
        assert status["attempt"] == 1
        assert status["artifacts"][0]["verification"]["passed"] is True
        assert len(bench.player.created) == 1
        await bench.stop_operator()


@pytest.mark.fault(7, "the Pod has the condition DisruptionTarget")
@pytest.mark.parametrize(
    ("condition", "reason"),
    [
        ("EvictionByEvictionAPI", "PodEvicted"),
        ("TerminationByKubelet", "PodEvicted"),
        ("PreemptionByScheduler", "Preempted"),
        ("DeletionByTaintManager", "NodeLost"),
    ],
)
async def test_07_an_evicted_pod_is_no_failure_of_the_user(bench: Bench, condition: str, reason: str) -> None:
    bench.player.scripts["demo", 1] = ends_so(condition=condition)
    await bench.start_operator()
    await bench.create_task("demo", retry=AT_ONCE)

    status = (await bench.phase("demo", "Succeeded"))["status"]

    assert [(a["reason"], a.get("class")) for a in status["attempts"]] == [(reason, "Infra"), ("Succeeded", None)]


@pytest.mark.fault(8, "the container is OOMKilled, twice")
async def test_08_a_worker_without_memory_gets_more_once_and_then_fails(bench: Bench) -> None:
    for attempt in (1, 2):
        bench.player.scripts["demo", attempt] = ends_so(reason="OOMKilled")
    await bench.start_operator()
    await bench.create_task("demo", retry={**AT_ONCE, "limit": 5})

    status = (await bench.phase("demo", "Failed"))["status"]

    assert [a["reason"] for a in status["attempts"]] == ["OOMKilled", "OOMKilled"]
    containers = [job["spec"]["template"]["spec"]["containers"][0] for job in await bench.jobs()]
    assert [container["resources"]["limits"]["memory"] for container in containers] == ["1Gi", "2Gi"]


@pytest.mark.fault(9, "the container waits for ever")
async def test_09_a_pod_that_cannot_start_fails_at_its_deadline_and_frees_its_slot(bench: Bench) -> None:
    reasons = ["ImagePullBackOff", "CreateContainerConfigError", "Unschedulable"]
    names = [reason.lower() for reason in reasons]
    for name, reason in zip(names, reasons, strict=True):
        bench.player.scripts[name, 1] = waits_with(reason, f"the words of {reason}")
    program = await bench.start_operator(max_concurrent=3)
    for name in names:
        await bench.create_task(name, pendingDeadlineSeconds=10)

    for name, reason in zip(names, reasons, strict=True):
        starting = await bench.phase(name, "Starting", "Failed")
        assert starting["status"]["reason"] == reason, "it is told while it waits"
        failed = (await bench.phase(name, "Failed", seconds=30))["status"]
        assert failed["reason"] == reason
        assert f"the words of {reason}" in failed["message"]
        assert "Hint: " in failed["message"]
    await bench.until(lambda: program.reconciler.slots.in_use == 0, "the slots")


@pytest.mark.fault(10, "the node goes silent, in simulated time")
def test_10_a_lost_node_costs_one_attempt_which_begins_only_when_the_old_pod_counts_as_dead() -> None:
    world = World()
    key = world.create_task("demo", retry={"limit": 1, "backoffSeconds": 5, "maxBackoffSeconds": 5})
    operator = Operator(world, Settings(kubernetes_events=False))
    operator.sync()
    operator.work()
    (job,) = world.live_jobs()
    pod = world.start(world.make_pod(job))
    turn(operator)
    assert world.objects[TASKS][key]["status"]["phase"] == "Running"

    # The node controller deletes the Pod, and nobody is there to end it; the Job's failure is decided, no more.
    end_by = (world.now + timedelta(seconds=30)).strftime("%Y-%m-%dT%H:%M:%SZ")
    lost = {"conditions": [{"type": "DisruptionTarget", "status": "True", "reason": "DeletionByTaintManager"}]}
    metadata = pod["metadata"] | {"deletionTimestamp": end_by}
    world.put(PODS, pod | {"metadata": metadata, "status": pod["status"] | lost})
    doomed = {"type": "FailureTarget", "status": "True", "reason": "PodFailurePolicy"}
    world.put(JOBS, job | {"status": {"conditions": [doomed]}})
    world.seconds += 80
    turn(operator)
    assert len(world.jobs_made) == 1, "the old Pod may still run"

    world.seconds += 15
    turn(operator)
    world.seconds += 10
    turn(operator)

    assert len(world.jobs_made) == 2
    assert world.objects[TASKS][key]["status"]["attempts"][0]["reason"] == "NodeLost"


def turn(operator: Operator) -> None:
    operator.hear(operator.world.untold)
    operator.world.untold = []
    operator.work()
