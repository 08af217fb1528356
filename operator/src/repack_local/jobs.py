"""The Job controller of the embedded mode: follows Jobs and their Pods and carries out what `plan_job` says."""

import asyncio
import contextlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import structlog

from repack_local.api.kinds import JOBS, PODS, Key
from repack_local.api.metadata import generated_name
from repack_local.api.objects import Deletion, Objects
from repack_local.api.statuses import ApiError, Object
from repack_local.api.watching import Change
from repack_local.happenings import Recorder
from repack_local.job_plan import TRACKING, JobPlan, finished_at, is_finished, plan_job

log = structlog.get_logger()

MAX_BACKOFF_SECONDS = 360.0

_Name = tuple[str, str]
"""Namespace and name of a Job."""


class JobController:
    """Makes Pods of Jobs.

    Args:
        objects: the API's objects.
        backoff_seconds: wait before the first replacement of a failed Pod; it doubles with each further one.
        clock: gives the time.
    """

    def __init__(
        self,
        objects: Objects,
        *,
        backoff_seconds: float = 10.0,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._objects = objects
        self._recorder = Recorder(objects, component="job-controller")
        self._backoff_seconds = backoff_seconds
        self._clock = clock
        self._due: dict[_Name, datetime] = {}
        self._failures: dict[str, tuple[int, datetime]] = {}
        self._pods: dict[str, set[_Name]] = {}
        self._changed = asyncio.Event()
        for entry in [*objects.storage.entries(JOBS.key), *objects.storage.entries(PODS.key)]:
            self._note(JOBS.key if entry.obj["kind"] == "Job" else PODS.key, entry.obj, gone=False)
        objects.storage.listen(self._follow)

    def _follow(self, change: Change) -> None:
        self._note(change.key, change.new.obj, gone=change.type == "DELETED")

    def _note(self, key: Key, obj: Object, *, gone: bool) -> None:
        metadata = obj["metadata"]
        place = (metadata.get("namespace", ""), metadata["name"])
        if key == JOBS.key:
            self._look_at(place)
            if gone:
                self._failures.pop(metadata["uid"], None)
                for pod in self._pods.pop(metadata["uid"], set()):
                    self._release(pod)
        elif key == PODS.key and (owner := _owner(obj)):
            pods = self._pods.setdefault(owner["uid"], set())
            pods.discard(place) if gone else pods.add(place)
            self._look_at((place[0], owner["name"]))

    def _look_at(self, place: _Name, at: datetime | None = None) -> None:
        at = at or self._clock()
        if place not in self._due or at < self._due[place]:
            self._due[place] = at
            self._changed.set()

    async def run(self) -> None:
        """Work until cancelled."""
        while True:  # ends by cancellation
            self._changed.clear()
            now = self._clock()
            for place in [place for place, at in self._due.items() if at <= now]:
                del self._due[place]
                self._attend_to(place)
            pause = min(((at - self._clock()).total_seconds() for at in self._due.values()), default=None)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(None if pause is None else max(pause, 0.0)):
                    await self._changed.wait()

    def _attend_to(self, place: _Name) -> None:
        try:
            self._sync(place)
        except ApiError as error:
            # Written by somebody else meanwhile, or going: look again soon.
            log.debug("a Job could not be brought on", job=place[1], error=error.message)
            self._look_at(place, self._clock() + timedelta(seconds=0.2))
        except Exception:
            log.exception("the Job controller failed", job=place[1])
            self._look_at(place, self._clock() + timedelta(seconds=5))

    def _sync(self, place: _Name) -> None:
        entry = self._objects.storage.get(JOBS.key, *place)
        if entry is None:
            self._release_of_gone_jobs(place)
            return
        job = entry.obj
        uid = job["metadata"]["uid"]
        pods = [pod for name in sorted(self._pods.get(uid, ())) if (pod := self._pod(name))]
        if "deletionTimestamp" in job["metadata"]:
            for pod in pods:
                self._release((place[0], pod["metadata"]["name"]))
            return
        if is_finished(job) and not any(TRACKING in (pod["metadata"].get("finalizers") or []) for pod in pods):
            self._expire(job, place)
            return
        failures, not_before = self._failures.get(uid, (0, None))
        plan = plan_job(job, pods, now=self._clock(), not_before=not_before)
        if plan.failures:
            failures += plan.failures
            pause = min(self._backoff_seconds * 2 ** (failures - 1), MAX_BACKOFF_SECONDS)
            self._failures[uid] = (failures, self._clock() + timedelta(seconds=pause))
            plan = plan_job(job, pods, now=self._clock(), not_before=self._failures[uid][1])
        self._carry_out(plan, job, place)

    def _carry_out(self, plan: JobPlan, job: Object, place: _Name) -> None:
        """Status first, then the Pods: a Pod that is counted and not released yet is not counted twice by a crash."""
        with_status = job | {"status": plan.status}
        stored = self._objects.replace(JOBS, place, with_status, subresource="status").obj
        self._tell(job, stored)
        for name in plan.release:
            self._release((place[0], name))
        for name in plan.delete:
            with contextlib.suppress(ApiError):
                self._objects.delete(PODS, (place[0], name))
                self._recorder.record(job, "SuccessfulDelete", f"Deleted pod: {name}")
        if plan.create:
            pod = self._objects.create(PODS, place[0], _pod_of(job)).obj
            self._recorder.record(job, "SuccessfulCreate", f"Created pod: {pod['metadata']['name']}")
        if plan.wake_at:
            self._look_at(place, plan.wake_at)

    def _tell(self, old: Object, new: Object) -> None:
        """Write an event for each condition that came."""
        known = {(c["type"], c["status"]) for c in (old.get("status") or {}).get("conditions") or []}
        for condition in (new.get("status") or {}).get("conditions") or []:
            kind, value = condition["type"], condition["status"]
            if (kind, value) in known:
                continue
            if kind == "Complete":
                self._recorder.record(new, "Completed", "Job completed")
            elif kind == "Failed":
                self._recorder.record(new, condition["reason"], condition["message"], warning=True)
            elif kind == "Suspended":
                self._recorder.record(new, "Suspended" if value == "True" else "Resumed", condition["message"])

    def _expire(self, job: Object, place: _Name) -> None:
        seconds, ended = job["spec"].get("ttlSecondsAfterFinished"), finished_at(job)
        if seconds is None or ended is None:
            return
        due = ended + timedelta(seconds=seconds)
        if self._clock() >= due:
            preconditions = {"uid": job["metadata"]["uid"]}
            self._objects.delete(JOBS, place, Deletion(propagation="Background", preconditions=preconditions))
        else:
            self._look_at(place, due)

    def _pod(self, place: _Name) -> Object | None:
        entry = self._objects.storage.get(PODS.key, *place)
        return entry.obj if entry else None

    def _release(self, place: _Name) -> None:
        """Take the tracking finalizer off a Pod."""
        pod = self._pod(place)
        finalizers = (pod or {}).get("metadata", {}).get("finalizers") or []
        if pod is None or TRACKING not in finalizers:
            return
        left = [name for name in finalizers if name != TRACKING]
        metadata = pod["metadata"] | {"finalizers": left}
        if not left:
            del metadata["finalizers"]
        self._objects.replace(PODS, place, pod | {"metadata": metadata})

    def _release_of_gone_jobs(self, place: _Name) -> None:
        for entry in self._objects.storage.entries(PODS.key, place[0]):
            owner = _owner(entry.obj)
            if owner and owner["name"] == place[1]:
                self._release((place[0], entry.obj["metadata"]["name"]))


def _owner(pod: Object) -> Object | None:
    """Return the reference to the Job that a Pod belongs to."""
    for reference in pod["metadata"].get("ownerReferences") or []:
        if reference.get("controller") and reference["kind"] == "Job":
            return dict(reference)
    return None


def _pod_of(job: Object) -> Object:
    """Return the Pod of a Job."""
    metadata, template = job["metadata"], job["spec"]["template"]
    owner = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "name": metadata["name"],
        "uid": metadata["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }
    return {
        "metadata": {
            **(template.get("metadata") or {}),
            "name": generated_name(f"{metadata['name']}-"),
            "generateName": f"{metadata['name']}-",
            "ownerReferences": [owner],
            "finalizers": [TRACKING],
        },
        "spec": template["spec"],
    }
