"""The operator and the workers of the soak: they change tasks over HTTP, as fast as they are told."""

import asyncio
import itertools
import random
import sys
from pathlib import Path

import httpx

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

from server import FIXED, TOKEN

from builders import a_task_object
from running_dashboard import from_operator, from_worker, logged, observed, progressed, removed

HEADERS = {"Authorization": f"Bearer {TOKEN}"}


class Publisher:
    """Sends batches to a dashboard. `events` counts what was taken."""

    def __init__(self, port: int, rng: random.Random) -> None:
        self._http = httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=30)
        self._rng = rng
        self._numbers = itertools.count(1)
        self._passing: list[str] = []
        self.events = 0

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def some(self, count: int) -> None:
        """Send so many batches."""
        for _ in range(count):
            await self._one()

    async def run(self, *, per_second: float) -> None:
        """Send until it is cancelled."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:  # until it is cancelled
            await self._one()
            due = max(due + 1 / per_second, loop.time() - 1)
            await asyncio.sleep(max(0.0, due - loop.time()))

    async def text(self, path: str) -> str:
        """Return what the dashboard answers."""
        return (await self._http.get(path)).raise_for_status().text

    async def _one(self) -> None:
        number, dice = next(self._numbers), self._rng.random()
        uid = self._rng.choice(FIXED)
        if dice < 0.6:
            batch = from_worker(uid, progressed(number, percent=number % 101), batch=number)
        elif dice < 0.7:
            batch = from_worker(uid, logged(*range(20 * number, 20 * number + 20)), batch=number)
        elif dice < 0.9:
            batch = from_operator(observed(self._changed(uid, number)), batch=number)
        elif dice < 0.95 or not self._passing:
            self._passing.append(f"passing-{number}")
            batch = from_operator(observed(self._changed(self._passing[-1], number)), batch=number)
        else:
            gone = self._passing.pop(0)
            batch = from_operator(removed(gone, name=gone), batch=number)
        answer = await self._http.post("/api/v1/ingest/events", json=batch, headers=HEADERS)
        self.events += answer.raise_for_status().json()["accepted"]

    def _changed(self, uid: str, number: int) -> dict[str, object]:
        status = {"sequence": number, "phase": "Running", "attempt": 1}
        annotations = {"note": "x" * self._rng.choice([0, 100, 2_000])}
        return a_task_object(uid=uid, name=uid, status=status, metadata={"annotations": annotations})
