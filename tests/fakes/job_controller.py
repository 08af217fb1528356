"""Plays the Job controller and the kubelet against any API server: Pods of Jobs, their states and their ends.

No process runs. What a real cluster would write into Jobs and Pods is written when the test says so.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from repack_contract.naming import LABEL_ATTEMPT, LABEL_TASK
from repack_kube.client import Cluster
from repack_kube.errors import KubeError, NotFoundError
from repack_kube.resources import JOBS, PODS, Object
from repack_kube.watch import Gone, Seen, observe


def now_text() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def a_result(*archs: str, **more: Any) -> dict[str, Any]:
    """The termination message of a worker that made a verified package for each arch."""
    artifacts = [
        {
            "target": arch,
            "name": f"demo-{arch}.difypkg",
            "uri": f"/api/v1/artifacts/u/demo-{arch}.difypkg",
            "sha256": "0" * 64,
            "sizeBytes": 1000,
            "verification": {"method": "NetworkNamespace", "passed": True, "verifiedAt": now_text()},
        }
        for arch in archs
    ]
    return {"ok": True, "artifacts": artifacts, "plugin": {"name": "demo", "version": "1.0.0"}} | more


@dataclass
class JobController:
    """The states of Jobs and Pods, by hand."""

    cluster: Cluster

    async def start(self, job: Object) -> Object:
        """Make the Job's Pod and let its worker run."""
        pod = await self.make_pod(job)
        state = {"running": {"startedAt": now_text()}}
        return await self.set_pod(pod, phase="Running", state=state)

    async def make_pod(self, job: Object) -> Object:
        template = job["spec"]["template"]
        name, uid = job["metadata"]["name"], job["metadata"]["uid"]
        owner = {"apiVersion": "batch/v1", "kind": "Job", "name": name, "uid": uid, "controller": True}
        metadata = {
            "name": f"{name}-pod",
            "namespace": job["metadata"]["namespace"],
            "labels": template["metadata"]["labels"],
            "ownerReferences": [owner],
        }
        body = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}
        return await self.cluster.create(PODS, body)

    async def set_pod(self, pod: Object, *, phase: str, state: dict[str, Any] | None = None, **more: Any) -> Object:
        status: dict[str, Any] = {"phase": phase, **more}
        if state is not None:
            status["containerStatuses"] = [
                {"name": "worker", "image": "worker", "imageID": "", "ready": False, "restartCount": 0, "state": state}
            ]
        metadata = pod["metadata"]
        return await self.cluster.patch_status(
            PODS, metadata["name"], {"status": status}, namespace=metadata["namespace"]
        )

    async def end(self, job: Object, *, exit_code: int, result: dict[str, Any] | str, reason: str = "") -> None:
        """Let the worker end: Pod first, as the kubelet does, then the Job."""
        metadata = job["metadata"]
        pod = await self.cluster.get(PODS, f"{metadata['name']}-pod", namespace=metadata["namespace"])
        started = pod["status"]["containerStatuses"][0]["state"]["running"]["startedAt"]
        message = result if isinstance(result, str) else json.dumps(result)
        ended = {
            "exitCode": exit_code,
            "reason": reason or ("Completed" if exit_code == 0 else "Error"),
            "message": message,
            "startedAt": started,
            "finishedAt": now_text(),
        }
        phase = "Succeeded" if exit_code == 0 else "Failed"
        await self.set_pod(pod, phase=phase, state={"terminated": ended})
        if exit_code == 0:
            await self.finish(job, "Complete", "")
        else:
            await self.finish(job, "Failed", "BackoffLimitExceeded")

    async def finish(self, job: Object, kind: str, reason: str) -> None:
        """Write the Job's last condition, with what a real API server (>= 1.31) insists on before it."""
        metadata = job["metadata"]
        before = {"Complete": "SuccessCriteriaMet", "Failed": "FailureTarget"}[kind]
        conditions = [
            {"type": condition, "status": "True", "reason": reason, "lastTransitionTime": now_text()}
            for condition in (before, kind)
        ]
        status: dict[str, Any] = {"conditions": conditions, "startTime": now_text()}
        status |= {"succeeded": 1, "completionTime": now_text()} if kind == "Complete" else {"failed": 1}
        await self.cluster.patch_status(JOBS, metadata["name"], {"status": status}, namespace=metadata["namespace"])


Play = Callable[[JobController, Object], Awaitable[None]]


async def succeeds(controller: JobController, job: Object) -> None:
    """The worker runs and makes what the task asks for."""
    await controller.start(job)
    order = next(
        e["value"] for e in job["spec"]["template"]["spec"]["containers"][0]["env"] if e["name"] == "REPACK_ORDER"
    )
    archs = [target["arch"] for target in json.loads(order)["spec"]["targets"]]
    await controller.end(job, exit_code=0, result=a_result(*archs))


async def runs(controller: JobController, job: Object) -> None:
    """The worker runs on and on."""
    await controller.start(job)


def fails(exit_code: int, reason: str, message: str = "it went wrong") -> Play:
    """The worker runs and fails so."""

    async def play(controller: JobController, job: Object) -> None:
        await controller.start(job)
        await controller.end(job, exit_code=exit_code, result={"ok": False, "reason": reason, "message": message})

    return play


@dataclass
class Player:
    """Plays every new Job by the script of its task and attempt; by `default` where there is none."""

    cluster: Cluster
    default: Play = succeeds
    scripts: dict[tuple[str, int], Play] = field(default_factory=dict)
    created: list[str] = field(default_factory=list)
    """`namespace/name/uid` of every Job that was ever seen."""

    async def run(self) -> None:
        controller = JobController(self.cluster)
        plays: set[asyncio.Task[None]] = set()
        known: set[str] = set()
        try:
            async for change in observe(self.cluster, JOBS):
                if isinstance(change, Gone) or not isinstance(change, Seen):
                    continue
                metadata = change.object["metadata"]
                if metadata["uid"] in known or LABEL_TASK not in metadata.get("labels", {}):
                    continue
                known.add(metadata["uid"])
                self.created.append("/".join((metadata["namespace"], metadata["name"], metadata["uid"])))
                key = (metadata["labels"][LABEL_TASK], int(metadata["labels"][LABEL_ATTEMPT]))
                script = self.scripts.get(key, self.default)
                plays.add(asyncio.create_task(_quietly(script(controller, change.object))))
        finally:
            for play in plays:
                play.cancel()


async def _quietly(play: Awaitable[None]) -> None:
    """A Job that was deleted while it was played is no fault of the player."""
    try:
        await play
    except NotFoundError:
        return
    except KubeError as error:
        print(f"the player was refused: {error!r}")
        raise
