"""What was last seen of tasks, Jobs and Pods. Filled by watches, resyncs and our own writes; read by decisions.

Versions of one object are put in order by resourceVersion, so that a list read long ago cannot undo what an event
told since; what was deleted is remembered for a while for the same reason. A Pod that is gone stays with the mark
`gone` while its task exists: its termination message is the result of the attempt.
"""

import json
from collections import OrderedDict, defaultdict
from collections.abc import Collection, Iterator, Set
from dataclasses import replace

from repack_contract.phases import Phase
from repack_kube.resources import JOBS, PODS, TASKS, Object, Resource, key_of, uid_of
from repack_operator.sightings import JobSeen, PodSeen, job_seen, pod_seen

Key = tuple[str, str]
"""(namespace, name) of a task."""

_REMEMBERED_DELETIONS = 10_000


def version_of(body: Object) -> int:
    """Return the resourceVersion as a number; 0 when there is none that can be compared."""
    text = str(body.get("metadata", {}).get("resourceVersion", ""))
    return int(text) if text.isdigit() else 0


def _parsed(data: bytes) -> Object:
    body: Object = json.loads(data)
    return body


def _stub(uid: str, key: Key) -> Object:
    return {"metadata": {"uid": uid, "namespace": key[0], "name": key[1]}}


