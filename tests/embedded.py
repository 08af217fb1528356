"""The embedded Kubernetes for tests: a real server on a loopback port, gone at the end.

`embedded_api` is the API alone (objects stay as they are written); `embedded_cluster` runs Jobs too.
"""

import asyncio
import contextlib
import os
import tempfile
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from repack_local.api import ApiOptions, EmbeddedApi
from repack_local.jobs import JobController
from repack_local.runner import PodRunner, RunnerOptions

CRD = Path(__file__).parents[1] / "crds" / "repackagetasks.yaml"

INGEST_TOKEN = "ingest-token-of-the-tests"


@dataclass(frozen=True)
class RunningApi:
    """A started API. `api` is the server itself, for what only a test wants (its history, its objects)."""

    api: EmbeddedApi
    address: str
    token: str
    kubeconfig_path: Path


@contextlib.asynccontextmanager
async def embedded_api(*, state: Path | None = None, history: int = 10_000) -> AsyncIterator[RunningApi]:
    """Start the API with our CRD installed; `state` keeps its objects over restarts."""
    with tempfile.TemporaryDirectory() as folder:
        async with EmbeddedApi(ApiOptions(crds=(CRD,), state=state, history=history)) as api:
            path = Path(folder) / "kubeconfig"
            api.write_kubeconfig(path)
            yield RunningApi(api, api.address, api.token, path)


@contextlib.asynccontextmanager
async def embedded_cluster(
    *,
    state: Path | None = None,
    root: Path | None = None,
    environment: Mapping[str, str] | None = None,
    job_backoff_seconds: float = 0.05,
) -> AsyncIterator[RunningApi]:
    """Start the API, the Job controller and the pod runner; `root` keeps the pods' files."""
    composed = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", **(environment or {})}
    async with embedded_api(state=state) as running, contextlib.AsyncExitStack() as stack:
        folder = root or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        options = RunnerOptions(folder, INGEST_TOKEN, composed, stop_seconds=1.0)
        runner = PodRunner(running.api.objects, options)
        running.api.log_file = runner.log_file
        jobs = JobController(running.api.objects, backoff_seconds=job_backoff_seconds)
        for name, work in (("job-controller", jobs.run()), ("pod-runner", runner.run())):
            stack.push_async_callback(_end, asyncio.create_task(work, name=name))
        yield running


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
