"""Two real operators and one Lease: whatever happens to the leader, the other goes on, and nothing is done twice."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from fakes.cuttable import Relay, relay_to
from fakes.job_controller import runs
from operator_bench import Bench
from operator_process import SHORT_LEASE, OperatorProcess
from repack_kube.resources import LEASES, Object


class Pair:
    """Two replicas, each behind a relay of its own."""

    def __init__(self, bench: Bench, replicas: list[OperatorProcess], relays: list[Relay]) -> None:
        self.bench = bench
        self.replicas = replicas
        self._relays = relays

    async def leader(self, *, but: OperatorProcess | None = None, seconds: float = 20) -> OperatorProcess:
        """Wait until a replica leads, another one than `but`."""
        found: list[OperatorProcess] = []

        async def arrived() -> bool:
            others = [replica for replica in self.replicas if replica is not but and replica.process.poll() is None]
            found[:] = [replica for replica in others if await asyncio.to_thread(replica.leads)]
            return bool(found)

        await self.bench.until(arrived, "a leader", seconds=seconds, last=lambda: [r.log for r in self.replicas])
        return found[0]

    async def ready(self, replica: OperatorProcess) -> None:
        async def is_ready() -> bool:
            return await asyncio.to_thread(replica.is_ready)

        await self.bench.until(is_ready, "a ready replica", last=lambda: replica.log)

    async def follows(self, replica: OperatorProcess) -> None:
        async def is_follower() -> bool:
            return await asyncio.to_thread(replica.metric, "repack_leader") == 0

        await self.bench.until(is_follower, "the old leader to follow", last=lambda: replica.log)

    def other(self, replica: OperatorProcess) -> OperatorProcess:
        return next(each for each in self.replicas if each is not replica)

    def relay(self, replica: OperatorProcess) -> Relay:
        return self._relays[self.replicas.index(replica)]

    async def lease(self) -> Object:
        spec: Object = (await self.bench.cluster.get(LEASES, "dify-repack-operator", namespace="default"))["spec"]
        return spec


@pytest.fixture
async def pair(bench: Bench, tmp_path: Path) -> AsyncIterator[Pair]:
    address = urlsplit(bench.api.address)
    replicas: list[OperatorProcess] = []
    async with contextlib.AsyncExitStack() as stack:
        relays = []
        for name in ("a", "b"):
            relay = await stack.enter_async_context(relay_to(str(address.hostname), int(address.port or 0)))
            kubeconfig = tmp_path / f"kubeconfig-{name}"
            kubeconfig.write_text(bench.api.kubeconfig_path.read_text().replace(str(address.port), str(relay.port)))
            process = OperatorProcess.start(kubeconfig, tmp_path / f"log-{name}", IDENTITY=name, **SHORT_LEASE)
            stack.callback(process.kill)
            stack.callback(process.thaw)
            replicas.append(process)
            relays.append(relay)
        yield Pair(bench, replicas, relays)


async def a_running_task(pair: Pair, name: str = "demo") -> Object:
    pair.bench.player.default = runs
    await pair.bench.create_task(name)
    return await pair.bench.phase(name, "Running")


async def test_one_of_two_acts_and_the_other_is_ready_but_rests(pair: Pair) -> None:
    leader = await pair.leader()
    follower = pair.other(leader)
    await pair.ready(leader)
    await pair.ready(follower)

    await pair.bench.create_task("demo")
    await pair.bench.phase("demo", "Succeeded")

    assert len(pair.bench.player.created) == 1
    assert not follower.leads()
    assert follower.metric('repack_api_requests_total{code="201",resource="jobs",verb="create"}') is None
    assert (await pair.lease())["holderIdentity"].startswith("a_" if leader is pair.replicas[0] else "b_")


@pytest.mark.fault(11, "SIGKILL of the leader")
async def test_a_killed_leader_is_replaced_once_its_lease_is_over(pair: Pair) -> None:
    first = await pair.leader()
    await a_running_task(pair)
    term = (await pair.lease())["leaseTransitions"]

    first.kill()
    await pair.bench.create_task("next")
    await pair.bench.wish("demo", desiredState="Cancelled")

    await pair.leader(but=first)
    await pair.bench.phase("demo", "Cancelled")
    await pair.bench.phase("next", "Running")
    assert len(pair.bench.player.created) == 2
    assert (await pair.lease())["leaseTransitions"] == term + 1


@pytest.mark.fault(11, "SIGTERM of the leader")
async def test_a_leader_that_is_asked_to_end_hands_over_at_once(pair: Pair) -> None:
    first = await pair.leader()
    await a_running_task(pair)

    assert await asyncio.to_thread(first.terminate) == 0, first.log

    assert not (await pair.lease())["holderIdentity"].startswith("a_" if first is pair.replicas[0] else "b_")
    await pair.leader(but=first, seconds=3.5)  # less than the lease: nobody had to wait for its end
    await pair.bench.wish("demo", desiredState="Cancelled")
    await pair.bench.phase("demo", "Cancelled")
    assert len(pair.bench.player.created) == 1


@pytest.mark.fault(11, "SIGSTOP, later SIGCONT")
async def test_a_leader_that_was_frozen_wakes_up_as_a_follower_and_overwrites_nothing(pair: Pair) -> None:
    first = await pair.leader()
    await a_running_task(pair)

    first.freeze()
    second = await pair.leader(but=first)
    await pair.bench.wish("demo", desiredState="Cancelled")
    await pair.bench.phase("demo", "Cancelled")
    await pair.bench.create_task("meanwhile")
    await pair.bench.phase("meanwhile", "Running")
    before = [await pair.bench.task(name) for name in ("demo", "meanwhile")]
    first.thaw()

    await pair.follows(first)
    await pair.ready(first)
    assert [await pair.bench.task(name) for name in ("demo", "meanwhile")] == before
    assert len(pair.bench.player.created) == 2
    assert second.leads()


@pytest.mark.fault(11, "its line is cut")
async def test_a_leader_that_is_cut_off_stops_before_the_other_begins(pair: Pair) -> None:
    first = await pair.leader()
    await a_running_task(pair)

    pair.relay(first).cut()
    second = await pair.leader(but=first)
    assert not first.leads()
    await pair.bench.wish("demo", desiredState="Cancelled")
    await pair.bench.phase("demo", "Cancelled")
    pair.relay(first).mend()

    await pair.ready(first)
    assert second.leads()
    assert not first.leads()
    assert len(pair.bench.player.created) == 1


async def test_when_the_api_server_was_away_for_both_one_of_them_leads_again(pair: Pair) -> None:
    await pair.leader()
    await a_running_task(pair)
    for replica in pair.replicas:
        pair.relay(replica).cut()
    for replica in pair.replicas:
        await pair.follows(replica)

    for replica in pair.replicas:
        pair.relay(replica).mend()
    await pair.bench.wish("demo", desiredState="Cancelled")

    await pair.bench.phase("demo", "Cancelled")
    assert [replica.leads() for replica in pair.replicas].count(True) == 1
    assert len(pair.bench.player.created) == 1


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"LEASE_RENEW_SECONDS": "20"}, "lease_retry_seconds < lease_renew_seconds < lease_seconds must hold"),
        ({"LEASE_NAMESPACE": ""}, "REPACK_OPERATOR_LEASE_NAMESPACE"),
    ],
)
async def test_an_election_that_cannot_work_ends_the_operator_with_what_to_do(
    bench: Bench, tmp_path: Path, settings: dict[str, Any], complaint: str
) -> None:
    process = OperatorProcess.start(bench.api.kubeconfig_path, tmp_path / "log", **SHORT_LEASE | settings)

    assert await asyncio.to_thread(process.process.wait, 20) != 0
    assert complaint in process.log
