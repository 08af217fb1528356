"""What waits for a slow client: bounded, newest state first in place of older ones, and holes that are declared."""

import json

from hypothesis import given
from hypothesis import strategies as st

from repack_dashboard.backlog import Backlog
from repack_dashboard.frames import payload_of, text_frame


def a_frame(gseq: int, *, size: int = 0) -> bytes:
    return text_frame(json.dumps({"gseq": gseq, "x": "y" * size}).encode())


def taken(backlog: Backlog) -> list[tuple[int, int]]:
    events = [json.loads(payload_of(frame)) for frame in backlog.take()]
    return [(event["gseq"], event.get("coalesced", 0)) for event in events]


def test_frames_come_out_in_order_once() -> None:
    backlog = Backlog(max_frames=10, max_bytes=10_000)
    assert all(backlog.add(a_frame(n), key=None) for n in (1, 2, 3))
    assert taken(backlog) == [(1, 0), (2, 0), (3, 0)]
    assert taken(backlog) == []


def test_newer_progress_of_a_task_takes_the_place_of_older_and_the_hole_is_declared() -> None:
    backlog = Backlog(max_frames=10, max_bytes=10_000)
    backlog.add(a_frame(1), key="a")
    backlog.add(a_frame(2), key=None)
    backlog.add(a_frame(3), key="a")
    backlog.add(a_frame(4), key="a")
    assert taken(backlog) == [(2, 1), (4, 1)]
    assert backlog.coalesced == 2


def test_a_hole_is_declared_by_an_event_and_not_by_a_ping() -> None:
    backlog = Backlog(max_frames=10, max_bytes=10_000)
    ping = text_frame(b'{"type":"ping","id":1}')
    backlog.add(a_frame(1), key="a")
    backlog.add(ping, key=None)
    backlog.add(a_frame(2), key="b")
    backlog.add(a_frame(3), key="a")
    backlog.add(ping, key=None)
    backlog.add(a_frame(4), key="a")
    frames = backlog.take()
    assert [frame for frame in frames if frame == ping] == [ping, ping]
    events = [json.loads(payload_of(frame)) for frame in frames if frame != ping]
    assert [(event["gseq"], event.get("coalesced", 0)) for event in events] == [(2, 1), (4, 1)]


def test_nothing_is_left_out_before_a_snapshot_that_builds_on_it() -> None:
    backlog = Backlog(max_frames=10, max_bytes=10_000)
    backlog.add(a_frame(1), key="a")
    backlog.add_burst([a_frame(1)])
    backlog.add(a_frame(2), key="a")
    assert taken(backlog) == [(1, 0), (1, 0), (2, 0)]


def test_it_is_full_by_number_and_by_bytes_and_keeps_what_it_has() -> None:
    few = Backlog(max_frames=2, max_bytes=10_000)
    assert [few.add(a_frame(n), key=None) for n in (1, 2, 3)] == [True, True, False]
    assert len(few) == 2
    small = Backlog(max_frames=100, max_bytes=300)
    assert [small.add(a_frame(n, size=100), key=None) for n in (1, 2, 3)] == [True, True, False]


def test_a_snapshot_that_was_asked_for_counts_towards_no_bound() -> None:
    backlog = Backlog(max_frames=1, max_bytes=100)
    backlog.add_burst([a_frame(n, size=1000) for n in range(5)])
    assert backlog.add(a_frame(9), key=None)
    assert not backlog.add(a_frame(10), key=None)
    assert len(taken(backlog)) == 6


@given(st.lists(st.sampled_from(["a", "b", None]), max_size=50))
def test_whatever_is_left_out_the_numbers_have_no_undeclared_hole(keys: list[str | None]) -> None:
    backlog = Backlog(max_frames=1000, max_bytes=10**6)
    for gseq, key in enumerate(keys, start=1):
        backlog.add(a_frame(gseq), key=key)
    position = 0
    for gseq, coalesced in taken(backlog):
        assert gseq == position + 1 + coalesced
        position = gseq
    assert position == len(keys)


def test_frames_of_every_length_keep_their_payload() -> None:
    for size in (0, 1, 125, 126, 127, 65_535, 65_536, 200_000):
        assert payload_of(text_frame(b"x" * size)) == b"x" * size
