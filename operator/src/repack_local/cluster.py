"""The embedded cluster: the API, the Job controller and the pod runner, started and stopped together."""

import asyncio
import contextlib
from types import TracebackType

from repack_local.api import ApiOptions, EmbeddedApi
from repack_local.jobs import JobController
from repack_local.runner import PodRunner, RunnerOptions


class EmbeddedCluster:
    """A Kubernetes of one process: what is applied to its API is carried out as subprocesses of this machine.

    Args:
        api: how the API is run.
        runner: how pods are run.
        job_backoff_seconds: wait before a Job's failed Pod is replaced for the first time; it doubles each time.
    """

    def __init__(self, api: ApiOptions, runner: RunnerOptions, *, job_backoff_seconds: float = 10.0) -> None:
        self.api = EmbeddedApi(api)
        self._jobs = JobController(self.api.objects, backoff_seconds=job_backoff_seconds)
        self.runner = PodRunner(self.api.objects, runner)
        self.api.log_file = self.runner.log_file
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> str:
        """Start everything and return the API's address."""
        address = await self.api.start()
        for name, work in (("pod-runner", self.runner.run()), ("job-controller", self._jobs.run())):
            self._tasks.append(asyncio.create_task(work, name=name))
        return address

    async def wait(self) -> None:
        """Wait until a part fails, which is a bug; the failure is raised."""
        done, _ = await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()

    async def stop(self) -> None:
        """End the processes of pods, then the API. What ran is marked as lost and started anew by the next start."""
        for task in reversed(self._tasks):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        self._tasks.clear()
        await self.api.stop()

    async def __aenter__(self) -> "EmbeddedCluster":
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()
