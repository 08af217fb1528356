"""The kubelet of the embedded mode: runs pods as subprocesses of this machine, without any isolation of their own.

The pod's spec is taken as it is; only paths of volumes become folders (`containers.py`). What the pod's status, log and
events tell is what a kubelet would tell.
"""

import asyncio
import contextlib
import os
import shutil
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import structlog

from repack_local import leftovers, pod_status
from repack_local.api.kinds import PODS
from repack_local.api.objects import Deletion, Objects
from repack_local.api.statuses import ApiError, Object
from repack_local.api.watching import Change
from repack_local.containers import ConfigError, Prepared, prepare
from repack_local.happenings import NODE, Recorder
from repack_local.programs import end_with_parent

log = structlog.get_logger()

CANNOT_START = 128
"""Exit code of a container whose program cannot be started, as containerd tells it."""

_OVER = frozenset({"Succeeded", "Failed"})
_Place = tuple[str, str]


@dataclass(frozen=True)
class RunnerOptions:
    """How pods are run."""

    root: Path
    """Folder for the pods' files and logs."""
    ingest_token: str
    """What projected service account tokens contain."""
    environment: Mapping[str, str]
    """What every process gets: search path, language, certificates and proxies. Nothing else of ours reaches it."""
    host_variables: frozenset[str] = frozenset()
    """Names of variables whose paths are of this machine: such as that of a cache that all pods share."""
    stop_seconds: float = 5.0
    """How long processes may take to end when the runner stops."""


class PodRunner:
    """Runs the pods of an embedded API.

    Args:
        objects: the API's objects.
        options: how to run pods.
    """

    def __init__(self, objects: Objects, options: RunnerOptions) -> None:
        self._objects = objects
        self._options = options
        self._scheduler = Recorder(objects, component="default-scheduler")
        self._kubelet = Recorder(objects, component="kubelet")
        self._running: dict[str, _RunningPod] = {}
        self._new: asyncio.Queue[Object] = asyncio.Queue()

    def log_file(self, pod: Object) -> Path:
        """Return where a pod's log is; it stays there until the Pod object is deleted."""
        return self._options.root / "logs" / f"{pod['metadata']['uid']}.log"

    async def run(self) -> None:
        """Work until cancelled; then end all processes. Pods that run then are marked as lost by the next start."""
        self._recover()
        self._objects.storage.listen(self._follow)
        for entry in self._objects.storage.entries(PODS.key):
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
                elif not _is_over(pod) and not pod["spec"].get("nodeName"):
                    self._running[uid] = running = _RunningPod(self, pod)
                    task = asyncio.create_task(running.live(), name=f"pod-{pod['metadata']['name']}")
                    tasks.add(task)
                    task.add_done_callback(tasks.discard)
        finally:
            await self._end_all(tasks)

    async def _end_all(self, tasks: set[asyncio.Task[None]]) -> None:
        for running in list(self._running.values()):
            running.abandon(self._options.stop_seconds)
        if tasks:
            await asyncio.wait(tasks, timeout=self._options.stop_seconds + 2)
        for task in tasks:
            task.cancel()

    def _recover(self) -> None:
        """End processes that an earlier run left, and mark the pods that it ran as lost."""
        leftovers.end_all(self._options.root / "pods")
        uids = set()
        for entry in self._objects.storage.entries(PODS.key):
            pod = entry.obj
            uids.add(pod["metadata"]["uid"])
            if not pod["spec"].get("nodeName"):
                continue
            if not _is_over(pod):
                self._write_status(pod, pod_status.lost(pod, now=self._objects.now()))
                message = "The embedded mode was started anew; the process of this Pod is gone"
                self._kubelet.record(pod, "NodeLost", message, warning=True)
            self._finish_deletion(pod)
        for file in (self._options.root / "logs").glob("*.log"):
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
        if pod["spec"].get("nodeName") and not _is_over(pod):
            self._write_status(pod, (pod.get("status") or {}) | {"phase": "Failed"})
        self._finish_deletion(pod)

    def _write_status(self, pod: Object, status: Object) -> None:
        place = _place(pod)
        entry = self._objects.storage.get(PODS.key, *place)
        if entry is None or entry.obj["metadata"]["uid"] != pod["metadata"]["uid"]:
            return
        self._objects.replace(PODS, place, entry.obj | {"status": status}, subresource="status")

    def _finish_deletion(self, pod: Object) -> None:
        """Let a Pod go that was deleted and whose process has ended."""
        entry = self._objects.storage.get(PODS.key, *_place(pod))
        metadata = entry.obj["metadata"] if entry else {}
        if "deletionTimestamp" in metadata and metadata.get("deletionGracePeriodSeconds"):
            preconditions = {"uid": pod["metadata"]["uid"]}
            with contextlib.suppress(ApiError):
                self._objects.delete(PODS, _place(pod), Deletion(grace_seconds=0, preconditions=preconditions))


