"""Logs and progress on disk: nothing twice, nothing half, nothing of others, and nothing for ever."""

import asyncio
import os
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from repack_contract.errors import RepackError
from repack_contract.progress import LogLine
from repack_dashboard.attempts import Attempts

NOW = datetime(2026, 11, 23, 6, tzinfo=UTC)


def lines(*numbers: int) -> list[LogLine]:
    return [LogLine(n=number, ts=NOW, text=f"line {number}") for number in numbers]


async def test_lines_sent_again_are_recognised_by_their_number(tmp_path: Path) -> None:
    attempts = Attempts(tmp_path)
    await attempts.append("u", 1, lines(1, 2))
    assert [line.n for line in await attempts.append("u", 1, lines(1, 2, 3))] == [3]
    assert [line.n for line in await attempts.tail("u", 1, limit=10)] == [1, 2, 3]
    assert [line.n for line in await attempts.append("u", 2, lines(1))] == [1]
    assert await attempts.attempts("u") == [1, 2]


async def test_half_a_line_that_a_crash_left_is_cut_off_and_sent_again(tmp_path: Path) -> None:
    await Attempts(tmp_path).append("u", 1, lines(1, 2))
    with (tmp_path / "u" / "1" / "log.ndjson").open("ab") as file:
        file.write(b'{"n":3,"ts":"2026-1')
    attempts = Attempts(tmp_path)
    assert attempts.last_line("u", 1) == 2
    assert len(await attempts.append("u", 1, lines(2, 3))) == 1
    assert [line.n for line in await Attempts(tmp_path).tail("u", 1, limit=10)] == [1, 2, 3]


async def test_two_replicas_append_to_one_log_and_each_line_is_there_once_and_in_order(tmp_path: Path) -> None:
    replicas = [Attempts(tmp_path), Attempts(tmp_path)]
    for start in range(1, 60, 3):
        # a worker whose request timed out sends it again, to the other one, while the first is still at it
        batch = lines(start, start + 1, start + 2)
        taken = await asyncio.gather(*[each.append("u", 1, batch) for each in replicas])
        assert sorted(len(news) for news in taken) == [0, 3]
    for each in [*replicas, Attempts(tmp_path)]:
        assert [line.n for line in await each.tail("u", 1, limit=100)] == list(range(1, 61))
        assert [line.n for line in await each.after("u", 1, position=57, limit=100)] == [58, 59, 60]
        assert each.last_line("u", 1) == 60


async def test_reading_does_not_cut_off_what_another_replica_is_writing(tmp_path: Path) -> None:
    await Attempts(tmp_path).append("u", 1, lines(1))
    with (tmp_path / "u" / "1" / "log.ndjson").open("ab") as file:
        file.write(b'{"n":2,"ts":"2026-11-23T06:00:00Z",')
        file.flush()
        reader = Attempts(tmp_path)
        assert (reader.last_line("u", 1), [line.n for line in await reader.tail("u", 1, limit=9)]) == (1, [1])
        file.write(b'"text":"line 2"}\n')
    assert [line.n for line in await reader.tail("u", 1, limit=9)] == [1, 2]


async def test_lines_that_another_replica_tells_of_are_known_without_reading_the_disk(tmp_path: Path) -> None:
    writer, reader = Attempts(tmp_path), Attempts(tmp_path)
    await writer.append("u", 1, lines(1))
    assert reader.last_line("u", 1) == 1
    await writer.append("u", 1, lines(2, 3))
    reader.hear("u", 1, lines(2, 3), size=writer.size("u", 1))
    assert reader._tails["u", 1].last == 3
    await writer.append("u", 1, lines(4))
    await writer.append("u", 1, lines(5))
    reader.hear("u", 1, lines(5), size=writer.size("u", 1))  # it missed line 4
    assert [line.n for line in await reader.tail("u", 1, limit=9)] == [1, 2, 3, 4, 5]


async def test_lines_that_could_not_be_written_are_taken_when_they_are_sent_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts = Attempts(tmp_path)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("repack_dashboard.attempts._append", full)
        with pytest.raises(RepackError, match="no room"):
            await attempts.append("u", 1, lines(1, 2))
    assert len(await attempts.append("u", 1, lines(1, 2))) == 2


@pytest.mark.parametrize("uid", ["..", "a/b", "", ".hidden", "x" * 65, "a\\b"])
def test_what_is_no_uid_is_no_folder(tmp_path: Path, uid: str) -> None:
    with pytest.raises(ValueError, match="not a uid"):
        Attempts(tmp_path).folder(uid)


def test_files_of_a_task_that_is_gone_go_when_the_time_of_grace_since_then_is_over(tmp_path: Path) -> None:
    attempts = Attempts(tmp_path)
    for uid in ("alive", "gone", "comes-back"):
        asyncio.run(attempts.append(uid, 1, lines(1)))
        os.utime(tmp_path / uid / "1" / "log.ndjson", (1000, 1000))  # written long ago, and that must not count
    now = time.time()
    everybody = frozenset({"alive", "gone", "comes-back"})
    assert attempts.sweep(live=frozenset({"alive"}), now=now, grace_seconds=60) == []
    assert attempts.sweep(live=frozenset({"alive"}), now=now + 59, grace_seconds=60) == []
    assert attempts.sweep(live=everybody - {"gone"}, now=now + 61, grace_seconds=60) == ["gone"]
    assert attempts.sweep(live=frozenset({"alive"}), now=now + 100, grace_seconds=60) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["alive", "comes-back"]
