"""The loop around decisions, where the embedded API would not let the case arise."""

from typing import Any

import pytest

from builders import a_job_object, a_task_object
from repack_kube.errors import ConflictError, ExistsError, ForbiddenError, NotFoundError
from repack_kube.resources import JOBS, TASKS, Object, ObjectList
from repack_operator.metrics import Metrics
from repack_operator.reconcile import Reconciler
from repack_operator.settings import Settings
from repack_operator.status import merge_patch
from situation_builder import after

KEY = ("default", "demo")


class OneTask:
    """A cluster with one task and some Jobs; keeps what was written."""

    def __init__(self, task: Object) -> None:
        self.task = task
        self.jobs: dict[str, Object] = {}
        self.patches: list[Object] = []
        self.conflicts = 0

    async def get(self, resource: Any, name: str, *, namespace: str) -> Object:
        if resource == JOBS and name in self.jobs:
            return self.jobs[name]
        if resource == TASKS and name == self.task["metadata"]["name"]:
            return self.task
        raise NotFoundError("no")

    async def list(self, resource: Any, scope: Any = None) -> ObjectList:
        return ObjectList([], "1")

    async def create(self, resource: Any, body: Object) -> Object:
        name = body["metadata"]["name"]
        if name in self.jobs:
            raise ExistsError("exists", status=409)
        stored = {"uid": f"uid-{name}", "resourceVersion": "5", "creationTimestamp": "2026-11-23T05:00:00Z"}
        self.jobs[name] = body | {"metadata": body["metadata"] | stored}
        return self.jobs[name]

    async def patch_status(self, resource: Any, name: str, body: Object, *, namespace: str) -> Object:
        if self.conflicts:
            self.conflicts -= 1
            self._touch()
            raise ConflictError("changed", status=409)
        assert body["metadata"]["resourceVersion"] == self.task["metadata"]["resourceVersion"]
        self.patches.append(body["status"])
        status = {key: value for key, value in (self.task["status"] | body["status"]).items() if value is not None}
        self.task = self.task | {"status": status}
        self._touch()
        return self.task

    def _touch(self) -> None:
        version = str(int(self.task["metadata"]["resourceVersion"]) + 1)
        self.task = self.task | {"metadata": self.task["metadata"] | {"resourceVersion": version}}


def a_reconciler(cluster: OneTask) -> Reconciler:
    reconciler = Reconciler(cluster, Settings(), Metrics(version="t"), clock=lambda: 0.0, now=lambda: after(11))  # type: ignore[arg-type]
    reconciler.note(TASKS, cluster.task)
    return reconciler


async def test_a_spec_that_cannot_be_read_fails_and_names_the_field() -> None:
    cluster = OneTask(a_task_object(spec={"mode": "Magic"}))

    await a_reconciler(cluster).reconcile(KEY)

    assert cluster.task["status"]["phase"] == "Failed"
    assert cluster.task["status"]["reason"] == "InvalidSpec"
    assert "spec.mode" in cluster.task["status"]["message"]


async def test_a_task_that_changed_meanwhile_is_read_again_and_decided_anew() -> None:
    cluster = OneTask(a_task_object(spec={"desiredState": "Cancelled"}))
    cluster.conflicts = 1

    await a_reconciler(cluster).reconcile(KEY)

    assert cluster.task["status"]["phase"] == "Cancelled"
    assert len(cluster.patches) == 1


async def test_a_job_that_a_crashed_operator_made_is_adopted() -> None:
    cluster = OneTask(a_task_object())
    cluster.jobs["rpt-demo-1"] = a_job_object(uid="made-before")
    reconciler = a_reconciler(cluster)

    await reconciler.reconcile(KEY)

    assert [job.uid for job in reconciler.observed.jobs_of("uid-1")] == ["made-before"]
    assert reconciler.slots.in_use == 1


async def test_a_patch_says_only_what_changes() -> None:
    cluster = OneTask(a_task_object(spec={"desiredState": "Cancelled"}))
    await a_reconciler(cluster).reconcile(KEY)

    assert merge_patch({}, cluster.patches[0]) == cluster.patches[0]
    assert None not in cluster.patches[0].values()


async def test_own_writes_that_come_back_as_events_cause_no_further_look() -> None:
    cluster = OneTask(a_task_object(spec={"desiredState": "Cancelled"}))
    reconciler = a_reconciler(cluster)
    while (key := reconciler.queue.take()) is not None:
        await reconciler.reconcile(key)
        reconciler.queue.done(key)

    reconciler.note(TASKS, cluster.task)

    assert reconciler.queue.take() is None


async def test_the_job_of_an_earlier_task_of_this_name_is_waited_for_and_no_conflict() -> None:
    cluster = OneTask(a_task_object())
    cluster.jobs["rpt-demo-1"] = a_job_object(uid="old", task_uid="uid-of-a-deleted-task")
    reconciler = a_reconciler(cluster)

    await reconciler.reconcile(KEY)

    assert cluster.task["status"]["phase"] == "Queued"
    assert "earlier task" in cluster.task["status"]["message"]


async def test_a_job_that_no_task_owns_is_a_conflict() -> None:
    cluster = OneTask(a_task_object())
    foreign = a_job_object()
    foreign["metadata"]["ownerReferences"] = []
    cluster.jobs["rpt-demo-1"] = foreign
    reconciler = a_reconciler(cluster)

    await reconciler.reconcile(KEY)

    assert (cluster.task["status"]["phase"], cluster.task["status"]["reason"]) == ("Failed", "NameConflict")


async def test_a_task_that_is_gone_leaves_nothing_behind() -> None:
    cluster = OneTask(a_task_object())
    reconciler = a_reconciler(cluster)
    await reconciler.reconcile(KEY)

    reconciler.note(TASKS, cluster.task, deleted=True)
    await reconciler.reconcile(KEY)

    assert list(reconciler.observed.tasks()) == []
    assert reconciler.slots.in_use == 0
    assert reconciler.slots.waiting == 0


@pytest.mark.parametrize(
    ("message", "asks"),
    [
        ('jobs.batch is forbidden: User "x" cannot create resource "jobs" in API group "batch"', True),
        ("jobs.batch is forbidden: exceeded quota: none", False),
    ],
)
async def test_rights_are_asked_for_when_a_job_is_refused_for_want_of_one(message: str, asks: bool) -> None:
    class Refusing(OneTask):
        async def create(self, resource: Any, body: Object) -> Object:
            raise ForbiddenError(message, status=403)

    asked: list[bool] = []
    reconciler = a_reconciler(Refusing(a_task_object()))
    reconciler.on_refusal = lambda: asked.append(True)

    await reconciler.reconcile(KEY)

    assert bool(asked) is asks