class _RunningPod:
    """One pod from its scheduling to its end."""

    def __init__(self, runner: PodRunner, pod: Object) -> None:
        self._runner = runner
        self._pod = pod
        self._process: asyncio.subprocess.Process | None = None
        self._ending: asyncio.Task[None] | None = None
        self._end_within: float | None = None
        self._abandoned = False

    def end(self, grace_seconds: float) -> None:
        """Ask the process to end, and kill it after the grace period."""
        sooner = self._end_within is not None and grace_seconds < self._end_within
        if self._end_within is not None and not sooner:
            return
        self._end_within = grace_seconds
        if self._process is not None:
            self._start_ending()

    def abandon(self, seconds: float) -> None:
        """End the process because the runner stops; the Pod's status is left for the next start."""
        self._abandoned = True
        self.end(seconds)

    def _start_ending(self) -> None:
        if self._ending is not None:
            self._ending.cancel()
        else:
            container = self._pod["spec"]["containers"][0]["name"]
            if not self._abandoned:
                self._record("Killing", f"Stopping container {container}", of_container=True)
        self._ending = asyncio.create_task(self._end_process())

    async def _end_process(self) -> None:
        process = self._process
        assert process is not None  # noqa: S101 - it is started before it is ended
        _signal_group(process.pid, signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), timeout=max(self._end_within or 0.0, 0.01))
        _signal_group(process.pid, signal.SIGKILL)

    async def live(self) -> None:
        """Run the pod and write what becomes of it."""
        runner, uid = self._runner, self._pod["metadata"]["uid"]
        folder = runner._options.root / "pods" / uid
        try:
            self._schedule()
            folder.mkdir(parents=True, exist_ok=True)
            await self._run_container(folder)
        except ApiError as error:
            log.debug("a pod changed while it was run", pod=self._pod["metadata"]["name"], error=error.message)
        except ConfigError as error:
            self._wait_in_vain("CreateContainerConfigError", str(error))
        except Exception:
            log.exception("a pod could not be run", pod=self._pod["metadata"]["name"])
            self._write(self._current().get("status", {}) | {"phase": "Failed", "reason": "RunnerError"})
        finally:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
            del runner._running[uid]
            if not self._abandoned:
                runner._finish_deletion(self._pod)

    def _schedule(self) -> None:
        objects = self._runner._objects
        entry = objects.get(PODS, *_place(self._pod))
        spec = entry.obj["spec"] | {"nodeName": NODE}
        self._pod = objects.replace(PODS, _place(self._pod), entry.obj | {"spec": spec}).obj
        name = f"{self._pod['metadata']['namespace']}/{self._pod['metadata']['name']}"
        self._runner._scheduler.record(self._pod, "Scheduled", f"Successfully assigned {name} to {NODE}")
        self._write(pod_status.waiting(self._pod, "ContainerCreating", now=objects.now()))

    async def _run_container(self, folder: Path) -> None:
        options = self._runner._options
        prepared = prepare(
            self._pod,
            folder,
            environment=options.environment,
            ingest_token=options.ingest_token,
            host_variables=options.host_variables,
        )
        log_file = self._runner.log_file(self._pod)
        log_file.parent.mkdir(parents=True, exist_ok=True)
        started_at = self._runner._objects.now()
        code = await self._execute(prepared, log_file, folder)
        if self._abandoned:
            return
        written, tail = await asyncio.to_thread(_what_it_said, prepared.termination_log, log_file)
        container = self._pod["spec"]["containers"][0]
        policy = container.get("terminationMessagePolicy", "File")
        message = pod_status.termination_message(written, tail, exit_code=code, policy=policy)
        now = self._runner._objects.now()
        end = pod_status.Exit(code, message, started_at, now)
        self._write(pod_status.ended(self._current(), end, now=now))

    async def _execute(self, prepared: Prepared, log_file: Path, folder: Path) -> int:
        """Run the process to its end and return its exit code, as a shell would tell it."""
        container = self._pod["spec"]["containers"][0]["name"]
        with log_file.open("ab") as output:
            try:
                process = await asyncio.create_subprocess_exec(
                    *prepared.command,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    env=prepared.environment,
                    cwd=prepared.folder,
                    start_new_session=True,
                    preexec_fn=end_with_parent,
                )
            except OSError as error:
                output.write(f"cannot start {prepared.command[0]}: {error}\n".encode())
                self._record("Failed", f"Error: {error}", of_container=True, warning=True)
                return CANNOT_START
        self._process = process
        leftovers.write_down(folder, process.pid)
        self._record("Started", f"Started container {container}", of_container=True)
        self._write(pod_status.running(self._pod, now=self._runner._objects.now()))
        if self._end_within is not None:
            self._start_ending()
        code = await process.wait()
        _signal_group(process.pid, signal.SIGKILL)  # what it left behind ends with it, as in a container
        if self._ending is not None:
            self._ending.cancel()
        return code if code >= 0 else 128 - code

    def _wait_in_vain(self, reason: str, message: str) -> None:
        self._record("Failed", f"Error: {message}", of_container=True, warning=True)
        self._write(pod_status.waiting(self._current(), reason, now=self._runner._objects.now(), message=message))

    def _current(self) -> Object:
        entry = self._runner._objects.storage.get(PODS.key, *_place(self._pod))
        return entry.obj if entry else self._pod

    def _write(self, status: Object) -> None:
        self._runner._write_status(self._pod, status)

    def _record(self, reason: str, message: str, *, of_container: bool = False, warning: bool = False) -> None:
        name = self._pod["spec"]["containers"][0]["name"]
        field = f"spec.containers{{{name}}}" if of_container else ""
        self._runner._kubelet.record(self._pod, reason, message, warning=warning, field=field)


def _what_it_said(termination_log: Path, log_file: Path) -> tuple[bytes, bytes]:
    written = b""
    with contextlib.suppress(OSError), termination_log.open("rb") as file:
        written = file.read(pod_status.MESSAGE_BYTES)
    with log_file.open("rb") as file:
        file.seek(max(0, log_file.stat().st_size - pod_status.FALLBACK_BYTES))
        return written, file.read()


def _signal_group(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def _place(pod: Object) -> _Place:
    return pod["metadata"]["namespace"], pod["metadata"]["name"]


def _is_over(pod: Object) -> bool:
    return (pod.get("status") or {}).get("phase") in _OVER
