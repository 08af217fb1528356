"""The embedded Kubernetes for tests: a real server on a loopback port, gone at the end.

`embedded_api` is the API alone (objects stay as they are written); `embedded_cluster` runs Jobs too.
"""

import contextlib
import os
import tempfile
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from repack_local.api import ApiOptions, EmbeddedApi
from repack_local.cluster import EmbeddedCluster
from repack_local.runner import RunnerOptions

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
    composed = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", **(environment or {})}  # noqa: TID251 - for processes
    with tempfile.TemporaryDirectory() as folder:
        runner = RunnerOptions(root or Path(folder) / "pods", INGEST_TOKEN, composed, stop_seconds=1.0)
        options = ApiOptions(crds=(CRD,), state=state)
        async with EmbeddedCluster(options, runner, job_backoff_seconds=job_backoff_seconds) as cluster:
            path = Path(folder) / "kubeconfig"
            cluster.api.write_kubeconfig(path)
            yield RunningApi(cluster.api, cluster.api.address, cluster.api.token, path)
