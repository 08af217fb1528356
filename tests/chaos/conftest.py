from collections.abc import AsyncIterator

import pytest

from operator_bench import Bench, a_bench
from requirements import kubeconfig

collect_ignore = [] if kubeconfig() else ["test_on_a_cluster.py"]


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    async with a_bench() as running:
        yield running
