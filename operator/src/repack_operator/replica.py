"""One process of the operator: it acts while it leads, and is ready to take over while another one does."""

import asyncio
import os
from collections.abc import Callable, Coroutine
from time import monotonic
from typing import Any

import structlog

from repack_kube.access import Access
from repack_kube.client import Cluster
from repack_operator.election import Election
from repack_operator.health import Health
from repack_operator.metrics import Metrics
from repack_operator.program import Program
from repack_operator.settings import Settings

log = structlog.get_logger()

_ABDICATION_SECONDS = 5.0
"""A leader that was replaced must be at rest by then; else the process ends the hard way."""


def _die() -> None:
    """End at once: a part that cannot be stopped must not work beside the next leader."""
    os._exit(1)


class Replica:
    """Runs a `Program` per term of leadership; without an election one for the whole life of the process."""

    def __init__(
        self,
        access: Access,
        cluster: Cluster,
        settings: Settings,
        metrics: Metrics,
        *,
        elect: Callable[[Health], Election] | None = None,
        die: Callable[[], None] = _die,
    ) -> None:
        self._access = access
        self._cluster = cluster
        self._settings = settings
        self._metrics = metrics
        self._die = die
        self.health = Health(clock=monotonic, silence_seconds=3 * settings.probe_seconds)
        self._election = elect(self.health) if elect is not None else None
        metrics.gauge("leader", "1 while this operator leads.", lambda: float(self.leads))

    @property
    def leads(self) -> bool:
        """Tell whether this replica may act."""
        return self._election is None or self._election.leads

    async def run(self, stop: asyncio.Event) -> None:
        """Run until `stop` is set.

        Raises:
            Exception: a part that must not end has ended; the process should be started anew.
        """
        if self._election is None:
            await self._program(epoch=0).run(stop)
            return
        while not stop.is_set():
            self.health.stand_by()
            epoch = await _unless(stop, self._election.campaign())
            if epoch is not None:
                self._metrics.leader_transitions.inc()
                await self._reign(self._election, stop, epoch=epoch)

    async def _reign(self, election: Election, stop: asyncio.Event, *, epoch: int) -> None:
        """Act until `stop` is set, or the leadership is lost."""
        self.health.take_office()
        program, ended = self._program(epoch=epoch), asyncio.Event()
        running = asyncio.create_task(program.run(ended))
        reigning = asyncio.create_task(election.reign())
        stopped = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({running, reigning, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if reigning.done():
                program.abdicate()
                ended.set()
                await self._come_to_rest(running)
                reigning.result()
            else:
                ended.set()
                await program.at_rest.wait()
                reigning.cancel()
                await election.release()
            await running
        finally:
            for task in (running, reigning, stopped):
                task.cancel()
            await asyncio.gather(running, reigning, stopped, return_exceptions=True)

    async def _come_to_rest(self, running: "asyncio.Task[None]") -> None:
        await asyncio.wait({running}, timeout=_ABDICATION_SECONDS)
        if not running.done():
            log.critical("a leader that was replaced does not come to rest; the process ends")
            self._die()

    def _program(self, *, epoch: int) -> Program:
        return Program(self._access, self._cluster, self._settings, self._metrics, health=self.health, epoch=epoch)


async def _unless(stop: asyncio.Event, work: Coroutine[Any, Any, int]) -> int | None:
    """Return what the work returns; None where `stop` was set first."""
    working, stopped = asyncio.create_task(work), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({working, stopped}, return_when=asyncio.FIRST_COMPLETED)
        return None if stop.is_set() else working.result()
    finally:
        for task in (working, stopped):
            task.cancel()
        await asyncio.gather(working, stopped, return_exceptions=True)
