"""The network between operator and API server fails."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from embedded import embedded_api
from fakes.cuttable import Relay, relay_to
from fakes.job_controller import Player, runs
from operator_bench import Bench
from repack_kube.access import find_access
from repack_kube.client import KubeCluster
from repack_kube.resources import JOBS, LEASES


@contextlib.asynccontextmanager
async def a_bench_behind_a_relay(folder: Path, *, history: int) -> AsyncIterator[tuple[Bench, Relay]]:
    """The operator goes through the relay, the test does not."""
    async with contextlib.AsyncExitStack() as stack:
        api = await stack.enter_async_context(embedded_api(history=history))
        address = urlsplit(api.address)
        relay = await stack.enter_async_context(relay_to(str(address.hostname), int(address.port or 0)))
        behind = folder / "kubeconfig"
        behind.write_text(api.kubeconfig_path.read_text().replace(str(address.port), str(relay.port)))
        direct = await find_access(kubeconfig=api.kubeconfig_path)
        cluster = await stack.enter_async_context(KubeCluster(direct))
        bench = Bench(api, await find_access(kubeconfig=behind), cluster, Player(cluster, default=runs))
        playing = asyncio.create_task(bench.player.run())
        try:
            yield bench, relay
        finally:
            relay.mend()
            await bench.stop_operator()
            playing.cancel()
            await asyncio.gather(playing, return_exceptions=True)


async def change_much(bench: Bench, times: int) -> None:
    """Make so many changes that the API server forgets what came before."""
    lease = {"metadata": {"name": "noise", "namespace": "default"}, "spec": {}}
    body = await bench.cluster.create(LEASES, {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease"} | lease)
    for number in range(times):
        body["spec"] = {"leaseDurationSeconds": number + 1}
        body = await bench.cluster.replace(LEASES, body)


@pytest.mark.fault(3, "the line is cut, the history compacted")
async def test_a_job_that_vanished_while_the_watch_was_away_is_no_ghost(tmp_path: Path) -> None:
    async with a_bench_behind_a_relay(tmp_path, history=50) as (bench, relay):
        program = await bench.start_operator()
        retry = {"limit": 1, "backoffSeconds": 0, "maxBackoffSeconds": 0}
        await bench.create_task("demo", retry=retry)
        await bench.phase("demo", "Running")
        # Three lists before work begins, three once the watches run: the latter must not do this test's work.
        await bench.until(lambda: sum(call.verb == "list" for call in bench.calls) >= 6, "the comparison at the start")

        relay.cut()
        await bench.cluster.delete(JOBS, "rpt-demo-1", namespace="default")
        await change_much(bench, 120)
        relay.mend()

        async def second_attempt() -> bool:
            return (await bench.task("demo"))["status"].get("attempt") == 2

        await bench.until(second_attempt, "the second attempt", seconds=30)
        attempts = (await bench.task("demo"))["status"]["attempts"]
        assert [record["reason"] for record in attempts] == ["JobDeletedExternally"]
        assert program.reconciler.slots.in_use == 1, "the ghost's slot is free"


@pytest.mark.fault(2, "the line is cut")
@pytest.mark.parametrize("seconds", [3])
async def test_after_an_outage_work_goes_on_by_itself(tmp_path: Path, seconds: float) -> None:
    async with a_bench_behind_a_relay(tmp_path, history=10_000) as (bench, relay):
        await bench.start_operator()
        await bench.create_task("before")
        await bench.phase("before", "Running")

        relay.cut()
        await bench.create_task("meanwhile")
        await bench.wish("before", desiredState="Cancelled")
        await asyncio.sleep(seconds)
        relay.mend()

        await bench.phase("meanwhile", "Running")
        await bench.phase("before", "Cancelled")
        assert len(bench.player.created) == 2


@pytest.mark.fault(2, "it is away at the start")
async def test_an_operator_that_starts_before_the_api_server_waits_for_it(tmp_path: Path) -> None:
    async with a_bench_behind_a_relay(tmp_path, history=10_000) as (bench, relay):
        relay.cut()
        await bench.create_task("demo")
        starting = asyncio.create_task(bench.start_operator())
        await asyncio.sleep(0.5)
        assert bench.program is None or bench.program.health.complaint
        relay.mend()
        await starting

        await bench.phase("demo", "Running")


@pytest.mark.fault(2, "it is away at the end")
async def test_an_operator_can_be_stopped_while_the_api_server_is_away(tmp_path: Path) -> None:
    async with a_bench_behind_a_relay(tmp_path, history=10_000) as (bench, relay):
        await bench.start_operator()
        await bench.create_task("demo")
        await bench.phase("demo", "Running")
        relay.cut()
        await bench.wish("demo", desiredState="Cancelled")
        await asyncio.sleep(1)

        await asyncio.wait_for(bench.stop_operator(), timeout=10)
