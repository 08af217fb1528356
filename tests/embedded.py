"""The embedded Kubernetes API for tests: a real server on a loopback port, gone at the end."""

import contextlib
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from repack_local.api import ApiOptions, EmbeddedApi

CRD = Path(__file__).parents[1] / "crds" / "repackagetasks.yaml"


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
    async with EmbeddedApi(ApiOptions(crds=(CRD,), state=state, history=history)) as api:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "kubeconfig"
            api.write_kubeconfig(path)
            yield RunningApi(api, api.address, api.token, path)
