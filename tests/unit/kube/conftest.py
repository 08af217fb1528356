from collections.abc import AsyncIterator

import pytest

from fakes.scripted_api import ScriptedApi, scripted_api
from repack_kube.access import access_to
from repack_kube.client import KubeCluster
from repack_kube.transport import CallMade


@pytest.fixture
async def api() -> AsyncIterator[ScriptedApi]:
    async with scripted_api() as server:
        yield server


@pytest.fixture
def calls() -> list[CallMade]:
    return []


@pytest.fixture
async def cluster(api: ScriptedApi, calls: list[CallMade]) -> AsyncIterator[KubeCluster]:
    access = access_to(api.url, token="secret")
    async with KubeCluster(access, timeout_seconds=2.0, silence_seconds=0.3, observer=calls.append) as client:
        yield client
