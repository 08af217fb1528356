import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from embedded import embedded_api
from fakes.job_controller import Player
from operator_bench import Bench
from repack_kube.access import find_access
from repack_kube.client import KubeCluster


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    async with embedded_api() as api, contextlib.AsyncExitStack() as stack:
        access = await find_access(kubeconfig=api.kubeconfig_path)
        cluster = await stack.enter_async_context(KubeCluster(access))
        player = Player(cluster)
        bench = Bench(api, access, cluster, player)
        playing = asyncio.create_task(player.run())
        try:
            yield bench
        finally:
            await bench.stop_operator()
            playing.cancel()
            await asyncio.gather(playing, return_exceptions=True)
