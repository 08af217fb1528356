"""Log lines joined by their numbers, as two replicas have spooled them."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from repack_contract.progress import LogLine
from repack_dashboard.spools import joined, line_number, ndjson

NOW = datetime(2026, 11, 26, 6, tzinfo=UTC)


def spool(numbers: set[int]) -> bytes:
    return ndjson(LogLine(n=n, ts=NOW, text=f"line {n}\nwith a break") for n in sorted(numbers))


def numbers(data: bytes) -> list[int]:
    return [line_number(line) for line in data.splitlines()]


@given(one=st.sets(st.integers(1, 60)), other=st.sets(st.integers(1, 60)))
def test_the_lines_of_both_are_there_once_and_in_order(one: set[int], other: set[int]) -> None:
    both = joined(spool(one), spool(other))
    assert both == spool(one | other)
    assert joined(both, spool(other)) == both


def test_half_a_line_that_a_crash_left_is_dropped() -> None:
    assert numbers(joined(spool({1, 2})[:-5], spool({4}))) == [1, 4]
    assert numbers(joined(spool({1}), spool({2, 3})[:-5])) == [1, 2]
    assert joined(b"", b"") == b""
