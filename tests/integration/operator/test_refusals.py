"""The API server refuses Jobs: the task waits, says why, and goes on when it may."""

from typing import Any

import pytest

from operator_bench import Bench
from repack_kube.client import Cluster
from repack_kube.errors import ForbiddenError, InvalidError, KubeError, QuotaError
from repack_kube.resources import JOBS, TASKS


class Refusing:
    """A cluster that refuses to make Jobs until told otherwise."""

    def __init__(self, cluster: Cluster, error: KubeError) -> None:
        self._cluster = cluster
        self._error = error
        self.refusing = True
        self.refused = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cluster, name)

    async def create(self, resource: Any, body: Any) -> Any:
        if self.refusing and resource == JOBS:
            self.refused += 1
            raise self._error
        return await self._cluster.create(resource, body)


@pytest.mark.parametrize(
    ("error", "words", "remedy"),
    [
        (QuotaError("exceeded quota: jobs", status=403), "exceeded quota: jobs", "Raise the namespace's quota"),
        (
            ForbiddenError('jobs.batch is forbidden: User "x" cannot create resource "jobs"', status=403),
            "jobs.batch is forbidden",
            "Give the operator's service account the right to create Jobs",
        ),
        (
            InvalidError("admission webhook denied the request: no", status=422),
            "admission webhook denied",
            "Change that rule, or the profile",
        ),
        (InvalidError("Job is invalid: resources.requests", status=422), "Job is invalid", "Correct the profile"),
    ],
    ids=["quota", "rights", "webhook", "invalid"],
)
@pytest.mark.fault(12, "creating Jobs is refused")
async def test_a_refused_job_keeps_the_task_queued_with_its_reason_and_without_a_hot_loop(
    bench: Bench, error: KubeError, words: str, remedy: str
) -> None:
    walls: list[Refusing] = []

    def wrap(cluster: Cluster) -> Cluster:
        walls.append(Refusing(cluster, error))
        return walls[0]  # type: ignore[return-value]

    bench.wrap = wrap
    await bench.start_operator()
    await bench.create_task("demo")

    task = await bench.phase("demo", "Queued")
    assert task["status"]["reason"] == "QuotaExceeded"
    assert words in task["status"]["message"]
    assert f"Hint: {remedy}" in task["status"]["message"]
    assert walls[0].refused <= 2

    walls[0].refusing = False
    task = await bench.phase("demo", "Succeeded", seconds=20)
    assert task["status"]["attempt"] == 1


async def test_a_task_made_anew_under_its_old_name_gets_a_job_of_its_own(bench: Bench) -> None:
    await bench.start_operator()
    first = await bench.create_task("demo")
    await bench.phase("demo", "Succeeded")

    await bench.cluster.delete(TASKS, "demo", namespace="default")
    await bench.gone("demo")
    second = await bench.create_task("demo")
    await bench.phase("demo", "Succeeded")

    (job,) = await bench.jobs()
    assert first["metadata"]["uid"] != second["metadata"]["uid"]
    assert job["metadata"]["ownerReferences"][0]["uid"] == second["metadata"]["uid"]
