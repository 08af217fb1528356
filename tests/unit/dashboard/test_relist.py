"""Reading all tasks again: what is gone goes, and what appears meanwhile is not taken for gone."""

import asyncio
import time
from datetime import UTC, datetime
from pathlib import Path

from builders import a_task, a_task_object
from fakes.task_api import FakeTaskApi
from repack_dashboard.attempts import Attempts
from repack_dashboard.board import Board
from repack_dashboard.cluster import ClusterTasks, Relist
from repack_dashboard.eventlog import MemoryLog
from repack_dashboard.events import Bounds
from repack_dashboard.metrics import Metrics
from repack_dashboard.store import Store
from repack_kube.resources import EVERYWHERE, ObjectList, Resource, Scope


class SlowApi(FakeTaskApi):
    """Takes its list at once and answers it when it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = asyncio.Event()
        self.go_on = asyncio.Event()

    async def list(self, resource: Resource, scope: Scope = EVERYWHERE) -> ObjectList:
        found = await super().list(resource, scope)
        self.asked.set()
        await self.go_on.wait()
        return found


def a_relist(api: FakeTaskApi, folder: Path, *, namespaces: tuple[str, ...] = ()) -> tuple[Relist, Board]:
    log = MemoryLog(bounds=Bounds(), clock=time.monotonic)
    board = Board(store=Store(), log=log, attempts=Attempts(folder), now=lambda: datetime.now(UTC))
    tasks = ClusterTasks(api, namespaces=namespaces)
    return Relist(tasks, board=board, metrics=Metrics(), clock=time.monotonic, gap_seconds=0.01), board


async def test_a_task_that_appears_while_the_list_is_under_way_is_not_taken_for_gone(tmp_path: Path) -> None:
    api = SlowApi()
    relist, board = a_relist(api, tmp_path)
    await board.observe(a_task(uid="gone", name="gone"))
    listing = asyncio.create_task(relist.refresh())
    await api.asked.wait()
    await board.observe(a_task(uid="new", name="new"))
    api.go_on.set()
    await listing
    assert set(board.store.uids) == {"new"}


async def test_many_who_ask_at_once_share_one_list_that_began_after_they_asked(tmp_path: Path) -> None:
    api = SlowApi()
    relist, _ = a_relist(api, tmp_path)
    first = asyncio.create_task(relist.refresh())
    await api.asked.wait()
    others = [asyncio.create_task(relist.refresh()) for _ in range(20)]
    await asyncio.sleep(0)
    api.go_on.set()
    await asyncio.gather(first, *others)
    assert api.lists == 2


async def test_only_the_namespaces_that_are_shown_are_listed(tmp_path: Path) -> None:
    api = FakeTaskApi()
    for number, namespace in enumerate(("a", "b", "c")):
        api.put(a_task_object(uid=f"u{number}", namespace=namespace))
    relist, board = a_relist(api, tmp_path, namespaces=("a", "c"))
    await relist.refresh()
    assert {view.namespace for view in board.store} == {"a", "c"}


async def test_an_object_that_cannot_be_read_does_not_hide_the_others(tmp_path: Path) -> None:
    api = FakeTaskApi()
    api.put(a_task_object(uid="u1", name="odd", spec={"targets": "all of them"}))
    api.put(a_task_object(uid="u2", name="newer", spec={"unknownField": True}))
    relist, board = a_relist(api, tmp_path)
    await relist.refresh()
    assert {view.name for view in board.store} == {"newer"}


async def test_what_was_listed_at_the_start_is_not_listed_again_at_once(tmp_path: Path) -> None:
    api = FakeTaskApi()
    relist, board = a_relist(api, tmp_path)
    await relist.refresh()
    await board.observe(a_task(uid="new", name="new"))
    running = asyncio.create_task(relist.run(seconds=60))
    await asyncio.sleep(0.05)
    running.cancel()
    assert api.lists == 1
    assert set(board.store.uids) == {"new"}
