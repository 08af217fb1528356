"""The operator dies at the worst moments; the next one makes exactly one Job per attempt, and the task ends."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from fakes.job_controller import JobController, runs
from operator_bench import Bench
from operator_process import OperatorProcess
from repack_kube.client import Cluster
from repack_kube.resources import JOBS, TASKS, Object

WRITES = ("create", "patch", "patch_status", "delete")


class StuckAfter:
    """A cluster whose n-th write of a Job or a status takes effect and never answers: as a killed process sees it."""

    def __init__(self, cluster: Cluster, *, writes: int) -> None:
        self._cluster = cluster
        self._left = writes
        self.stuck = asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._cluster, name)
        return self._counted(method) if name in WRITES else method

    def _counted(self, method: Any) -> Any:
        async def call(*args: Any, **kwargs: Any) -> Any:
            if args[0] not in (TASKS, JOBS):
                return await method(*args, **kwargs)  # Events and questions about rights decide nothing
            if self._left <= 0:
                await asyncio.Event().wait()
            self._left -= 1
            answer = await method(*args, **kwargs)
            if self._left == 0:
                self.stuck.set()
                await asyncio.Event().wait()
            return answer

        return call


async def crash_after(bench: Bench, writes: int, **settings: Any) -> None:
    """Run an operator until its n-th write has taken effect, then lose it, and start another one."""
    stuck: list[StuckAfter] = []

    def wrap(cluster: Cluster) -> Cluster:
        stuck.append(StuckAfter(cluster, writes=writes))
        return stuck[0]  # type: ignore[return-value]

    bench.wrap = wrap
    await bench.start_operator(**settings)
    await asyncio.wait_for(stuck[0].stuck.wait(), timeout=20)
    await bench.stop_operator()
    bench.wrap = lambda cluster: cluster
    await bench.start_operator(**settings)


@pytest.mark.fault(1, "it is lost after its n-th write")
@pytest.mark.parametrize("writes", [1, 2, 3])
async def test_a_crash_after_any_write_of_a_plain_life_leaves_one_job_and_a_success(bench: Bench, writes: int) -> None:
    await bench.create_task("demo")

    await crash_after(bench, writes)

    await bench.phase("demo", "Succeeded")
    assert len(bench.player.created) == 1


@pytest.mark.fault(1, "it is lost while it cancels")
@pytest.mark.parametrize("writes", [3, 4])
async def test_a_crash_while_cancelling_still_cancels(bench: Bench, writes: int) -> None:
    bench.player.default = runs
    await bench.create_task("demo")
    crashing = asyncio.create_task(crash_after(bench, writes))
    await bench.phase("demo", "Running")
    await bench.wish("demo", desiredState="Cancelled")
    await crashing

    await bench.phase("demo", "Cancelled")
    assert await bench.jobs() == []
    assert len(bench.player.created) == 1


@pytest.mark.fault(1, "it is lost while it suspends")
@pytest.mark.parametrize("writes", [3, 4])
async def test_a_crash_while_suspending_never_runs_two_jobs(bench: Bench, writes: int) -> None:
    bench.player.default = runs
    await bench.create_task("demo")
    crashing = asyncio.create_task(crash_after(bench, writes))
    await bench.phase("demo", "Running")
    await bench.wish("demo", desiredState="Suspended")
    await crashing

    async def no_jobs() -> bool:
        return not await bench.jobs()

    await bench.phase("demo", "Suspended")
    await bench.until(no_jobs, "the Job to be gone")
    assert len(bench.player.created) == 1


@pytest.mark.fault(1, "SIGKILL of the real process")
async def test_a_killed_process_is_followed_by_one_that_adopts_its_job(bench: Bench, tmp_path: Path) -> None:
    killed = asyncio.Event()

    async def runs_after_the_kill(controller: JobController, job: Object) -> None:
        await killed.wait()
        await controller.start(job)

    bench.player.default = runs_after_the_kill
    first = OperatorProcess.start(bench.api.kubeconfig_path, tmp_path / "first")
    try:
        await bench.create_task("demo")
        await bench.until(lambda: bench.player.created, "the Job")
        assert "phase" not in (await bench.task("demo")).get("status", {}), "the status was to be written later"
    finally:
        first.kill()
        killed.set()
    second = OperatorProcess.start(bench.api.kubeconfig_path, tmp_path / "second")
    try:
        task = await bench.phase("demo", "Running")
    finally:
        assert second.terminate() == 0, second.log

    uid = bench.player.created[0].rpartition("/")[2]
    assert task["status"]["job"]["uid"] == uid
    assert len(bench.player.created) == 1
