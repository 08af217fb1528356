"""Carries out what was decided: the calls to the API server, and what their refusals mean."""

from datetime import datetime, timedelta

from repack_contract.naming import LABEL_ATTEMPT, LABEL_TASK_UID, job_name
from repack_contract.reasons import REASONS, Reason
from repack_contract.task import RepackageTask
from repack_kube.client import Cluster
from repack_kube.errors import (
    ConflictError,
    ExistsError,
    ForbiddenError,
    InvalidError,
    KubeError,
    NotFoundError,
    QuotaError,
)
from repack_kube.resources import JOBS, PODS, TASKS, Object, Scope
from repack_operator.job import job_manifest
from repack_operator.observed import Observed
from repack_operator.settings import Settings
from repack_operator.sightings import owner_uid
from repack_operator.situation import ApiAction, CreateJob, DeleteJob, DeleteTask, LookFor, Refusal

_FIRST_REFUSAL = timedelta(seconds=5)
_LONGEST_REFUSAL = timedelta(seconds=120)
_STALE_NAME = timedelta(seconds=2)
RBAC_SAYS = "cannot create resource"
"""Part of what the API server says where a right is missing (its handlers' words for Forbidden)."""


class Performer:
    """Performs actions and notes in `Observed` what the API server answered."""

    def __init__(self, cluster: Cluster, observed: Observed, settings: Settings) -> None:
        self._cluster = cluster
        self._observed = observed
        self._settings = settings
        self._refusals: dict[str, int] = {}

    async def perform(self, task: RepackageTask, action: ApiAction, *, now: datetime) -> Refusal | None:
        """Carry out one action; a Job that was not made is answered by why.

        Raises:
            KubeError: the API server could not do it now.
        """
        match action:
            case CreateJob():
                return await self._create(task, action, now=now)
            case DeleteJob():
                await self._delete_job(task, action)
            case LookFor():
                await self._look_for(task, attempt=action.attempt)
            case DeleteTask():
                await self._delete_task(task)
        return None

    async def _create(self, task: RepackageTask, action: CreateJob, *, now: datetime) -> Refusal | None:
        uid = task.metadata.uid
        body = job_manifest(task, self._settings, attempt=action.attempt, memory_step=action.memory_step)
        try:
            self._observed.see(JOBS, await self._cluster.create(JOBS, body))
        except ExistsError:
            return await self._adopt(task, body["metadata"]["name"], now=now)
        except (ForbiddenError, InvalidError) as error:
            count = self._refusals.get(uid, 0)
            self._refusals[uid] = count + 1
            patience = min(_FIRST_REFUSAL * 2 ** min(count, 10), _LONGEST_REFUSAL)
            message = f"The API server refused the Job: {error.message}"
            return Refusal(Reason.QUOTA_EXCEEDED.value, message, retry_at=now + patience, hint=_remedy(error))
        self._refusals.pop(uid, None)
        return None

    async def _adopt(self, task: RepackageTask, name: str, *, now: datetime) -> Refusal | None:
        """The Job exists: ours, made before a crash; that of a deleted task, about to go; or somebody else's."""
        try:
            existing = await self._cluster.get(JOBS, name, namespace=task.metadata.namespace)
        except NotFoundError:
            return Refusal("Waiting", f"The Job {name} is just being deleted.", retry_at=now + _STALE_NAME)
        owner = owner_uid(existing)
        if owner == task.metadata.uid:
            self._observed.see(JOBS, existing)
            return None
        if "deletionTimestamp" in existing["metadata"] or (owner and self._observed.key_of_uid(owner) is None):
            message = f"The Job {name} of an earlier task of this name is still being deleted."
            return Refusal("Waiting", message, retry_at=now + _STALE_NAME)
        message = f"The Job {name} exists and does not belong to this task."
        return Refusal(Reason.NAME_CONFLICT.value, message, retry_at=now, final=True)

    async def _delete_job(self, task: RepackageTask, action: DeleteJob) -> None:
        stub = next((job.stub() for job in self._observed.jobs_of(task.metadata.uid) if job.uid == action.uid), None)
        try:
            await self._cluster.delete(JOBS, action.name, namespace=task.metadata.namespace, uid=action.uid)
        except (NotFoundError, ConflictError):
            if stub is not None:
                self._observed.forget(JOBS, stub)
        else:
            self._observed.mark_deleting(task.metadata.uid, action.uid)

    async def _look_for(self, task: RepackageTask, *, attempt: int) -> None:
        uid, namespace = task.metadata.uid, task.metadata.namespace
        try:
            name = job_name(task.metadata.name, attempt=attempt)
            found = await self._cluster.get(JOBS, name, namespace=namespace)
            if owner_uid(found) == uid:
                self._observed.see(JOBS, found)
        except NotFoundError:
            for job in self._observed.jobs_of(uid):
                if job.attempt == attempt:
                    self._observed.forget(JOBS, job.stub())
        labels = f"{LABEL_TASK_UID}={uid},{LABEL_ATTEMPT}={attempt}"
        listed = await self._cluster.list(PODS, Scope(namespace, labels=labels))
        exist = {pod["metadata"]["uid"] for pod in listed.items}
        for pod in listed.items:
            self._observed.see(PODS, pod)
        for seen in self._observed.pods_of(uid):
            if seen.attempt == attempt and not seen.gone and seen.uid not in exist:
                self._observed.forget(PODS, seen.stub())

    async def _delete_task(self, task: RepackageTask) -> None:
        metadata = task.metadata
        try:
            await self._cluster.delete(TASKS, metadata.name, namespace=metadata.namespace, uid=metadata.uid)
        except (NotFoundError, ConflictError):
            return  # gone, or another one of that name: the watch tells

    async def write_status(self, task: RepackageTask, patch: Object) -> Object | None:
        """Merge a patch into the status of this very version of the task.

        Returns:
            The task as stored; None where it had changed or gone meanwhile, which then is noted.

        Raises:
            KubeError: the API server could not do it now.
        """
        metadata = task.metadata
        body = {"metadata": {"resourceVersion": metadata.resource_version}, "status": patch}
        try:
            return await self._cluster.patch_status(TASKS, metadata.name, body, namespace=metadata.namespace)
        except ConflictError:
            return None
        except NotFoundError:
            return None

    async def read_again(self, task: RepackageTask) -> Object | None:
        """Return the task as it is now, None when it is gone."""
        metadata = task.metadata
        try:
            found = await self._cluster.get(TASKS, metadata.name, namespace=metadata.namespace)
        except NotFoundError:
            return None
        return found if found["metadata"]["uid"] == metadata.uid else None


def _remedy(error: KubeError) -> str:
    """Say what to do about a Job that was refused."""
    if isinstance(error, QuotaError):
        return REASONS[Reason.QUOTA_EXCEEDED].hint
    if isinstance(error, ForbiddenError) and RBAC_SAYS in error.message:
        return "Give the operator's service account the right to create Jobs; the chart's roles have it."
    if "admission" in error.message.lower() or isinstance(error, ForbiddenError):
        return "Change that rule, or the profile, so that the worker's Job is allowed; the task goes on by itself."
    return "Correct the profile in the operator's settings: the Job that it makes is not valid."


def is_permanent(error: KubeError) -> bool:
    """Tell whether asking again soon cannot help."""
    return isinstance(error, ForbiddenError | InvalidError)
