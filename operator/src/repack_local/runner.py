"""The kubelet of the embedded mode: runs pods as subprocesses of this machine, without any isolation of their own.

The pod's spec is taken as it is; only paths of volumes become folders (`containers.py`). What the pod's status, log and
events tell is what a kubelet would tell.
"""

import asyncio
from pathlib import Path

from repack_local import leftovers, pod_status
from repack_local.api.kinds import PODS
from repack_local.api.objects import Objects
from repack_local.api.statuses import Object
from repack_local.api.watching import Change
from repack_local.node import Node, RunnerOptions, is_over
from repack_local.pod_life import RunningPod

__all__ = ["PodRunner", "RunnerOptions"]


class PodRunner:
    """Runs the pods of an embedded API.

    Args:
        objects: the API's objects.
        options: how to run pods.
    """

    def __init__(self, objects: Objects, options: RunnerOptions) -> None:
        self._node = Node(objects, options)
        self._running: dict[str, RunningPod] = {}
        self._new: asyncio.Queue[Object] = asyncio.Queue()

    def log_file(self, pod: Object) -> Path:
        """Return where a pod's log is; it stays there until the Pod object is deleted."""
        return self._node.log_file(pod)

    async def run(self) -> None:
        """Work until cancelled; then end all processes. Pods that run then are marked as lost by the next start."""
        self._recover()
        self._node.objects.storage.listen(self._follow)
        for entry in self._node.objects.storage.entries(PODS.key):
            self._new.put_nowait(entry.obj)
        tasks: set[asyncio.Task[None]] = set()
        try:
            while True:  # ends by cancellation
                pod = await self._new.get()
                uid = pod["metadata"]["uid"]
                if uid in self._running:
                    continue
                if "deletionTimestamp" in pod["metadata"]:
                    self._bury(pod)
                elif not is_over(pod) and not pod["spec"].get("nodeName"):
                    self._running[uid] = RunningPod(self._node, pod)
                    task = asyncio.create_task(self._live(pod), name=f"pod-{pod['metadata']['name']}")
                    tasks.add(task)
                    task.add_done_callback(tasks.discard)
        finally:
            await self._end_all(tasks)

    async def _live(self, pod: Object) -> None:
        uid = pod["metadata"]["uid"]
        try:
            await self._running[uid].live()
        finally:
            del self._running[uid]

    async def _end_all(self, tasks: set[asyncio.Task[None]]) -> None:
        for running in list(self._running.values()):
            running.abandon(self._node.options.stop_seconds)
        if tasks:
            await asyncio.wait(tasks, timeout=self._node.options.stop_seconds + 2)
        for task in tasks:
            task.cancel()

    def _recover(self) -> None:
        """End processes that an earlier run left, and mark the pods that it ran as lost."""
        leftovers.end_all(self._node.pods_folder)
        uids = set()
        for entry in self._node.objects.storage.entries(PODS.key):
            pod = entry.obj
            uids.add(pod["metadata"]["uid"])
            if not pod["spec"].get("nodeName"):
                continue
            if not is_over(pod):
                self._node.write_status(pod, pod_status.lost(pod, now=self._node.objects.now()))
                message = "The embedded mode was started anew; the process of this Pod is gone"
                self._node.kubelet.record(pod, "NodeLost", message, warning=True)
            self._node.finish_deletion(pod)
        for file in self._node.logs_folder.glob("*.log"):
            if file.stem not in uids:
                file.unlink(missing_ok=True)

    def _follow(self, change: Change) -> None:
        if change.key != PODS.key:
            return
        pod = change.new.obj
        uid = pod["metadata"]["uid"]
        if change.type == "DELETED":
            self.log_file(pod).unlink(missing_ok=True)
        running = self._running.get(uid)
        if running is not None and (change.type == "DELETED" or "deletionTimestamp" in pod["metadata"]):
            grace = 0 if change.type == "DELETED" else pod["metadata"].get("deletionGracePeriodSeconds", 0)
            running.end(float(grace))
        elif change.type == "ADDED" or "deletionTimestamp" in pod["metadata"]:
            self._new.put_nowait(pod)

    def _bury(self, pod: Object) -> None:
        """Let a deleted Pod go that has no process: one that could not be configured, for example."""
        if pod["spec"].get("nodeName") and not is_over(pod):
            self._node.write_status(pod, (pod.get("status") or {}) | {"phase": "Failed"})
        self._node.finish_deletion(pod)