class Observed:
    """The last seen state of the cluster, as far as it concerns us."""

    def __init__(self) -> None:
        self._tasks: dict[Key, bytes] = {}
        """Tasks as JSON: a tenth of the memory of the dicts, read again when one is looked at."""
        self._uids: dict[Key, str] = {}
        self._phases: dict[str, str] = {}
        self._jobs: dict[str, dict[str, JobSeen]] = defaultdict(dict)
        self._pods: dict[str, dict[str, PodSeen]] = defaultdict(dict)
        self._live: set[str] = set()
        """Uids of the tasks that have a live Job; kept with `_jobs`, asked for each decision."""
        self._live_in: dict[str, set[str]] = {}
        """The same by namespace; no namespace without one."""
        self._versions: dict[str, int] = {}
        self._keys: dict[str, Key] = {}
        self._deleted: OrderedDict[str, None] = OrderedDict()

    def see(self, resource: Resource, body: Object) -> Key | None:
        """Take note of an object; return the key of the task it concerns, None when it told nothing new."""
        uid, version = uid_of(body), version_of(body)
        if uid in self._deleted or (version and version <= self._versions.get(uid, -1)):
            return None
        self._versions[uid] = version
        if resource == TASKS:
            return self._see_task(uid, body)
        owner = self._note_dependent(resource, body)
        return self._keys.get(owner)

    def _see_task(self, uid: str, body: Object) -> Key:
        key = key_of(body)
        known = self._uids.get(key)
        if known is not None and known != uid:
            self.forget(TASKS, _stub(known, key))  # deleted and made anew under the same name; that was missed
        # Who changed which field is half of an object's size and of no use here.
        metadata = {name: value for name, value in body["metadata"].items() if name != "managedFields"}
        self._tasks[key] = json.dumps(body | {"metadata": metadata}, ensure_ascii=False, separators=(",", ":")).encode()
        self._uids[key], self._keys[uid] = uid, key
        self._phases[uid] = (body.get("status") or {}).get("phase") or Phase.PENDING.value
        return key

    def _note_dependent(self, resource: Resource, body: Object) -> str:
        if resource == JOBS:
            job = job_seen(body)
            self._jobs[job.task_uid][job.uid] = job
            self._count_live(job)
            return job.task_uid
        pod = pod_seen(body)
        self._pods[pod.task_uid][pod.uid] = pod
        return pod.task_uid

    def forget(self, resource: Resource, body: Object) -> Key | None:
        """Take note that an object is gone; return the key of the task it concerns, None when that was known."""
        uid = uid_of(body)
        if uid in self._deleted:
            return None
        self._deleted[uid] = None
        if len(self._deleted) > _REMEMBERED_DELETIONS:
            self._deleted.popitem(last=False)
        self._versions.pop(uid, None)
        if resource == TASKS:
            return self._forget_task(uid, key_of(body))
        return self._forget_job(body) if resource == JOBS else self._forget_pod(body)

    def _forget_task(self, uid: str, key: Key) -> Key:
        if self._uids.get(key) == uid:
            del self._tasks[key], self._uids[key]
        self._keys.pop(uid, None)
        self._phases.pop(uid, None)
        for dependent in (*self._jobs.pop(uid, {}), *self._pods.pop(uid, {})):
            self._versions.pop(dependent, None)
        self._rests(uid, key[0])
        return key

    def _forget_job(self, body: Object) -> Key | None:
        job = job_seen(body)
        self._jobs[job.task_uid].pop(job.uid, None)
        self._count_live(job)
        if not self._jobs[job.task_uid]:
            del self._jobs[job.task_uid]
        return self._keys.get(job.task_uid)

    def _forget_pod(self, body: Object) -> Key | None:
        pod = pod_seen(body)
        last = self._pods[pod.task_uid].get(pod.uid, pod)
        # The event of a deletion carries the Pod's last state; that of a comparison carries its name only.
        seen = pod if pod.phase else last
        if pod.task_uid in self._keys:
            self._pods[pod.task_uid][pod.uid] = replace(seen, gone=True)
        else:
            self._pods.pop(pod.task_uid, None)
        return self._keys.get(pod.task_uid)

    def mark_deleting(self, task_uid: str, job_uid: str) -> None:
        """Note that we have deleted a Job, so that it is not deleted again before the watch tells."""
        if job := self._jobs.get(task_uid, {}).get(job_uid):
            self._jobs[task_uid][job_uid] = replace(job, deleting=True)

    def drop_gone_pods(self, task_uid: str, *, keep_attempt: int) -> None:
        """Forget the Pods that are gone, except those of the given attempt: their results are in the status."""
        pods = self._pods.get(task_uid, {})
        for uid in [uid for uid, pod in pods.items() if pod.gone and pod.attempt != keep_attempt]:
            del pods[uid]

    def compare(self, resource: Resource, exist: Collection[str], *, known_before: frozenset[str]) -> list[Object]:
        """Return what we know of a kind and the API server does not list: deletions that nobody told us.

        Args:
            resource: the kind.
            exist: uids that the API server lists now.
            known_before: `uids` of the kind before the list was asked for; younger objects cannot be judged by it.
        """
        return [body for uid, body in self._bodies(resource) if uid in known_before and uid not in exist]

    def count(self, resource: Resource) -> int:
        """Return the number of objects of a kind that are kept."""
        if resource == TASKS:
            return len(self._tasks)
        groups = self._jobs.values() if resource == JOBS else self._pods.values()
        return sum(len(group) for group in groups)

    def uids(self, resource: Resource) -> frozenset[str]:
        """Return the uids of all objects of a kind that we believe to exist."""
        return frozenset(uid for uid, _ in self._bodies(resource))

    def _bodies(self, resource: Resource) -> Iterator[tuple[str, Object]]:
        if resource == TASKS:
            yield from ((uid, _stub(uid, key)) for key, uid in self._uids.items())
        elif resource == JOBS:
            yield from ((job.uid, job.stub()) for group in self._jobs.values() for job in group.values())
        elif resource == PODS:
            pods = (pod for group in self._pods.values() for pod in group.values() if not pod.gone)
            yield from ((pod.uid, pod.stub()) for pod in pods)

    def task(self, key: Key) -> Object | None:
        """Return a task, None when there is none of that name."""
        data = self._tasks.get(key)
        return None if data is None else _parsed(data)

    def task_of_uid(self, uid: str) -> Object | None:
        """Return the task with this uid."""
        key = self._keys.get(uid)
        return None if key is None else self.task(key)

    def key_of_uid(self, uid: str) -> Key | None:
        """Return the key of the task with this uid."""
        return self._keys.get(uid)

    def tasks(self) -> Iterator[Object]:
        """Yield all tasks, read one by one; nothing may change meanwhile."""
        return (_parsed(data) for data in self._tasks.values())

    def phases(self) -> Collection[str]:
        """Return the phase of each task."""
        return self._phases.values()

    def jobs_of(self, task_uid: str) -> tuple[JobSeen, ...]:
        """Return the Jobs that belong to a task, by attempt."""
        return tuple(sorted(self._jobs.get(task_uid, {}).values(), key=lambda job: job.attempt))

    def pods_of(self, task_uid: str) -> tuple[PodSeen, ...]:
        """Return the Pods of a task, also those that are gone, oldest first."""
        return tuple(sorted(self._pods.get(task_uid, {}).values(), key=lambda pod: (pod.created_at, pod.uid)))

    def tasks_with_live_jobs(self, namespace: str | None = None) -> Set[str]:
        """Return the uids of the tasks that hold a slot: they have a Job that has not ended."""
        return self._live if namespace is None else self._live_in.get(namespace, frozenset())

    def namespaces_with_live_jobs(self) -> Collection[str]:
        """Return the namespaces of the tasks that hold a slot."""
        return self._live_in.keys()

    def _count_live(self, changed: JobSeen) -> None:
        uid, namespace = changed.task_uid, changed.namespace
        if any(job.live for job in self._jobs[uid].values()):
            self._live.add(uid)
            self._live_in.setdefault(namespace, set()).add(uid)
        else:
            self._rests(uid, namespace)

    def _rests(self, uid: str, namespace: str) -> None:
        self._live.discard(uid)
        group = self._live_in.get(namespace, set())
        group.discard(uid)
        if not group:
            self._live_in.pop(namespace, None)
