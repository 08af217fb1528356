"""Of two states of a task the later one stays, in whatever order and how often they come."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from builders import a_task
from repack_contract.progress import Progress, StageProgress, StageState
from repack_contract.task import RepackageTask
from repack_dashboard.attempts import Attempts
from repack_dashboard.board import Board
from repack_dashboard.eventlog import MemoryLog
from repack_dashboard.events import Bounds, Entry
from repack_dashboard.store import Store, order_of

NOW = datetime(2026, 11, 23, 6, tzinfo=UTC)


def state(sequence: int | None, generation: int = 1, version: str = "1") -> RepackageTask:
    status = {} if sequence is None else {"sequence": sequence, "phase": "Running"}
    return a_task(status=status, metadata={"generation": generation, "resourceVersion": version})


def a_board(folder: Path) -> tuple[Board, list[Entry]]:
    log = MemoryLog(bounds=Bounds(), clock=lambda: 0.0)
    board = Board(store=Store(), log=log, attempts=Attempts(folder), now=lambda: NOW)
    seen: list[Entry] = []
    log.listeners.entries.append(seen.append)
    return board, seen


def test_states_are_ordered_by_sequence_then_generation_then_version() -> None:
    states = [state(None), state(0), state(1), state(1, 2), state(1, 2, "7"), state(1, 2, "10"), state(2, 2, "3")]
    assert sorted([*states[4:], *states[:4]], key=order_of) == states


@given(st.permutations(list(range(8))), st.lists(st.integers(0, 7), max_size=8))
def test_any_order_with_any_repetition_ends_in_the_latest_state(order: list[int], repeated: list[int]) -> None:
    board, _ = a_board(Path("/nowhere"))

    async def run() -> None:
        for number in [*order, *repeated]:
            await board.observe(state(number))

    asyncio.run(run())
    view = board.store.get("uid-1")
    assert view is not None
    assert view.status.sequence == 7


async def test_a_state_that_shows_nothing_new_is_taken_and_not_told(tmp_path: Path) -> None:
    board, seen = a_board(tmp_path)
    assert await board.observe(state(1, version="5"))
    copied = a_task(
        status={"sequence": 1, "phase": "Running", "progress": {"percent": 5}}, metadata={"resourceVersion": "6"}
    )
    assert await board.observe(copied)
    assert not await board.observe(copied)
    assert len(seen) == 1


async def test_a_new_message_under_the_same_sequence_is_told(tmp_path: Path) -> None:
    """The queue position is rewritten without a transition; it must be live all the same."""
    board, seen = a_board(tmp_path)
    for version, position in (("5", "3rd"), ("6", "2nd")):
        condition = {
            "type": "Admitted", "status": "False", "reason": "Waiting", "message": position,
            "lastTransitionTime": "2026-11-23T05:00:00Z",
        }  # fmt: skip
        status = {"sequence": 1, "phase": "Queued", "conditions": [condition]}
        await board.observe(a_task(status=status, metadata={"resourceVersion": version}))
    assert len(seen) == 2


async def test_progress_is_kept_at_milestones_alone(tmp_path: Path) -> None:
    board, _ = a_board(tmp_path)
    await board.observe(state(1))
    kept = tmp_path / "uid-1" / "1" / "progress.json"
    running = StageProgress.model_validate({"stage": "Fetch", "state": "Running"})
    done = running.model_copy(update={"state": StageState.DONE})
    await board.report("uid-1", Progress(attempt=1, tick=1, stages=[running], percent=1, updated_at=NOW))
    first = kept.read_bytes()
    await board.report("uid-1", Progress(attempt=1, tick=2, stages=[running], percent=2, updated_at=NOW))
    assert kept.read_bytes() == first
    await board.report("uid-1", Progress(attempt=1, tick=3, stages=[done], percent=3, updated_at=NOW))
    assert kept.read_bytes() != first


async def test_progress_of_an_unknown_task_is_no_news(tmp_path: Path) -> None:
    board, seen = a_board(tmp_path)
    assert not await board.report("nobody", Progress(attempt=1, tick=1, updated_at=NOW))
    assert seen == []


async def test_a_name_given_again_belongs_to_the_later_task(tmp_path: Path) -> None:
    board, _ = a_board(tmp_path)
    await board.observe(a_task(uid="first"))
    await board.observe(a_task(uid="second"))
    await board.remove("first")
    found = board.store.find("default", "demo")
    assert found is not None
    assert found.uid == "second"
    assert board.store.names("default") == {"demo"}
