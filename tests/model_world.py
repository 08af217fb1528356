"""A cluster in memory that obeys at once and loses, repeats and reorders what it tells; and time that a test moves.

Objects are never changed, only replaced, so that everybody may keep them. Calls never wait, so that the real reconciler
runs in it without an event loop, step by step, and can be stopped between any two calls.
"""

import json
from collections.abc import Coroutine, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from builders import a_task_object
from fakes.job_controller import a_result
from repack_contract.naming import LABEL_ATTEMPT, LABEL_TASK_UID
from repack_contract.phases import FINAL_PHASES, TRANSITIONS, Phase
from repack_kube.errors import ConflictError, ExistsError, FencedError, KubeError, NotFoundError, UnavailableError
from repack_kube.resources import JOBS, PODS, TASKS, Object, ObjectList, Resource, Scope
from repack_operator.metrics import Metrics
from repack_operator.reconcile import Reconciler
from repack_operator.settings import Settings

BEGIN = datetime(2026, 11, 23, 5, tzinfo=UTC)
Key = tuple[str, str]


class Crash(BaseException):
    """The process is gone."""


def now_done(work: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine that never waits."""
    try:
        work.send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("it waited")


class World:
    """What is true: tasks, Jobs, Pods, time. What was not told yet waits in `untold`."""

    def __init__(self) -> None:
        self.objects: dict[Resource, dict[Key, Object]] = {TASKS: {}, JOBS: {}, PODS: {}}
        self.untold: list[tuple[Resource, Object, bool]] = []
        self.seconds = 0.0
        self.version = 0
        self.jobs_made: list[str] = []

    @property
    def now(self) -> datetime:
        return BEGIN + timedelta(seconds=self.seconds)

    @property
    def moment(self) -> str:
        return self.now.strftime("%Y-%m-%dT%H:%M:%SZ")

    # --- objects ---

    def put(self, resource: Resource, body: Object, *, make: bool = False) -> Object:
        self.version += 1
        metadata = dict(body["metadata"]) | {"resourceVersion": str(self.version)}
        if make:
            uid = f"{resource.kind.lower()}-{self.version}"
            metadata |= {"uid": uid, "creationTimestamp": self.moment, "generation": 1}
        stored = body | {"metadata": metadata}
        self.objects[resource][metadata["namespace"], metadata["name"]] = stored
        self.untold.append((resource, stored, False))
        return stored

    def remove(self, resource: Resource, key: Key) -> None:
        body = self.objects[resource].pop(key)
        self.version += 1
        last = body | {"metadata": body["metadata"] | {"resourceVersion": str(self.version)}}
        self.untold.append((resource, last, True))
        if resource == TASKS:  # the garbage collector; nothing holds the task back
            for job in [
                job for job in self.jobs() if job["metadata"]["ownerReferences"][0]["uid"] == body["metadata"]["uid"]
            ]:
                self.remove(JOBS, key_of(job))
        if resource == JOBS:
            for pod in self.pods_of(body):
                if not ended(pod) and "deletionTimestamp" not in pod["metadata"]:
                    end_by = (self.now + timedelta(seconds=30)).strftime("%Y-%m-%dT%H:%M:%SZ")
                    self.put(PODS, pod | {"metadata": pod["metadata"] | {"deletionTimestamp": end_by}})

    def tasks(self) -> list[Object]:
        return list(self.objects[TASKS].values())

    def jobs(self) -> list[Object]:
        return list(self.objects[JOBS].values())

    def pods(self) -> list[Object]:
        return list(self.objects[PODS].values())

    def pods_of(self, job: Object) -> list[Object]:
        labels = job["metadata"]["labels"]
        wanted = (labels[LABEL_TASK_UID], labels[LABEL_ATTEMPT])
        found = (p for p in self.pods() if p["metadata"]["labels"]["job-uid"] == job["metadata"]["uid"])
        return [
            p
            for p in found
            if (p["metadata"]["labels"][LABEL_TASK_UID], p["metadata"]["labels"][LABEL_ATTEMPT]) == wanted
        ]

    def live_jobs(self) -> list[Object]:
        return [job for job in self.jobs() if not finished(job)]

    # --- people ---

    def create_task(self, name: str, namespace: str = "default", **spec: Any) -> Key:
        body = a_task_object(name=name, namespace=namespace, spec=spec)
        self.put(TASKS, body, make=True)
        return (namespace, name)

    def wish(self, key: Key, state: str) -> None:
        task = self.objects[TASKS][key]
        metadata = task["metadata"] | {"generation": task["metadata"]["generation"] + 1}
        self.put(TASKS, task | {"spec": task["spec"] | {"desiredState": state}, "metadata": metadata})

    # --- job controller and kubelet ---

    def make_pod(self, job: Object) -> Object:
        labels = job["metadata"]["labels"] | {"job-uid": job["metadata"]["uid"]}
        name = f"{job['metadata']['name']}-{self.version}"
        metadata = {"name": name, "namespace": job["metadata"]["namespace"], "labels": labels}
        return self.put(PODS, {"metadata": metadata, "status": {"phase": "Pending"}}, make=True)

    def start(self, pod: Object) -> Object:
        state = {"running": {"startedAt": self.moment}}
        return self.put(
            PODS, pod | {"status": {"phase": "Running", "containerStatuses": [{"name": "w", "state": state}]}}
        )

    def end(self, pod: Object, *, code: int, result: Any, reason: str = "") -> Object:
        state = pod["status"]["containerStatuses"][0]["state"]
        ended = {
            "exitCode": code, "reason": reason or ("Completed" if code == 0 else "Error"), "finishedAt": self.moment,
            "startedAt": state["running"]["startedAt"], "message": json.dumps(result) if result else "",
        }  # fmt: skip
        phase = "Failed" if code else "Succeeded"
        status = {"phase": phase, "containerStatuses": [{"name": "w", "state": {"terminated": ended}}]}
        return self.put(PODS, pod | {"status": status})

    def finish_job(self, job: Object) -> None:
        """The Job controller counts an ended Pod."""
        pods = [pod for pod in self.pods_of(job) if ended(pod)]
        if not pods or finished(job):
            return
        kind = "Complete" if pods[-1]["status"]["phase"] == "Succeeded" else "Failed"
        condition = {"type": kind, "status": "True", "reason": "BackoffLimitExceeded" if kind == "Failed" else ""}
        self.put(JOBS, job | {"status": {"conditions": [condition]}})

    def run_to_the_end(self, job: Object, **how: Any) -> None:
        """A whole attempt; a success by default."""
        pods = [pod for pod in self.pods_of(job) if not ended(pod)]
        pod = pods[-1] if pods else self.make_pod(job)
        if pod["status"]["phase"] == "Pending":
            pod = self.start(pod)
        self.end(pod, **{"code": 0, "result": a_result("amd64"), **how})
        self.finish_job(job)

    def bury_pods(self) -> None:
        """Pods that were to end have ended."""
        for pod in [pod for pod in self.pods() if "deletionTimestamp" in pod["metadata"]]:
            self.remove(PODS, key_of(pod))


def key_of(body: Object) -> Key:
    return (body["metadata"]["namespace"], body["metadata"]["name"])


def ended(pod: Object) -> bool:
    return pod["status"]["phase"] in {"Succeeded", "Failed"}


def finished(job: Object) -> bool:
    return any(c["type"] in {"Complete", "Failed"} for c in job.get("status", {}).get("conditions", ()))


class Door:
    """One process's connection to the world: it can break before or after a write, for good or for once."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.fenced = False
        self.writes_left: int | None = None
        """The write after which the process is gone; None lets it live."""
        self.effect = True
        """Whether that last write still took effect."""
        self.outages = 0
        """So many of the next calls have no answer."""
        self.outage_effect = False
        """Whether those calls took effect all the same."""
        self.calls = 0
        self.positions_told = 0
        """Patches that are no step: another place in the queue."""

    async def get(self, resource: Resource, name: str, *, namespace: str) -> Object:
        self._look()
        return self._find(resource, (namespace, name))

    async def list(self, resource: Resource, scope: Scope | None = None) -> ObjectList:
        self._look()
        wanted = dict(pair.split("=") for pair in ((scope.labels if scope else "") or "").split(",") if "=" in pair)
        items = [
            body
            for (namespace, _), body in self._world.objects[resource].items()
            if (scope is None or scope.namespace in {None, namespace})
            and wanted.items() <= body["metadata"].get("labels", {}).items()
        ]
        return ObjectList(items, str(self._world.version))

    async def create(self, resource: Resource, body: Object) -> Object:
        return self._write(lambda: self._create(resource, body))

    async def patch_status(self, resource: Resource, name: str, body: Object, *, namespace: str) -> Object:
        return self._write(lambda: self._patch(resource, (namespace, name), body))

    async def delete(self, resource: Resource, name: str, *, namespace: str, uid: str, **_: Any) -> None:
        self._write(lambda: self._delete(resource, (namespace, name), uid))

    def _create(self, resource: Resource, body: Object) -> Object:
        if key_of(body) in self._world.objects[resource]:
            raise ExistsError("it exists", status=409)
        owner = body["metadata"]["ownerReferences"][0]["uid"]
        told = [task["status"] for task in self._world.tasks() if task["metadata"]["uid"] == owner]
        attempt = int(body["metadata"]["labels"][LABEL_ATTEMPT])
        assert all(status.get("attempt", 0) < attempt for status in told), "an attempt that was told of is made again"
        stored = self._world.put(resource, body, make=True)
        self._world.jobs_made.append(f"{body['metadata']['name']}/{stored['metadata']['uid']}")
        if not told:
            self._world.remove(resource, key_of(stored))  # the garbage collector: its owner is gone already
        return stored

    def _patch(self, resource: Resource, key: Key, body: Object) -> Object:
        found = self._find(resource, key)
        if body["metadata"]["resourceVersion"] != found["metadata"]["resourceVersion"]:
            raise ConflictError("it changed", status=409)
        old = found.get("status") or {}
        new = {name: value for name, value in (old | body["status"]).items() if value is not None}
        check_rules(old, new)
        self.positions_told += old.get("sequence") == new["sequence"]
        return self._world.put(resource, found | {"status": new})

    def _delete(self, resource: Resource, key: Key, uid: str) -> None:
        if self._find(resource, key)["metadata"]["uid"] != uid:
            raise ConflictError("another one", status=409)
        self._world.remove(resource, key)

    def _find(self, resource: Resource, key: Key) -> Object:
        if key not in self._world.objects[resource]:
            raise NotFoundError("no such object", status=404)
        return self._world.objects[resource][key]

    def _look(self) -> None:
        self.calls += 1
        if self.outages:
            self.outages -= 1
            raise UnavailableError("no answer")

    def _write(self, effect: Any) -> Any:
        if self.fenced:
            raise FencedError("this replica does not lead")
        self.calls += 1
        if self.outages:
            self.outages -= 1
            if self.outage_effect:
                effect()
            raise UnavailableError("no answer")
        if self.writes_left is None:
            return effect()
        self.writes_left -= 1
        if self.writes_left > 0:
            return effect()
        if self.effect:
            effect()
        raise Crash


def check_rules(old: Object, new: Object) -> None:
    """What the API server's rules refuse; here the test fails, because the operator should not have tried."""
    before = Phase(old["phase"]) if "phase" in old else None
    after = Phase(new["phase"])
    assert before not in FINAL_PHASES, f"a final task was written: {before} -> {after}"
    assert after == before or after in TRANSITIONS[before], f"{before} -> {after}"
    assert new["sequence"] >= old.get("sequence", 0), "the sequence decreased"
    assert after == before or new["sequence"] == old.get("sequence", 0) + 1, "a step without its number"


class Operator:
    """The real reconciler in that world, without its loops: a test says when it hears something and when it works."""

    def __init__(self, world: World, settings: Settings) -> None:
        self.world = world
        self.door = Door(world)
        self.reconciler = Reconciler(
            self.door, settings, Metrics(version="t"), clock=lambda: world.seconds, now=lambda: world.now  # type: ignore[arg-type]
        )  # fmt: skip

    def sync(self) -> None:
        """The first list, before anything is decided."""
        for resource in (JOBS, PODS, TASKS):
            for body in list(self.world.objects[resource].values()):
                self.reconciler.note(resource, body)
        self.reconciler.enter_queue()

    def resync(self) -> None:
        """The periodic list, which finds what nobody told."""
        observed = self.reconciler.observed
        for resource in (JOBS, PODS, TASKS):
            known, listed = observed.uids(resource), list(self.world.objects[resource].values())
            for body in listed:
                self.reconciler.note(resource, body)
            for ghost in observed.compare(resource, {b["metadata"]["uid"] for b in listed}, known_before=known):
                self.reconciler.note(resource, ghost, deleted=True)

    def hear(self, told: list[tuple[Resource, Object, bool]]) -> None:
        for resource, body, deleted in told:
            self.reconciler.note(resource, body, deleted=deleted)

    def keys(self) -> Iterator[Key]:
        while (key := self.reconciler.queue.take()) is not None:
            yield key

    def work(self, *, most: int = 10_000) -> int:
        """Look at the keys that are due, at most so many; return how many."""
        count = 0
        for key in self.keys():
            count += 1
            try:
                now_done(self.reconciler.reconcile(key))
                self.reconciler.queue.succeeded(key)
            except KubeError:
                self.reconciler.queue.retry(key)
            finally:
                self.reconciler.queue.done(key)
            if count == most:
                break
        return count
