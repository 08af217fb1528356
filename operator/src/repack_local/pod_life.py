"""The life of one pod: scheduled, started as a subprocess, ended, told of in status, log and events."""

import asyncio
import contextlib
import os
import shutil
import signal
from pathlib import Path

import structlog

from repack_local import leftovers, pod_status
from repack_local.api.kinds import PODS
from repack_local.api.statuses import ApiError, Object
from repack_local.containers import ConfigError, Prepared, prepare
from repack_local.happenings import NODE
from repack_local.node import Node, place_of
from repack_local.programs import end_with_parent

log = structlog.get_logger()

CANNOT_START = 128
"""Exit code of a container whose program cannot be started, as containerd tells it."""


class RunningPod:
    """One pod, from its scheduling to its end.

    Args:
        node: where it runs.
        pod: the Pod as it was created.
    """

    def __init__(self, node: Node, pod: Object) -> None:
        self._node = node
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
            async with asyncio.timeout(max(self._end_within or 0.0, 0.01)):
                await process.wait()
        _signal_group(process.pid, signal.SIGKILL)

    async def live(self) -> None:
        """Run the pod and write what becomes of it."""
        folder = self._node.pods_folder / self._pod["metadata"]["uid"]
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
            if not self._abandoned:
                self._node.finish_deletion(self._pod)

    def _schedule(self) -> None:
        objects = self._node.objects
        entry = objects.get(PODS, *place_of(self._pod))
        spec = entry.obj["spec"] | {"nodeName": NODE}
        self._pod = objects.replace(PODS, place_of(self._pod), entry.obj | {"spec": spec}).obj
        name = f"{self._pod['metadata']['namespace']}/{self._pod['metadata']['name']}"
        self._node.scheduler.record(self._pod, "Scheduled", f"Successfully assigned {name} to {NODE}")
        self._write(pod_status.waiting(self._pod, "ContainerCreating", now=objects.now()))

    async def _run_container(self, folder: Path) -> None:
        options = self._node.options
        prepared = prepare(
            self._pod,
            folder,
            environment=options.environment,
            ingest_token=options.ingest_token,
            host_variables=options.host_variables,
        )
        log_file = self._node.log_file(self._pod)
        log_file.parent.mkdir(parents=True, exist_ok=True)
        started_at = self._node.objects.now()
        code = await self._execute(prepared, log_file, folder)
        if self._abandoned:
            return
        written, tail = await asyncio.to_thread(_what_it_said, prepared.termination_log, log_file)
        container = self._pod["spec"]["containers"][0]
        policy = container.get("terminationMessagePolicy", "File")
        message = pod_status.termination_message(written, tail, exit_code=code, policy=policy)
        now = self._node.objects.now()
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
        self._write(pod_status.running(self._pod, now=self._node.objects.now()))
        if self._end_within is not None:
            self._start_ending()
        code = await process.wait()
        self._process = None  # its number may soon be another's
        _signal_group(process.pid, signal.SIGKILL)  # what it left behind ends with it, as in a container
        if self._ending is not None:
            self._ending.cancel()
        return code if code >= 0 else 128 - code

    def _wait_in_vain(self, reason: str, message: str) -> None:
        self._record("Failed", f"Error: {message}", of_container=True, warning=True)
        self._write(pod_status.waiting(self._current(), reason, now=self._node.objects.now(), message=message))

    def _current(self) -> Object:
        return self._node.current(self._pod) or self._pod

    def _write(self, status: Object) -> None:
        self._node.write_status(self._pod, status)

    def _record(self, reason: str, message: str, *, of_container: bool = False, warning: bool = False) -> None:
        name = self._pod["spec"]["containers"][0]["name"]
        field = f"spec.containers{{{name}}}" if of_container else ""
        self._node.kubelet.record(self._pod, reason, message, warning=warning, field=field)


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
