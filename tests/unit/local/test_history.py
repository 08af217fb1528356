"""The bounded history behind watches."""

import pytest

from repack_local.api.statuses import ApiError, Object
from repack_local.api.storage import Storage
from repack_local.api.watching import BACKLOG

THINGS = ("", "things")
OTHERS = ("", "others")


def an_object(name: str) -> Object:
    return {"metadata": {"name": name, "namespace": "n"}}


def test_a_version_that_fell_out_of_the_history_is_gone() -> None:
    storage = Storage(history=3)
    for number in range(5):
        storage.put(THINGS, an_object(str(number)), old=None)
    with pytest.raises(ApiError) as gone:
        storage.history.since(THINGS, 1)
    assert (gone.value.code, gone.value.reason) == (410, "Expired")
    assert [change.version for change in storage.history.since(THINGS, 2)] == [3, 4, 5]
    assert storage.history.since(THINGS, 5) == []


async def test_a_stream_begins_right_after_its_version_and_goes_on() -> None:
    storage = Storage()
    storage.put(THINGS, an_object("a"), old=None)
    storage.put(OTHERS, an_object("b"), old=None)
    storage.put(THINGS, an_object("c"), old=None)
    with storage.history.open(THINGS, 1) as stream:
        storage.put(THINGS, an_object("d"), old=None)
        seen = [await stream.next(within_seconds=1) for _ in range(2)]
        with pytest.raises(TimeoutError):
            await stream.next(within_seconds=0.01)
    assert [change.new.obj["metadata"]["name"] for change in seen if change] == ["c", "d"]


async def test_a_reader_that_is_too_slow_is_let_go() -> None:
    storage = Storage(history=10)
    with storage.history.open(THINGS, 0) as stream:
        for number in range(BACKLOG + 1):
            storage.put(THINGS, an_object(str(number)), old=None)
        count = 0
        while await stream.next(within_seconds=1) is not None:
            count += 1
    assert count == BACKLOG
