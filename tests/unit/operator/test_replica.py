"""What a replica does when its leadership begins and ends; the program itself is played."""

import asyncio
from typing import Any

import pytest

from repack_operator import replica as module
from repack_operator.metrics import Metrics
from repack_operator.replica import Replica
from repack_operator.settings import Settings


class PlayedElection:
    """Leads at once, until the test says that it is lost."""

    def __init__(self) -> None:
        self.lost = asyncio.Event()
        self.done: list[str] = []
        self.leads = False

    async def campaign(self) -> int:
        if "lost" in self.done:
            await asyncio.Event().wait()
        self.leads = True
        return 7

    async def reign(self) -> None:
        await self.lost.wait()
        self.leads = False
        self.done.append("lost")

    async def release(self) -> None:
        self.done.append("released")


class PlayedProgram:
    def __init__(self, election: PlayedElection, *, fault: Exception | None = None, stubborn: bool = False) -> None:
        self.at_rest = asyncio.Event()
        self.started = asyncio.Event()
        self._election, self._fault, self._stubborn = election, fault, stubborn

    async def run(self, stop: asyncio.Event) -> None:
        self.started.set()
        try:
            if self._fault is not None:
                raise self._fault
            await stop.wait()
            if self._stubborn:
                await asyncio.Event().wait()
        finally:
            self._election.done.append("rests")
            self.at_rest.set()

    def abdicate(self) -> None:
        self._election.done.append("abdicates")


class DeadError(Exception):
    """The process is gone."""


def die() -> None:
    raise DeadError


def a_replica(election: PlayedElection, program: PlayedProgram) -> Replica:
    replica = Replica(None, None, Settings(), Metrics(version="t"), elect=lambda _health: election, die=die)  # type: ignore[arg-type,return-value]
    replica._program = lambda *, epoch: program  # type: ignore[method-assign,assignment,return-value]
    return replica


async def finished(running: "asyncio.Task[Any]") -> None:
    async with asyncio.timeout(5):
        await running


async def test_at_the_end_the_lease_is_given_up_once_nothing_is_written_any_more() -> None:
    election = PlayedElection()
    program, stop = PlayedProgram(election), asyncio.Event()
    running = asyncio.create_task(a_replica(election, program).run(stop))
    await program.started.wait()

    stop.set()
    await finished(running)

    assert election.done == ["rests", "released"]


async def test_a_lost_leadership_makes_a_follower_of_it_that_is_ready() -> None:
    election = PlayedElection()
    program, stop = PlayedProgram(election), asyncio.Event()
    replica = a_replica(election, program)
    running = asyncio.create_task(replica.run(stop))
    await program.started.wait()
    assert replica.leads

    election.lost.set()
    async with asyncio.timeout(5):
        while not replica.health.standby:  # noqa: ASYNC110 - a plain value
            await asyncio.sleep(0.01)

    assert election.done == ["lost", "abdicates", "rests"]
    replica.health.heard()
    assert replica.health.complaint == ""
    stop.set()
    await finished(running)


async def test_a_fault_of_the_program_gives_the_lease_up_and_ends_the_process() -> None:
    election = PlayedElection()
    program = PlayedProgram(election, fault=RuntimeError("a part ended that must not end"))

    with pytest.raises(RuntimeError, match="must not end"):
        await a_replica(election, program).run(asyncio.Event())

    assert election.done == ["rests", "released"]


async def test_a_program_that_does_not_come_to_rest_after_a_lost_leadership_is_killed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_ABDICATION_SECONDS", 0.05)
    election = PlayedElection()
    election.lost.set()

    with pytest.raises(DeadError):
        await a_replica(election, PlayedProgram(election, stubborn=True)).run(asyncio.Event())


async def test_a_follower_can_be_stopped() -> None:
    election = PlayedElection()
    election.done.append("lost")
    stop = asyncio.Event()
    running = asyncio.create_task(a_replica(election, PlayedProgram(election)).run(stop))
    await asyncio.sleep(0)

    stop.set()
    await finished(running)
