"""The real operator against an API server; Jobs are played by `fakes.job_controller`."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from builders import a_task_object
from embedded import RunningApi, embedded_api
from fakes.job_controller import Player
from repack_kube.access import Access, find_access
from repack_kube.client import Cluster, KubeCluster
from repack_kube.errors import NotFoundError
from repack_kube.resources import JOBS, TASKS, Object, Scope
from repack_kube.transport import CallMade
from repack_operator.metrics import Metrics
from repack_operator.program import Program
from repack_operator.settings import Settings


@dataclass
class Bench:
    """Everything a test needs: the API, an operator that can be stopped and started, and a player of Jobs."""

    api: RunningApi
    access: Access
    cluster: KubeCluster
    player: Player
    calls: list[CallMade] = field(default_factory=list)
    """Calls of the operator, without kopf's watches."""
    settings: Settings = field(default_factory=lambda: Settings(health_port=None))
    program: Program | None = None
    wrap: Callable[[Cluster], Cluster] = field(default=lambda cluster: cluster)
    """Puts a fault between the operator and the API server."""
    _stop: asyncio.Event = field(default_factory=asyncio.Event)
    _running: asyncio.Task[None] | None = None

    async def start_operator(self, **settings: Any) -> Program:
        self.settings = Settings(health_port=None, **settings)
        self._stop = asyncio.Event()
        started: asyncio.Future[Program] = asyncio.get_running_loop().create_future()
        self._running = asyncio.create_task(self._run(started))
        self.program = await started
        await self.until(lambda: self.program is not None and self.program.health.synced, "the first sync")
        return self.program

    async def _run(self, started: "asyncio.Future[Program]") -> None:
        async with KubeCluster(self.access, observer=self.calls.append) as cluster:
            program = Program(self.access, self.wrap(cluster), self.settings, Metrics(version="test"))
            started.set_result(program)
            await program.run(self._stop)

    async def stop_operator(self) -> None:
        self._stop.set()
        if self._running is not None:
            await asyncio.wait_for(self._running, timeout=20)
            self._running = None

    async def create_task(self, name: str, **spec: Any) -> Object:
        body = a_task_object(name=name, spec=spec)
        body["metadata"] = {"name": name, "namespace": "default"}
        del body["status"]
        return await self.cluster.create(TASKS, body)

    async def wish(self, name: str, **spec: Any) -> None:
        await self.cluster.patch(TASKS, name, {"spec": spec}, namespace="default")

    async def task(self, name: str) -> Object:
        return await self.cluster.get(TASKS, name, namespace="default")

    async def jobs(self) -> list[Object]:
        return (await self.cluster.list(JOBS, Scope("default"))).items

    async def phase(self, name: str, *phases: str, seconds: float = 15) -> Object:
        """Wait until the task is in one of the phases."""
        found: Object = {}

        async def arrived() -> bool:
            nonlocal found
            found = await self.task(name)
            return found.get("status", {}).get("phase") in phases

        await self.until(arrived, f"{name} to be {' or '.join(phases)}", seconds=seconds, last=lambda: found)
        return found

    async def gone(self, name: str, *, seconds: float = 15) -> None:
        async def vanished() -> bool:
            with contextlib.suppress(NotFoundError):
                await self.task(name)
                return False
            return True

        await self.until(vanished, f"{name} to be gone", seconds=seconds)

    async def until(
        self,
        condition: Callable[[], Any] | Callable[[], Awaitable[Any]],
        what: str,
        *,
        seconds: float = 15,
        last: Callable[[], Any] = lambda: None,
    ) -> None:
        """Poll with a deadline, and say what was waited for."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while True:
            answer = condition()
            if await answer if asyncio.iscoroutine(answer) else answer:
                return
            assert loop.time() < deadline, f"waited {seconds} s for {what}; last seen: {last()}"
            await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def a_bench() -> AsyncIterator[Bench]:
    """The embedded API, somebody who plays its Jobs, and an operator that a test starts."""
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
