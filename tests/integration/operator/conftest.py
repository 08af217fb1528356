from collections.abc import AsyncIterator

import pytest

from operator_bench import Bench, a_bench


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    async with a_bench() as running:
        yield running
