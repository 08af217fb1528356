"""A running dashboard for each test that asks for one."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from builders import a_task_object
from fakes.task_api import FakeTaskApi
from running_dashboard import Dashboard, a_dashboard


@pytest.fixture
def api() -> FakeTaskApi:
    """A Kubernetes API with one task, `demo` with the uid `uid-1`."""
    fake = FakeTaskApi()
    fake.put(a_task_object())
    return fake


@pytest.fixture
async def dashboard(tmp_path: Path, api: FakeTaskApi) -> AsyncIterator[Dashboard]:
    async with a_dashboard(tmp_path, api=api) as running:
        yield running
