"""What ended lately, kept beyond the tasks themselves: the throughput of a week must not forget what was cleaned up.

One line per task that ended, in one file per day (`history/2026-11-26.ndjson`), appended only: several replicas that
share the volume may all write, as a task that stands there twice counts once. Days go as a whole when they are over.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import structlog
from fastapi import APIRouter
from pydantic import ValidationError

from repack_contract.phases import Phase
from repack_contract.views import EndedTask, TaskView
from repack_dashboard.events import Draft, Entry
from repack_dashboard.services import Services
from repack_dashboard.users import UserAccess

log = structlog.get_logger("repack.dashboard")

KEPT = timedelta(days=8)
"""The page shows seven days, in whole stretches of six hours."""
MOST = 10_000
"""Tasks that are remembered; of more the newest."""


class History:
    """The tasks that ended lately, dry runs excepted."""

    def __init__(self, folder: Path, *, now: Callable[[], datetime]) -> None:
        self._folder = folder
        self._now = now
        self._ended: dict[str, EndedTask] = {}
        self._new: list[EndedTask] = []

    def __iter__(self) -> Iterator[EndedTask]:
        return iter(self._ended.values())

    def load(self) -> None:
        """Read what was written, and remove the days that are over. A line that a crash cut short is left out."""
        found: list[EndedTask] = []
        for file in sorted(self._folder.glob("*.ndjson")):
            if file.stem < (self._now() - KEPT).date().isoformat():
                file.unlink(missing_ok=True)
                continue
            for line in file.read_bytes().splitlines():
                with contextlib.suppress(ValidationError):
                    found.append(EndedTask.model_validate_json(line))
        self._ended = {each.uid: each for each in found} | self._ended
        self._trim()

    def take(self, entry: Entry) -> None:
        """Take note of an event of the log; only the end of a task is one for us."""
        self.begin([entry.draft])

    def begin(self, states: Iterable[Draft]) -> None:
        """Take note of states that the log held already when we came to it."""
        border = self._now() - KEPT
        for draft in states:
            ended = ended_task(draft.body) if isinstance(draft.body, TaskView) else None
            if ended is not None and ended.uid not in self._ended and ended.completion_time >= border:
                self._ended[ended.uid] = ended
                self._new.append(ended)

    def unwritten(self) -> list[EndedTask]:
        """Return what must be written, and count it as written."""
        new, self._new = self._new, []
        return new

    def write(self, ended: Sequence[EndedTask]) -> None:
        """Append to the files of their days. A volume that is full costs figures and nothing else."""
        days: dict[str, list[bytes]] = {}
        for each in ended:
            line = each.model_dump_json(exclude_none=True).encode() + b"\n"
            days.setdefault(each.completion_time.date().isoformat(), []).append(line)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            for day, lines in days.items():
                with (self._folder / f"{day}.ndjson").open("ab") as file:
                    file.write(b"".join(lines))
        except OSError as error:
            log.warning("the history cannot be written", error=str(error))

    def forget(self) -> None:
        """Forget what is too old or too much."""
        border = self._now() - KEPT
        self._ended = {uid: each for uid, each in self._ended.items() if each.completion_time >= border}
        self._trim()

    def _trim(self) -> None:
        if len(self._ended) > MOST:
            newest = sorted(self._ended.values(), key=lambda each: each.completion_time)[-MOST:]
            self._ended = {each.uid: each for each in newest}


def ended_task(view: TaskView) -> EndedTask | None:
    """Return what is remembered of a task that ended; None of one that runs, was cancelled, or was a dry run."""
    status = view.status
    if view.spec.dry_run or status.phase not in {Phase.SUCCEEDED, Phase.FAILED} or status.completion_time is None:
        return None
    return EndedTask(
        uid=view.uid,
        namespace=view.namespace,
        phase=status.phase,
        reason=status.reason,
        created_at=view.created_at,
        start_time=status.start_time,
        completion_time=status.completion_time,
    )


def routes(services: Services, history: History) -> APIRouter:
    """Return the route of the history."""
    router = APIRouter(tags=["installation"])

    @router.get("/history")
    async def ended_and_gone(access: UserAccess) -> list[EndedTask]:
        """Return the tasks of the last days that ended and were deleted since; those that exist are in the list."""
        store = services.board.store
        return [each for each in history if each.uid not in store and access.shows(each.namespace)]

    return router


@contextlib.asynccontextmanager
async def kept(history: History, *, seconds: float = 1.0) -> AsyncIterator[None]:
    """Read what was kept; until the block ends, write what is new once a second."""
    await asyncio.to_thread(history.load)

    async def write_on() -> None:
        while True:  # ends with the block, by cancellation
            await asyncio.sleep(seconds)
            if new := history.unwritten():
                history.forget()
                await asyncio.to_thread(history.write, new)

    job = asyncio.create_task(write_on(), name="history")
    try:
        yield
    finally:
        job.cancel()
        await asyncio.gather(job, return_exceptions=True)
        await asyncio.to_thread(history.write, history.unwritten())
