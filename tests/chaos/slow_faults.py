"""What takes too long for every run of the tests; `make chaos` runs it."""

import asyncio
from pathlib import Path

import pytest

from operator_bench import Bench
from operator_process import OperatorProcess


@pytest.mark.fault(11, "the leader is frozen for longer than the lease, with the usual durations")
@pytest.mark.timeout(90)
async def test_11_another_replica_takes_over_within_20_seconds(bench: Bench, tmp_path: Path) -> None:
    settings = {"LEADER_ELECTION": "true", "LEASE_NAMESPACE": "default"}
    first = OperatorProcess.start(bench.api.kubeconfig_path, tmp_path / "first", **settings)
    second = None
    try:
        await bench.until(lambda: asyncio.to_thread(first.leads), "a leader", seconds=30)
        second = OperatorProcess.start(bench.api.kubeconfig_path, tmp_path / "second", **settings)
        await bench.until(lambda: asyncio.to_thread(second.is_ready), "a follower", seconds=30)
        first.freeze()
        await bench.create_task("demo")

        await bench.phase("demo", "Succeeded", seconds=20)

        assert len(bench.player.created) == 1
    finally:
        first.thaw()
        first.kill()
        if second is not None:
            second.kill()
